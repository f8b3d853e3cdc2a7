//! The client: one connection to a gateway, any number of channels.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    backoff::Backoff,
    change::{Change, Transport},
    channels::{Channels, Command},
    error::Error,
    feed::Feed,
    handler::Commands,
    http::{Http, Page, Query},
    link::{Link, LinkOptions},
    publication::{Publication, Published},
    reader::{Shared, SubscribeOptions},
    subscription::Subscription,
    task::NewTask,
    token::{Token, Tokens},
};

/// How to connect, and as whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// A JWT, an API key, or where to get a JWT.
    pub token: Token,
    /// How to connect.
    pub transport: Transport,
    /// How long to wait before coming back.
    pub backoff: Backoff,
    /// An attempt that is not welcomed after so long has failed.
    pub connect_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: Token::None,
            transport: Transport::Auto,
            backoff: Backoff::default(),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// How a user is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// There.
    Online,
    /// There, but not looking.
    Away,
    /// There, and not to be disturbed.
    Busy,
    /// Not there.
    Offline,
}

/// Subscribes and publishes. It connects with the first subscription; dropped, it leaves.
#[derive(Debug)]
pub struct Client {
    http: Http,
    commands: Mutex<Option<Commands<Command>>>,
    /// By channel: whether a subscription still reads it.
    readers: Mutex<HashMap<String, std::sync::Weak<Shared>>>,
    changes: watch::Receiver<Change>,
    link: Mutex<Option<JoinHandle<()>>>,
}

impl Client {
    /// A client of the gateway at `url`: `https://host`, with or without a path in front of `/v1`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(url: &str, options: Options) -> Self {
        let (commands, wanted) = Commands::channel();
        let (told, changes) = watch::channel(Change::default());
        let (http, options) = connect(url, options);
        let channels = Channels::new(options.backoff);
        let link = Link::new(options, channels, told);
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends with the client, which waits for it"
        )]
        let link = tokio::spawn(async move {
            // Each reader is told; whoever reads nothing looks at the changes.
            let _told = link.run(wanted).await;
        });
        Self {
            http,
            commands: Mutex::new(Some(commands)),
            readers: Mutex::default(),
            changes,
            link: Mutex::new(Some(link)),
        }
    }

    /// How the connection stands, and how it changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Change> {
        self.changes.clone()
    }

    /// Listens to a channel, which may be listened to once per client.
    ///
    /// # Errors
    /// The channel has a subscription, the client is closed, or may not come back.
    pub fn subscribe(&self, channel: &str, wish: SubscribeOptions) -> Result<Subscription, Error> {
        let Some(commands) = lock(&self.commands).clone() else { return Err(Error::Gone) };
        let shared = Arc::new(Shared::default());
        let mut readers = lock(&self.readers);
        readers.retain(|_, reader| reader.strong_count() > 1);
        if readers.contains_key(channel) {
            return Err(Error::Subscribed(channel.to_owned()));
        }
        let (sender, items) = mpsc::channel(wish.buffer.max(1));
        let subscription = Subscription::new(
            channel.to_owned(),
            &wish,
            items,
            Arc::clone(&shared),
            commands.clone(),
        );
        readers.insert(channel.to_owned(), Arc::downgrade(&shared));
        let feed = Feed::new(channel.to_owned(), wish, sender, shared);
        if commands.send(Command::Add(feed)) { Ok(subscription) } else { Err(Error::Gone) }
    }

    /// Publishes over HTTP; returns where the events were recorded. Up to 1000 go together, all or
    /// none of them. What cannot be taken now is sent again, and applied once.
    ///
    /// # Errors
    /// The server refuses it, cannot be reached, or the outcome is unknown.
    pub async fn publish(&self, publications: &[Publication]) -> Result<Vec<Published>, Error> {
        self.http.publish(publications).await
    }

    /// Reads a page of a channel's archive.
    ///
    /// # Errors
    /// The server refuses it, or cannot be reached.
    pub async fn history(&self, channel: &str, query: Query) -> Result<Page, Error> {
        self.http.history(channel, query).await
    }

    /// Records a task for one agent; its result counts once. Returns what the server answers.
    ///
    /// # Errors
    /// The server refuses it (409: there is one of this id), or cannot be reached.
    pub async fn create_task(&self, task: &NewTask) -> Result<Value, Error> {
        let body = serde_json::to_value(task).unwrap_or_default();
        self.http.call(Method::POST, &["v1", "tasks"], &[], Some(&body)).await
    }

    /// Returns what is known of a task, its attempts, and what it waits for.
    ///
    /// # Errors
    /// There is none, or the server cannot be reached.
    pub async fn task(&self, id: &str) -> Result<Value, Error> {
        self.http.call(Method::GET, &["v1", "tasks", id], &[], None).await
    }

    /// Ends a task wherever it is.
    ///
    /// # Errors
    /// It has ended otherwise (409), or the server cannot be reached.
    pub async fn cancel_task(&self, id: &str, reason: Option<&str>) -> Result<Value, Error> {
        let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
        self.http.call(Method::POST, &["v1", "tasks", id, "cancel"], &[], Some(&body)).await
    }

    /// Begins an ended task anew.
    ///
    /// # Errors
    /// It has not ended (409), or the server cannot be reached.
    pub async fn retry_task(&self, id: &str) -> Result<Value, Error> {
        let path = ["v1", "tasks", id, "retry"];
        self.http.call(Method::POST, &path, &[], Some(&json!({}))).await
    }

    /// Tells others of this user's presence; said anew after each reconnection.
    pub fn presence(&self, presence: Presence) {
        let status = match presence {
            Presence::Online => "online",
            Presence::Away => "away",
            Presence::Busy => "busy",
            Presence::Offline => "offline",
        };
        if let Some(commands) = &*lock(&self.commands) {
            commands.send(Command::Presence(status));
        }
    }

    /// Leaves the server; every subscription ends.
    pub async fn close(&self) {
        if let Some(commands) = lock(&self.commands).take() {
            commands.send(Command::Close);
        }
        let link = lock(&self.link).take();
        if let Some(link) = link {
            let _left = link.await;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(commands) = lock(&self.commands).take() {
            commands.send(Command::Close);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What HTTP and a link need to reach a gateway.
pub(crate) fn connect(url: &str, options: Options) -> (Http, LinkOptions) {
    // Whoever uses TLS may have installed another provider before: then that one is used.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let url = url.trim_end_matches('/');
    let url = if url.starts_with("ws") { url.replacen("ws", "http", 1) } else { url.to_owned() };
    let tokens = Tokens::new(options.token);
    let client = reqwest::Client::new();
    let http = Http {
        client: client.clone(),
        url: url.clone(),
        tokens: Arc::clone(&tokens),
        backoff: options.backoff,
    };
    let link = LinkOptions {
        url,
        transport: options.transport,
        backoff: options.backoff,
        connect_timeout: options.connect_timeout,
        http: client,
        tokens,
    };
    (http, link)
}
