//! The agents of this node, as the queue of tasks knows them: who is here, and what is handed over.
//!
//! One loop writes what the agents' sockets said into SQL, with a heartbeat of the node, and fetches
//! what is to be handed over. Each attempt is claimed in SQL before its frame is written, so it is
//! written at most once, and only while the row of its task says so.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use domain::{entry::Fields, event::submission::field, node::NodeId, source::Stream};
use futures_util::future::join_all;
use runtime::{config::WorkSettings, lifecycle::Lifecycle};
use store::{AgentSocket, Attempts, Claimed, Handover, Said, Store, StoreError};
use tokio::{sync::Notify, time::Instant};
use websocket::close;

use crate::{
    ingest::publisher::EventPublisher,
    protocol::{AgentFrames, AgentOffer, Recipient, TaskHandover},
};

/// How often the node looks when nobody wakes it.
const LOOK: Duration = Duration::from_millis(500);

/// How long a heartbeat may stay unconfirmed until agents that hold an attempt are sent elsewhere.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(10);

/// How long a frame may wait for a socket that is full.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// The agents of a node.
pub struct AgentRoster {
    node: NodeId,
    store: Arc<dyn Store>,
    publisher: Arc<EventPublisher>,
    settings: WorkSettings,
    life: Lifecycle,
    seats: Mutex<Seats>,
    changed: Notify,
}

#[derive(Default)]
struct Seats {
    by_connection: HashMap<Box<str>, Seat>,
    /// Sockets that are gone and still have a row.
    gone: Vec<Box<str>>,
    /// Sockets that hold an attempt, as of the last look.
    holders: HashSet<Box<str>>,
}

struct Seat {
    socket: AgentSocket,
    /// What is not written yet.
    unwritten: Option<Said>,
    frames: &'static dyn AgentFrames,
    recipient: Weak<dyn Recipient>,
}

impl AgentRoster {
    /// Returns a roster without agents.
    pub fn new(
        node: NodeId,
        store: Arc<dyn Store>,
        publisher: Arc<EventPublisher>,
        settings: WorkSettings,
        life: Lifecycle,
    ) -> Self {
        let (seats, changed) = (Mutex::default(), Notify::new());
        Self { node, store, publisher, settings, life, seats, changed }
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what an agent said on a socket.
    pub fn offer(&self, offer: AgentOffer, recipient: Weak<dyn Recipient>) {
        let AgentOffer { socket, is_first, running, frames } = offer;
        let said = if is_first { Said::First(running) } else { Said::Later };
        let mut seats = self.lock();
        let before = seats.by_connection.remove(&socket.connection);
        // A first status that is not written yet stays the first.
        let unwritten = before.and_then(|before| before.unwritten);
        let unwritten = unwritten.filter(|said| matches!(said, Said::First(_))).unwrap_or(said);
        let connection = socket.connection.clone();
        let seat = Seat { socket, unwritten: Some(unwritten), frames, recipient };
        seats.by_connection.insert(connection, seat);
        drop(seats);
        self.changed.notify_one();
    }

    /// Takes note of the end of a socket.
    pub fn leave(&self, connection: &str) {
        let mut seats = self.lock();
        if seats.by_connection.remove(connection).is_some() {
            seats.gone.push(connection.into());
            drop(seats);
            self.changed.notify_one();
        }
    }

    /// Wakes the node: there is something to hand over.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Returns the last attempt of a task; none of one that is not for one.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn last_attempt(&self, task: &str) -> Result<Option<u64>, StoreError> {
        let view = self.store.work().task(task).await?;
        Ok(view.map(|view| view.task.attempt))
    }

    /// Runs until the process stops.
    pub async fn run(&self) {
        let mut confirmed = Instant::now();
        let mut is_healthy = true;
        loop {
            let _look = tokio::time::timeout(LOOK, self.changed.notified()).await;
            match self.look().await {
                Ok(()) => {
                    confirmed = Instant::now();
                    is_healthy = true;
                }
                Err(error) => {
                    if std::mem::take(&mut is_healthy) {
                        tracing::warn!(%error, "agents: roster not written, tried again twice a second");
                    }
                    if confirmed.elapsed() > UNCONFIRMED_MAX {
                        self.send_holders_away();
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Removes all sockets of the node: it stops.
    pub async fn deregister(&self) {
        let connections: Vec<Box<str>> = {
            let mut seats = self.lock();
            let seated = seats.by_connection.drain().map(|(connection, _)| connection);
            let seated: Vec<Box<str>> = seated.collect();
            seated.into_iter().chain(std::mem::take(&mut seats.gone)).collect()
        };
        for connection in connections {
            if let Err(error) = self.store.work().unseat_agent(&connection).await {
                tracing::debug!(%error, "agents: socket not removed, it counts as dead soon");
                return;
            }
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        let gone = std::mem::take(&mut self.lock().gone);
        for (at, connection) in gone.iter().enumerate() {
            if let Err(error) = self.store.work().unseat_agent(connection).await {
                self.lock().gone.extend(gone[at..].iter().cloned());
                return Err(error);
            }
        }
        if self.lock().by_connection.is_empty() {
            return Ok(());
        }
        self.beat().await?;
        self.write_seats().await?;
        self.hand_over().await
    }

    /// Says that the node lives; sockets whose rows are gone, because it was taken for dead, are
    /// written again.
    async fn beat(&self) -> Result<(), StoreError> {
        let beat = self.store.work().beat(&self.node.0).await?;
        let mut seats = self.lock();
        seats.holders = beat.holders.into_iter().collect();
        let written = seats.by_connection.values().filter(|seat| seat.unwritten.is_none()).count();
        if beat.sockets < written as u64 {
            for seat in seats.by_connection.values_mut() {
                seat.unwritten.get_or_insert(Said::Restored);
            }
        }
        Ok(())
    }

    async fn write_seats(&self) -> Result<(), StoreError> {
        let unwritten: Vec<(AgentSocket, Said)> = {
            let mut seats = self.lock();
            let seats = seats.by_connection.values_mut();
            seats.filter_map(|seat| Some((seat.socket.clone(), seat.unwritten.take()?))).collect()
        };
        let mut failed = None;
        for (socket, said) in unwritten {
            let written = match &failed {
                None => self.store.work().seat_agent(&self.node.0, &socket, &said).await,
                Some(_) => Ok(Attempts::new()),
            };
            match written {
                Ok(stale) if failed.is_none() => self.tell_stale(&socket, &stale),
                Ok(_) => self.unwrite(&socket.connection, said),
                Err(error) => {
                    self.unwrite(&socket.connection, said);
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// What was not written is written with the next look.
    fn unwrite(&self, connection: &str, said: Said) {
        if let Some(seat) = self.lock().by_connection.get_mut(connection) {
            match said {
                Said::First(_) => seat.unwritten = Some(said),
                Said::Later | Said::Restored => drop(seat.unwritten.get_or_insert(said)),
            }
        }
    }

    /// Tells an agent that it runs what is not its own any more.
    fn tell_stale(&self, socket: &AgentSocket, stale: &Attempts) {
        if !socket.cancels {
            return;
        }
        let Some((recipient, frames)) = self.seat(&socket.connection) else { return };
        for (task, attempt) in stale {
            // Who is too slow to hear it says it again with its next connection.
            let _full = recipient.send(&frames.cancel(task, *attempt, "stale"));
        }
    }

    fn seat(&self, connection: &str) -> Option<(Arc<dyn Recipient>, &'static dyn AgentFrames)> {
        let seats = self.lock();
        let seat = seats.by_connection.get(connection)?;
        Some((seat.recipient.upgrade()?, seat.frames))
    }

    /// Fetches and writes what is to be handed over.
    async fn hand_over(&self) -> Result<(), StoreError> {
        let handovers = self.store.work().handovers(&self.node.0).await?;
        let all = handovers.iter().map(|handover| self.hand(handover));
        join_all(all).await.into_iter().collect()
    }

    async fn hand(&self, handover: &Handover) -> Result<(), StoreError> {
        let Some((recipient, frames)) = self.seat(&handover.connection) else { return Ok(()) };
        let work = self.store.work();
        if let Some(reason) = &handover.stop {
            if work.cancellation_written(handover).await? {
                let frame = frames.cancel(&handover.task, handover.attempt, reason);
                let _closed = self.write(&*recipient, frame).await;
            }
            return Ok(());
        }
        let Some(claimed) = work.claim_attempt(handover).await? else { return Ok(()) };
        let frame = frames.task(&self.handed(handover, &claimed));
        if !self.write(&*recipient, frame).await {
            return work.unclaim_attempt(handover).await;
        }
        self.note_written(handover, &claimed);
        Ok(())
    }

    fn handed<'a>(&self, handover: &'a Handover, claimed: &'a Claimed) -> TaskHandover<'a> {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let own = claimed.task.spec.timeout_ms.and_then(|ms| u64::try_from(ms).ok());
        TaskHandover {
            id: &handover.task,
            attempt: handover.attempt,
            claimed,
            grace_ms: ms(self.settings.grace),
            timeout_ms: own.unwrap_or_else(|| ms(self.settings.timeout)),
        }
    }

    /// Writes a frame; whether the socket took it.
    async fn write(&self, recipient: &dyn Recipient, frame: websocket::Frame) -> bool {
        let written = recipient.send_all(std::slice::from_ref(&frame));
        tokio::time::timeout(WRITE_MAX, written).await.is_ok() && !recipient.transport().is_closed()
    }

    /// An agent that does not say when it begins has begun when the frame was written.
    fn note_written(&self, handover: &Handover, claimed: &Claimed) {
        let seats = self.lock();
        let Some(seat) = seats.by_connection.get(&handover.connection) else { return };
        let Some(agent) = claimed.task.holder.as_deref().filter(|_| !seat.socket.accepts) else {
            return;
        };
        let data = serde_json::json!({ "attempt": handover.attempt, "written": true });
        let mut fields = Fields::default();
        fields.push(field::TYPE, "task_accepted");
        fields.push(field::ID, &*handover.task);
        fields.push(field::DATA, data.to_string());
        fields.push(field::HOLDER, agent);
        fields.push(field::SOCKET, &*handover.connection);
        let publisher = Arc::clone(&self.publisher);
        self.life.spawn_until_stop(async move {
            let _refused = publisher.publish_until_recorded(vec![(Stream::Tasks, fields)]).await;
        });
    }

    /// Nobody can say any more whether these agents still hold what they hold: they come back
    /// elsewhere.
    fn send_holders_away(&self) {
        let holders: Vec<Arc<dyn Recipient>> = {
            let seats = self.lock();
            let held = seats.holders.iter().filter_map(|one| seats.by_connection.get(one));
            held.filter(|seat| seat.socket.accepts)
                .filter_map(|seat| seat.recipient.upgrade())
                .collect()
        };
        for recipient in holders {
            recipient.transport().close(close::RESTARTING, "the queue is out of reach");
        }
    }
}
