//! A client of our own protocol that follows one channel and resumes by itself.

use std::time::Duration;

use domain::channel::Channel;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, ClientRequestBuilder, Message, http::Uri},
};

use crate::commands::{failure::Failure, server_client::ServerClient};

/// The first and the longest pause between two attempts; each is drawn from the whole range below,
/// so that a crowd that lost its server does not come back as one.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The close code of a token that is missing, invalid or expired (contract §5).
const UNAUTHORIZED: u16 = 4001;
/// The close code of a user who was cut off.
const FORBIDDEN: u16 = 4003;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a follower has to tell.
pub(super) enum News {
    /// A frame of the server.
    Frame(Value),
    /// The connection is gone; the next call tries again.
    Away(String),
    /// The connection is there again, resumed from the last position.
    Back,
}

/// Follows one channel.
pub(super) struct Follower {
    server: ServerClient,
    channel: Channel,
    position: Option<String>,
    socket: Option<Socket>,
    /// Without any sign of life for so long the connection is dead.
    silence_max: Duration,
    attempts: u32,
    /// What the server asked to wait before coming back.
    come_back_after: Option<Duration>,
}

impl Follower {
    /// Connects and subscribes; the first attempt must succeed.
    pub(super) async fn connect(
        server: ServerClient,
        channel: Channel,
        since: Option<String>,
    ) -> Result<Self, Failure> {
        let mut follower = Self {
            server,
            channel,
            position: since,
            socket: None,
            silence_max: Duration::from_secs(60),
            attempts: 0,
            come_back_after: None,
        };
        follower.open().await?;
        Ok(follower)
    }

    /// The next thing to tell.
    pub(super) async fn next(&mut self) -> Result<News, Failure> {
        loop {
            let Some(socket) = &mut self.socket else {
                tokio::time::sleep(self.pause()).await;
                match self.open().await {
                    Ok(()) => return Ok(News::Back),
                    Err(Failure::Unreachable(_)) => continue,
                    Err(failure) => return Err(failure),
                }
            };
            let message = match timeout(self.silence_max, socket.next()).await {
                Err(_) => return Ok(self.lose("no sign of life")),
                Ok(None) => return Ok(self.lose("it ended")),
                Ok(Some(Err(error))) => return Ok(self.lose(&error.to_string())),
                Ok(Some(Ok(message))) => message,
            };
            match message {
                Message::Text(text) => {
                    let frame = domain::json::value(text.as_bytes()).unwrap_or_default();
                    self.note(&frame)?;
                    return Ok(News::Frame(frame));
                }
                Message::Close(close) => {
                    let code = close.as_ref().map_or(1005, |close| close.code.into());
                    return self.closed(code).await;
                }
                _ => {}
            }
        }
    }

    /// The state of the channel, read over HTTP.
    pub(super) async fn state(&self) -> Result<Option<Value>, Failure> {
        let path = ["v1", "channels", self.channel.as_str()];
        let answer = self.server.get(&path, &[]).await?;
        Ok(Some(answer["state"].clone()).filter(Value::is_object))
    }

    async fn open(&mut self) -> Result<(), Failure> {
        let url = self.server.socket();
        let uri: Uri = url.parse().map_err(|_| Failure::Usage(format!("{url} is no address")))?;
        let mut request = ClientRequestBuilder::new(uri);
        if let Some(token) = self.server.token() {
            request = request.with_header("Authorization", format!("Bearer {token}"));
        }
        let connecting = timeout(CONNECT_MAX, connect_async(request)).await;
        let (mut socket, _) = match connecting {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(self.server.unreachable(&error)),
            Err(late) => return Err(self.server.unreachable(&late)),
        };
        let mut subscribe = json!({ "type": "subscribe", "channel": self.channel.as_str() });
        if let Some(position) = &self.position {
            subscribe["since"] = position.as_str().into();
        }
        let sent = socket.send(Message::text(subscribe.to_string())).await;
        sent.map_err(|error: tungstenite::Error| self.server.unreachable(&error))?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Remembers what matters for coming back.
    fn note(&mut self, frame: &Value) -> Result<(), Failure> {
        let text = |name: &str| frame[name].as_str();
        match text("type").unwrap_or_default() {
            "welcome" => {
                let ping_ms = frame["ping_ms"].as_u64().unwrap_or(25_000);
                self.silence_max = Duration::from_millis(ping_ms * 5 / 2 + 1000);
            }
            "subscribed" => {
                self.attempts = 0;
                self.position = text("position").map(str::to_owned);
            }
            "event" | "state" if frame["tail"] != true => {
                self.position = text("position").map(str::to_owned);
            }
            "gap" => self.position = text("to").map(str::to_owned),
            "bye" => {
                let after_ms = frame["after_ms"].as_u64().unwrap_or_default();
                self.come_back_after = Some(Duration::from_millis(after_ms));
            }
            // The close that follows gives the same reason.
            "error" if !matches!(text("code"), Some("token" | "token_expired")) => {
                return Err(self.refused(text("message").unwrap_or("the server refused")));
            }
            _ => {}
        }
        Ok(())
    }

    fn refused(&self, message: &str) -> Failure {
        let hint = if self.server.has_given_token() {
            "the token in FANFARE_TOKEN does not suffice"
        } else {
            "set FANFARE_TOKEN to a token that may"
        };
        Failure::Refused(format!("{message}; {hint}"))
    }

    async fn closed(&mut self, code: u16) -> Result<News, Failure> {
        match code {
            FORBIDDEN => Err(Failure::Refused("disconnected by an operator".into())),
            UNAUTHORIZED if self.server.has_given_token() || self.attempts > 0 => {
                Err(self.refused("the token is missing, invalid or expired"))
            }
            UNAUTHORIZED => {
                self.server.refresh().await?;
                Ok(self.lose("the token expired"))
            }
            code => Ok(self.lose(&format!("closed with {code}"))),
        }
    }

    fn lose(&mut self, reason: &str) -> News {
        self.socket = None;
        News::Away(reason.to_owned())
    }

    fn pause(&mut self) -> Duration {
        if let Some(after) = self.come_back_after.take() {
            return after;
        }
        let longest = (PAUSE_MIN * 2_u32.saturating_pow(self.attempts)).min(PAUSE_MAX);
        self.attempts = (self.attempts + 1).min(16);
        longest.mul_f64(rand::random_range(0.0..1.0))
    }
}
