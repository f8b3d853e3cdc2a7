//! All channels of a client, over whichever connections there are: each is asked for them, within
//! its limits, until all are confirmed.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    backoff::Backoff,
    error::{Closed, Error, SILENT},
    feed::Feed,
    frame::Frame,
    handler::{Handler, Need},
    reader::Shared,
    session::{Ask, Outgoing, Session, Sessions},
    wire::{Id, Kind},
};

/// How long a server that is whole may take to answer a `subscribe`.
const CONFIRM: Duration = Duration::from_secs(10);

/// Errors of a channel that asking again does not mend.
const FINAL: [&str; 6] =
    ["forbidden", "unauthorized", "unknown_channel", "bad_position", "bad_frame", "bad_json"];

/// What a client wants of its channels.
pub(crate) enum Command {
    Add(Feed),
    /// A reader is gone.
    Sweep,
    /// The reader had fallen behind, and has caught up.
    CaughtUp(Arc<Shared>),
    Presence(&'static str),
    Close,
}

/// The channels, in the order in which they were asked for.
pub(crate) struct Channels {
    feeds: Vec<Feed>,
    backoff: Backoff,
    /// How the user is there; said anew to each connection.
    presence: Option<Value>,
}

impl Channels {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self { feeds: Vec::new(), backoff, presence: None }
    }

    fn feed(&mut self, channel: &str) -> Option<&mut Feed> {
        self.feeds.iter_mut().find(|feed| feed.channel == channel)
    }

    fn of(&mut self, reader: &Arc<Shared>) -> Option<&mut Feed> {
        self.feeds.iter_mut().find(|feed| feed.is_read_by(reader))
    }

    /// Leaves what nobody reads any more, or not fast enough.
    fn sweep(&mut self, sessions: &mut Sessions) {
        for feed in self.feeds.iter().filter(|feed| feed.behind || feed.is_closed()) {
            for session in sessions.iter_mut() {
                session.leave(&feed.channel);
            }
        }
        self.feeds.retain(|feed| !feed.is_closed());
    }

    fn refused(&mut self, session: &mut Session, frame: &Frame, channel: &str) {
        let code = frame.text("code").unwrap_or_default();
        let message = frame.text("message").unwrap_or_default();
        let backoff = self.backoff;
        let Some(feed) = self.feed(channel) else { return };
        if FINAL.contains(&code) {
            feed.end(Error::Refused {
                channel: channel.to_owned(),
                code: code.to_owned(),
                message: message.to_owned(),
            });
            session.asks.remove(channel);
            return self.feeds.retain(|feed| feed.channel != channel);
        }
        feed.fail(code, message);
        if feed.asked == Some(session.id) {
            session.asks.remove(channel);
            feed.failures += 1;
            feed.retry_at = Some(Instant::now() + backoff.wait(feed.failures));
            feed.lost(session.id);
        }
    }
}

/// Puts the question for a channel into the queue of a connection, where there is a place.
fn ask(session: &mut Session, feed: &mut Feed, again: bool) {
    let known = Some(session.id);
    if feed.behind || feed.home == known || feed.asked == known {
        return;
    }
    if session.kind == Kind::EventStream || session.asks.contains_key(&feed.channel) {
        return;
    }
    if !session.has_place() {
        if !std::mem::replace(&mut feed.told, true) {
            let message = "the server allows no more channels on one connection: it waits";
            feed.fail("too_many_subscriptions", message);
        }
        return;
    }
    feed.told = false;
    session.asks.insert(feed.channel.clone(), Ask { at: None, again });
    session.enqueue(Outgoing::Question(feed.channel.clone()));
}

impl Handler for Channels {
    type Command = Command;

    fn query(&mut self, session: &mut Session) -> Vec<(String, String)> {
        let mut query = Vec::new();
        for feed in self.feeds.iter_mut().filter(|feed| !feed.behind) {
            let frame = feed.ask(session.id);
            let at = Some(Instant::now());
            session.asks.insert(feed.channel.clone(), Ask { at, again: false });
            let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
            let mode = if feed.wish.latest { "latest" } else { "all" };
            query.push(("channel".to_owned(), feed.channel.clone()));
            query.push(("since".to_owned(), text("since")));
            query.push(("tail".to_owned(), frame["tail"].as_u64().unwrap_or(0).to_string()));
            query.push(("mode".to_owned(), mode.to_owned()));
        }
        query
    }

    fn ready(&mut self, session: &mut Session) {
        if let Some(presence) = &self.presence {
            session.send(presence.clone());
        }
        for feed in &mut self.feeds {
            ask(session, feed, false);
        }
    }

    fn command(&mut self, sessions: &mut Sessions, command: Command) -> ControlFlow<()> {
        match command {
            Command::Add(mut feed) => {
                if let Some(session) = sessions.current() {
                    ask(session, &mut feed, false);
                }
                self.feeds.push(feed);
            }
            Command::Sweep => self.sweep(sessions),
            Command::CaughtUp(reader) => {
                if let Some(feed) = self.of(&reader) {
                    feed.behind = false;
                    if let Some(session) = sessions.current() {
                        ask(session, feed, false);
                    }
                }
            }
            Command::Presence(status) => {
                let frame = json!({ "type": "presence", "status": status });
                self.presence = Some(frame.clone());
                if let Some(session) = sessions.current() {
                    session.send(frame);
                }
            }
            Command::Close => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn question(&mut self, session: &mut Session, channel: &str) -> Option<Value> {
        let ask = session.asks.get_mut(channel)?;
        if ask.at.is_some() {
            return None;
        }
        let frame = self.feed(channel).map(|feed| feed.ask(session.id))?;
        if let Some(ask) = session.asks.get_mut(channel) {
            ask.at = Some(Instant::now());
        }
        Some(frame)
    }

    fn hear(&mut self, sessions: &mut Sessions, id: Id, frame: Frame) {
        let Some(channel) = frame.channel().map(str::to_owned) else { return };
        let Some(session) = sessions.get(id) else { return };
        if session.is_void(frame.kind(), &channel) {
            return;
        }
        match frame.kind() {
            "error" => self.refused(session, &frame, &channel),
            "unsubscribed" => {
                session.asks.remove(&channel);
                if let Some(feed) = self.feed(&channel) {
                    let (code, message) =
                        ("unsubscribed".to_owned(), "the server left it".to_owned());
                    feed.end(Error::Refused { channel: channel.clone(), code, message });
                }
                self.feeds.retain(|feed| feed.channel != channel);
            }
            _ => {
                if frame.kind() == "subscribed"
                    && let Some(ask) = session.asks.get_mut(&channel)
                {
                    *ask = Ask::default();
                }
                if let Some(feed) = self.feed(&channel) {
                    feed.take(id, frame);
                }
            }
        }
        self.sweep(sessions);
    }

    fn lost(&mut self, sessions: &mut Sessions, id: Id) {
        for feed in &mut self.feeds {
            feed.lost(id);
        }
        self.sweep(sessions);
    }

    fn settled(&self, id: Id) -> bool {
        let here = Some(id);
        self.feeds.iter().all(|feed| feed.home == here || (feed.home.or(feed.asked)).is_none())
    }

    fn tick(&mut self, session: Option<&mut Session>) -> Option<Need> {
        let session = session?;
        let now = Instant::now();
        let overdue: Vec<(String, bool)> = session
            .asks
            .iter_mut()
            .filter_map(|(channel, ask)| {
                let is_late = now.saturating_duration_since(ask.at?) >= CONFIRM;
                if is_late && session.degraded.is_some() {
                    ask.at = Some(now); // It said why it does not answer.
                    return None;
                }
                is_late.then(|| (channel.clone(), ask.again))
            })
            .collect();
        for (channel, again) in overdue {
            if again || session.kind == Kind::EventStream {
                session.end(Closed::new(SILENT, format!("{channel} was not confirmed")));
                return None;
            }
            session.leave(&channel);
            if let Some(feed) = self.feed(&channel) {
                feed.lost(session.id);
                ask(session, feed, true);
            }
        }
        for feed in self.feeds.iter_mut().filter(|feed| !feed.behind) {
            let waits = feed.retry_at.is_some_and(|at| at > now);
            if waits || session.asks.contains_key(&feed.channel) {
                continue;
            }
            if session.kind == Kind::EventStream {
                return Some(Need::AnotherConnection); // A stream has its channels in the address.
            }
            ask(session, feed, false);
        }
        None
    }

    fn end(&mut self, error: &Error) {
        for mut feed in self.feeds.drain(..) {
            feed.end(error.clone());
        }
    }
}
