//! One life of the subscriber's connection: subscribe to everything wanted, deliver, watch over itself.

use std::{
    io,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::MissedTickBehavior;

use super::{
    super::{
        resp::{self, RespFrame},
        shards::RedisShards,
        slot,
    },
    coverage::Coverage,
    probe::Probe,
    socket::{Incoming, SubscriberSocket},
    subscription_set::{SubscriptionSet, SubscriptionTable},
};
use crate::{Sink, TopicMessage};

/// How often the connection is asked whether it lives, and the probe is sent.
const TICK: Duration = Duration::from_secs(1);

/// After so many ticks without a byte the connection is dead.
const SILENT_TICKS_MAX: u32 = 5;

/// What a connection knows of its server and of those who use it.
pub(super) struct ServerContext<'a> {
    pub(super) address: &'a str,
    pub(super) shards: &'a RedisShards,
    pub(super) coverage: &'a Coverage,
    pub(super) subscriptions: &'a SubscriptionSet,
    pub(super) sink: &'a dyn Sink,
    pub(super) failures: &'a AtomicU32,
}

/// A connection with its duties.
pub(super) struct SubscriberConnection<'a> {
    connection: SubscriberSocket,
    probe: Probe,
    context: ServerContext<'a>,
    /// Whether the sink knows that everything wanted is subscribed.
    announced: bool,
    /// Whether the last read emptied the socket: only then does silence mean anything.
    drained: bool,
    silent_ticks: u32,
}

impl<'a> SubscriberConnection<'a> {
    pub(super) fn new(
        connection: SubscriberSocket,
        probe: Probe,
        context: ServerContext<'a>,
    ) -> Self {
        Self { connection, probe, context, announced: false, drained: true, silent_ticks: 0 }
    }

    /// Serves until the connection is lost, and says why.
    pub(super) async fn serve(mut self) -> io::Error {
        self.context.subscriptions.lock().attach();
        let error = match self.listen().await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        self.context.subscriptions.lock().detach();
        self.context.coverage.lose(self.context.address);
        if self.announced {
            self.context.sink.disconnected(&error.to_string());
        }
        error
    }

    async fn listen(&mut self) -> io::Result<std::convert::Infallible> {
        let subscribe = self.context.subscriptions.command();
        self.connection.write(&resp::encode(&[subscribe, self.probe.name.as_bytes()])).await?;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.send_commands().await?;
            self.announce().await;
            tokio::select! {
                drained = self.connection.read() => {
                    self.drained = drained?;
                    self.silent_ticks = 0;
                    self.deliver().await?;
                }
                _ = ticks.tick() => self.tick().await?,
                accepted = self.probe.published() => self.probe.note(accepted),
                () = self.context.subscriptions.changed() => {}
            }
        }
    }

    async fn send_commands(&mut self) -> io::Result<()> {
        let commands = self.context.subscriptions.lock().commands();
        if commands.is_empty() { Ok(()) } else { self.connection.write(&commands).await }
    }

    /// Tells the sink once that everything wanted is subscribed, and again when a caller was told
    /// that a topic is not and now it is.
    async fn announce(&mut self) {
        let due = {
            let mut subscriptions = self.context.subscriptions.lock();
            let fulfilled = self.probe.subscribed && subscriptions.is_fulfilled();
            fulfilled && (!self.announced | subscriptions.take_late())
        };
        if due {
            self.announced = true;
            let is_whole = self.context.coverage.announce(self.context.address);
            self.context.sink.connected(is_whole).await;
        }
    }

    async fn deliver(&mut self) -> io::Result<()> {
        let mut batch = Delivery::default();
        {
            let Self { connection, context, probe, .. } = self;
            let mut subscriptions = context.subscriptions.lock();
            connection.drain(|incoming| batch.take(incoming, &mut subscriptions, probe))?;
        }
        if !batch.messages.is_empty() {
            self.context.sink.deliver(batch.messages).await;
        }
        for delay in batch.echoes {
            self.context.failures.store(0, Ordering::Relaxed);
            self.context.sink.canary(delay);
        }
        if batch.sent_elsewhere {
            self.context.shards.note_stale();
        }
        Ok(())
    }

    async fn tick(&mut self) -> io::Result<()> {
        self.silent_ticks += 1;
        if self.silent_ticks > SILENT_TICKS_MAX {
            return Err(io::Error::other("no answer to PING"));
        }
        if self.announced && self.drained {
            self.probe.verdict().map_err(io::Error::other)?;
        }
        self.context.subscriptions.lock().retry_refused();
        self.probe.send();
        self.connection.write(&resp::encode(&[b"PING"])).await
    }
}

/// What one read brought.
#[derive(Default)]
struct Delivery {
    messages: Vec<TopicMessage>,
    /// How long probes took that came back.
    echoes: Vec<Duration>,
    /// Whether names live at another server now.
    sent_elsewhere: bool,
}

impl Delivery {
    fn take(
        &mut self,
        incoming: Incoming<'_>,
        subscriptions: &mut SubscriptionTable,
        probe: &mut Probe,
    ) -> io::Result<()> {
        match incoming {
            Incoming::Message(name, payload) if name == probe.name.as_bytes() => {
                self.echoes.extend(probe.received(payload));
            }
            Incoming::Message(name, payload) => {
                if let Some(topic) = subscriptions.topic(name) {
                    // Copied, so that a message that is kept does not keep the whole buffer.
                    let payload = Bytes::copy_from_slice(payload);
                    self.messages.push(TopicMessage { topic, payload });
                }
            }
            Incoming::Other(RespFrame::Push(parts)) => {
                let [RespFrame::Text(kind), RespFrame::Text(name), ..] = parts.as_slice() else {
                    return Ok(());
                };
                let is_probe = *name == probe.name.as_bytes();
                match *kind {
                    b"subscribe" | b"ssubscribe" | b"unsubscribe" => {
                        probe.subscribed |= is_probe;
                        subscriptions.confirm(name);
                    }
                    b"sunsubscribe" if is_probe => {
                        return Err(io::Error::other("the slot of its probe was moved"));
                    }
                    b"sunsubscribe" => self.sent_elsewhere |= subscriptions.end(name),
                    _ => {}
                }
            }
            Incoming::Other(RespFrame::Error(text)) => {
                let text = String::from_utf8_lossy(text);
                let slot = text.strip_prefix("MOVED ").and_then(|rest| rest.split(' ').next());
                let Some(slot) = slot.and_then(|slot| slot.parse::<u16>().ok()) else {
                    return Err(io::Error::other(text.into_owned()));
                };
                subscriptions.refuse(|name| slot::of(name) == slot);
                self.sent_elsewhere = true;
            }
            Incoming::Other(_) => {}
        }
        Ok(())
    }
}
