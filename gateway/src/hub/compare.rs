//! Comparing silent channels with the broker's heads, and with SQL where those say nothing.
//!
//! A lost last event — "deployment completed" — is followed by nothing that would show the hole.
//! So every channel that was silent for a second is compared, all of them after a reconnect.

use std::{collections::HashMap, sync::Arc, time::Duration};

use shared::{channel::Channel, position::Offsets, source::Source};
use tokio::time::Instant;

use super::{Hub, room::Room};

/// How often silent channels are compared.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a channel whose head nobody knows is taken to be as SQL said.
const STORE_INTERVAL: Duration = Duration::from_secs(60);

/// How many heads one request asks for.
const HEADS_AT_ONCE: usize = 1000;

/// How many channels one look into SQL is about.
const POSITIONS_AT_ONCE: usize = 500;

/// How many comparisons there are between two sweeps of what nobody listens to.
const SWEEP_EVERY: u32 = 10;

impl Hub {
    /// Compares silent channels for ever.
    pub async fn run(self: Arc<Self>) {
        let mut round: u32 = 0;
        loop {
            tokio::time::sleep(INTERVAL).await;
            round = round.wrapping_add(1);
            self.read_sources().await;
            self.listen_to_itself().await;
            let now = Instant::now();
            let silent = self.rooms().into_iter().filter(|room| {
                let inner = room.lock();
                let listened = !inner.live.is_empty() || inner.behind > 0;
                listened
                    && inner.fresh_at.is_some_and(|fresh| now.duration_since(fresh) >= INTERVAL)
            });
            if self.is_trusted() {
                self.compare(silent.collect()).await;
            } else {
                // Deaf: SQL answers for everything that has listeners.
                self.compare_with_store(silent.collect()).await;
            }
            if round.is_multiple_of(SWEEP_EVERY) {
                self.sweep();
            }
        }
    }

    /// Compares every channel: the subscriber has a new connection. What SQL said before counts no
    /// more, so a channel without a head is asked about until SQL has answered.
    pub(crate) async fn compare_all(self: &Arc<Self>) {
        self.read_sources().await;
        let rooms = self.rooms();
        for room in &rooms {
            room.lock().asked_store_at = None;
        }
        self.compare(rooms).await;
    }

    /// Reads generations from the sources' rows: a head of another generation proves nothing.
    async fn read_sources(&self) {
        let wanted: Vec<Source> = Source::all(self.partitions).collect();
        match self.store.sources(&wanted).await {
            Ok(rows) => {
                let rows = rows.into_iter().map(|row| (row.source, row)).collect();
                self.sources.store(Arc::new(rows));
                self.metrics.store_up.set(1.0);
                self.store_answered.store(Arc::new(Instant::now()));
            }
            Err(error) => {
                self.metrics.store_up.set(0.0);
                tracing::debug!(%error, "the sources' rows cannot be read");
            }
        }
    }

    async fn compare(self: &Arc<Self>, rooms: Vec<Arc<Room>>) {
        let mut unknown = Vec::new();
        for chunk in rooms.chunks(HEADS_AT_ONCE) {
            let wanted: Vec<(Channel, Source)> = chunk
                .iter()
                .flat_map(|room| {
                    let sources = self.sources_of(room);
                    sources.into_iter().map(|source| (room.channel.clone(), source))
                })
                .collect();
            let Ok(heads) = self.broker.heads(&wanted).await else {
                unknown.extend_from_slice(chunk);
                continue;
            };
            let mut known: HashMap<&Channel, (Offsets, bool)> = HashMap::new();
            for ((channel, source), head) in wanted.iter().zip(heads) {
                let (offsets, certain) =
                    known.entry(channel).or_insert_with(|| (Offsets::default(), false));
                let generation = self.sources.load().get(source).map(|row| row.generation);
                if let Some(head) = head.filter(|head| Some(head.generation) == generation) {
                    offsets.set(*source, head.offset);
                    *certain = true;
                }
            }
            for room in chunk {
                match known.get(&room.channel) {
                    Some((offsets, true)) => {
                        room.lock().fresh_at = Some(Instant::now());
                        self.hear(room, offsets, "silence");
                    }
                    _ => unknown.push(Arc::clone(room)),
                }
            }
        }
        let due = |room: &Arc<Room>| {
            let asked = room.lock().asked_store_at;
            asked.is_none_or(|asked| asked.elapsed() > STORE_INTERVAL)
        };
        self.compare_with_store(unknown.into_iter().filter(due).collect()).await;
    }

    async fn compare_with_store(self: &Arc<Self>, rooms: Vec<Arc<Room>>) {
        for chunk in rooms.chunks(POSITIONS_AT_ONCE) {
            let channels: Vec<Channel> = chunk.iter().map(|room| room.channel.clone()).collect();
            let Ok(positions) = self.store.positions(&channels).await else { return };
            for (room, position) in chunk.iter().zip(positions) {
                let same_epoch = {
                    let mut inner = room.lock();
                    inner.asked_store_at = Some(Instant::now());
                    inner.fresh_at = Some(Instant::now());
                    inner.position.as_ref().is_none_or(|at| at.epoch == position.epoch)
                };
                if same_epoch {
                    self.hear(room, &position.offsets, "silence");
                } else {
                    self.change_epoch(room);
                }
            }
        }
    }
}
