//! A connection that comes back: back-off, close codes, tokens, and the next before the last ends.
//!
//! It knows nothing of channels or tasks; a [`Handler`] does. One task owns all of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    sync::{
        mpsc::{self, Receiver, Sender},
        watch,
    },
    task::JoinSet,
    time::timeout,
};

use crate::{
    backoff::Backoff,
    change::{Change, LinkState, Transport},
    error::{Closed, Error, Verdict, verdict},
    frame::Frame,
    handler::{Handler, Need},
    session::{Outgoing, Session, Sessions},
    token::Tokens,
    wire::{self, Address, Id, Kind, News, Writer},
};

/// A connection that was not sent on for so long has settled.
const SETTLED: Duration = Duration::from_secs(60);
/// How often what waits is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long leaving may take.
const LEAVE: Duration = Duration::from_secs(3);
/// Frames of all connections that wait to be taken; a server that is faster is read more slowly.
const NEWS_MAX: usize = 1024;

/// What a link is given.
pub(crate) struct LinkOptions {
    pub url: String,
    pub transport: Transport,
    pub backoff: Backoff,
    pub connect_timeout: Duration,
    pub http: reqwest::Client,
    pub tokens: Arc<Tokens>,
}

type Queue<T> = (Sender<T>, Receiver<T>);

/// An attempt under way.
struct Attempt {
    id: Id,
    deadline: Instant,
}

/// Keeps one connection for a handler.
pub(crate) struct Link<H: Handler> {
    options: LinkOptions,
    handler: H,
    sessions: Sessions,
    leaving: Vec<Id>,
    attempt: Option<Attempt>,
    retry_at: Option<Instant>,
    failures: u32,
    /// The last attempt was refused for its token: another is asked for before the next one.
    is_refused: bool,
    has_opened_socket: bool,
    moves: u32,
    moved_at: Option<Instant>,
    ids: u64,
    news: Queue<(Id, News)>,
    tokens: Queue<String>,
    changes: watch::Sender<Change>,
    /// The connections, which outlive their sessions while they are left.
    wires: JoinSet<()>,
}

impl<H: Handler> Link<H> {
    pub(crate) fn new(options: LinkOptions, handler: H, changes: watch::Sender<Change>) -> Self {
        Self {
            options,
            handler,
            sessions: Sessions::default(),
            leaving: Vec::new(),
            attempt: None,
            retry_at: Some(Instant::now()),
            failures: 0,
            is_refused: false,
            has_opened_socket: false,
            moves: 0,
            moved_at: None,
            ids: 0,
            news: mpsc::channel(NEWS_MAX),
            tokens: mpsc::channel(1),
            changes,
            wires: JoinSet::new(),
        }
    }

    /// Connects with the first command, and stays connected until nobody can command any more, or
    /// there is no way back.
    pub(crate) async fn run(mut self, mut commands: Receiver<H::Command>) -> Result<(), Error> {
        let first = commands.recv().await;
        let wanted = first.map(|first| self.handler.command(&mut self.sessions, first));
        if wanted.is_none_or(|wanted| wanted.is_break()) {
            return Ok(());
        }
        let mut ticks = tokio::time::interval(TICK);
        let ended = loop {
            let done = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => {
                        if self.handler.command(&mut self.sessions, command).is_break() {
                            break Ok(());
                        }
                        Ok(())
                    }
                    None => break Ok(()),
                },
                Some((id, news)) = self.news.1.recv() => self.receive(id, news),
                Some(token) = self.tokens.1.recv() => {
                    self.use_token(&token);
                    Ok(())
                }
                _ = ticks.tick() => self.tick(),
            };
            if let Err(error) = done.and_then(|()| self.close_ended()) {
                break Err(error);
            }
            self.flush();
        };
        self.flush();
        let error = ended.as_ref().err().cloned().unwrap_or(Error::Gone);
        self.handler.end(&error);
        self.tell(LinkState::Disconnected, error.to_string(), Duration::ZERO);
        self.leave().await;
        ended
    }

    /// Writes what was said last, and closes: connections end when their writers are dropped.
    async fn leave(mut self) {
        drop(self.sessions);
        self.news.1.close();
        let _all_left =
            timeout(LEAVE, async { while self.wires.join_next().await.is_some() {} }).await;
    }

    fn receive(&mut self, id: Id, news: News) -> Result<(), Error> {
        let Some(session) = self.sessions.get(id) else { return Ok(()) };
        session.alive();
        match news {
            News::Alive => {}
            News::Over(closed) => session.end(closed),
            News::Frame(frame) => self.hear(id, frame),
        }
        Ok(())
    }

    fn hear(&mut self, id: Id, frame: Frame) {
        let is_current = self.sessions.current == Some(id);
        let Some(session) = self.sessions.get(id) else { return };
        match frame.kind() {
            "welcome" if session.welcome.is_none() => {
                session.greet(&frame);
                self.adopt(id);
            }
            "status" => {
                let reason = frame.text("reason").unwrap_or("unknown").to_owned();
                let is_degraded = frame.body.get("degraded").and_then(Value::as_bool);
                session.degraded = (is_degraded == Some(true)).then_some(reason);
                let degraded = session.degraded.clone();
                if is_current {
                    self.changes.send_modify(|change| change.degraded = degraded);
                }
            }
            "bye" => {
                let comes_back = frame.body.get("reconnect").and_then(Value::as_bool);
                let is_first = !std::mem::replace(&mut session.said_bye, true);
                if comes_back == Some(true) && is_first && is_current {
                    let after_ms = frame.body.get("after_ms").and_then(Value::as_f64);
                    self.go_elsewhere(after_ms.unwrap_or_default());
                }
            }
            _ => self.handler.hear(&mut self.sessions, id, frame),
        }
    }

    /// Opens the next connection at a random moment; later and later where a balancer leads back.
    fn go_elsewhere(&mut self, after_ms: f64) {
        let is_settled = self.moved_at.is_none_or(|at| at.elapsed() >= SETTLED);
        self.moves = if is_settled { 0 } else { self.moves + 1 };
        self.moved_at = Some(Instant::now());
        let mut wait =
            Duration::try_from_secs_f64(rand::random_range(0.0..1.0) * after_ms / 1000.0)
                .unwrap_or_default();
        if self.moves > 0 {
            wait += self.options.backoff.wait(self.moves);
        }
        self.replace(wait);
    }

    /// Opens another connection after a while, and leaves this one when that has taken over.
    fn replace(&mut self, wait: Duration) {
        if self.attempt.is_none() && self.retry_at.is_none() {
            self.retry_at = Some(Instant::now() + wait);
        }
    }

    fn tick(&mut self) -> Result<(), Error> {
        while self.wires.try_join_next().is_some() {}
        let now = Instant::now();
        for session in self.sessions.iter_mut() {
            session.watch(now);
        }
        if let Some(attempt) = self.attempt.take_if(|attempt| attempt.deadline <= now)
            && let Some(session) = self.sessions.get(attempt.id)
        {
            self.attempt =
                Some(Attempt { id: attempt.id, deadline: now + self.options.connect_timeout });
            session.end(Closed::lost("no answer in time"));
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.dial();
        }
        self.renew();
        let need = self.handler.tick(self.sessions.current());
        if let Some(Need::AnotherConnection) = need {
            self.replace(Duration::ZERO);
        }
        self.hand_over();
        Ok(())
    }

    /// Hands a fresh token over before the old one ends; a source that fails is asked again later.
    fn renew(&mut self) {
        let Some(session) = self.sessions.current() else { return };
        if session.welcome.is_none() || !self.options.tokens.take_due() {
            return;
        }
        let (tokens, answers) = (Arc::clone(&self.options.tokens), self.tokens.0.clone());
        self.wires.spawn(async move {
            match tokens.renew().await {
                Ok(Some(token)) => drop(answers.send(token).await),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "link: no new token, asked again later"),
            }
        });
    }

    fn use_token(&mut self, token: &str) {
        match self.sessions.current() {
            // A stream has its token in the request that began it.
            Some(session) if session.kind == Kind::EventStream => self.replace(Duration::ZERO),
            Some(session) => session.send_first(json!({ "type": "token", "token": token })),
            None => {}
        }
    }

    fn dial(&mut self) {
        self.ids += 1;
        let (id, kind) = (Id(self.ids), self.kind());
        let (writer, writes) = Writer::new();
        let mut session = Session::new(id, kind, writer);
        let query = match kind {
            Kind::EventStream => self.handler.query(&mut session),
            Kind::WebSocket => Vec::new(),
        };
        if kind == Kind::EventStream && query.is_empty() {
            session.end(Closed::lost("an event stream needs a channel"));
        }
        self.sessions.add(session);
        if self.sessions.current.is_none() {
            self.tell(LinkState::Connecting, String::new(), Duration::ZERO);
        }
        let wait = self.options.connect_timeout;
        self.attempt = Some(Attempt { id, deadline: Instant::now() + wait });
        let (tokens, news) = (Arc::clone(&self.options.tokens), self.news.0.clone());
        let (url, http) = (self.options.url.clone(), self.options.http.clone());
        let is_refused = self.is_refused;
        self.wires.spawn(async move {
            let asked =
                async { if is_refused { tokens.renew().await } else { tokens.get().await } };
            // A source that fails is asked again after the back-off.
            let failed = match timeout(wait, asked).await {
                Ok(Ok(token)) => {
                    let address = Address { kind, url, query, token, http };
                    return wire::run(id, address, writes, news).await;
                }
                Ok(Err(error)) => format!("no token: {error}"),
                Err(_late) => "no token in time".to_owned(),
            };
            drop(news.send((id, News::Over(Closed::lost(failed)))).await);
        });
    }

    /// Every third attempt is an event stream, as long as no WebSocket ever opened.
    fn kind(&mut self) -> Kind {
        match self.options.transport {
            Transport::WebSocket => Kind::WebSocket,
            Transport::EventStream => Kind::EventStream,
            Transport::Auto => match self.sessions.current() {
                Some(session) => session.kind,
                None if self.has_opened_socket || self.failures % 3 < 2 => Kind::WebSocket,
                None => Kind::EventStream,
            },
        }
    }

    fn adopt(&mut self, id: Id) {
        self.attempt = None;
        self.retry_at = None;
        self.failures = 0;
        self.is_refused = false;
        self.leaving.extend(self.sessions.current.replace(id));
        if let Some(session) = self.sessions.get(id) {
            self.has_opened_socket |= session.kind == Kind::WebSocket;
            let (welcome, degraded) = (session.welcome.clone(), session.degraded.clone());
            self.changes.send_modify(|change| {
                *change =
                    Change { state: LinkState::Connected, welcome, degraded, ..Change::default() };
            });
            self.handler.ready(session);
        }
    }

    fn hand_over(&mut self) {
        let Some(current) = self.sessions.current else { return };
        if !self.leaving.is_empty() && self.handler.settled(current) {
            for old in std::mem::take(&mut self.leaving) {
                self.forget(old);
            }
        }
    }

    /// Leaves a connection, or notes its end.
    fn forget(&mut self, id: Id) -> Option<Closed> {
        let session = self.sessions.remove(id)?;
        self.handler.lost(&mut self.sessions, id);
        session.over
    }

    /// Forgets connections that have ended; an older one that lives is used again meanwhile.
    fn close_ended(&mut self) -> Result<(), Error> {
        let over: Vec<Id> = self
            .sessions
            .iter_mut()
            .filter(|session| session.over.is_some())
            .map(|s| s.id)
            .collect();
        for id in over {
            let Some(why) = self.forget(id) else { continue };
            self.leaving.retain(|leaving| *leaving != id);
            let was_attempt = self.attempt.take_if(|attempt| attempt.id == id).is_some();
            let was_current = self.sessions.current == Some(id);
            if was_current {
                self.sessions.current = self.leaving.pop();
            }
            if was_attempt || (was_current && self.attempt.is_none() && self.retry_at.is_none()) {
                self.failed(&why)?;
            } else if was_current && self.sessions.current.is_none() {
                self.tell(LinkState::Connecting, why.reason, Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Judges an end: comes back whatever the code, but for three.
    fn failed(&mut self, why: &Closed) -> Result<(), Error> {
        let mut wait = Duration::ZERO;
        match verdict(why.code) {
            Verdict::Stop => return Err(why.clone().into()),
            Verdict::NewToken if self.is_refused || !self.options.tokens.renewable() => {
                return Err(why.clone().into());
            }
            Verdict::NewToken => self.is_refused = true,
            Verdict::Retry => {
                self.failures += 1;
                wait = self.options.backoff.wait(self.failures);
            }
        }
        self.retry_at = Some(Instant::now() + wait);
        if self.sessions.current.is_none() {
            self.tell(LinkState::Connecting, why.reason.clone(), wait);
        }
        Ok(())
    }

    /// Writes what waits, as fast as each server allows.
    fn flush(&mut self) {
        let now = Instant::now();
        for session in self.sessions.iter_mut() {
            while session.welcome.is_some() && session.over.is_none() && !session.queue.is_empty() {
                if session.pace.take(now).is_err() {
                    break;
                }
                let frame = match session.queue.pop_front() {
                    Some(Outgoing::Frame(frame)) => Some(frame),
                    Some(Outgoing::Question(channel)) => self.handler.question(session, &channel),
                    None => None,
                };
                if let Some(frame) = frame {
                    session.write(&frame);
                }
            }
        }
    }

    fn tell(&self, state: LinkState, reason: String, wait: Duration) {
        self.changes.send_modify(|change| {
            *change = Change { state, reason, wait, ..Change::default() };
        });
    }
}
