//! Comparing silent channels with the broker's heads, and with SQL where those say nothing.
//!
//! A lost last event — "deployment completed" — is followed by nothing that would show the hole.
//! So every channel that was silent for a second is compared, all of them after a reconnect.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::{channel::Channel, position::Offsets, source::Source};
use tokio::time::Instant;

use super::{channel_state::ChannelState, hub::Hub};

/// How often silent channels are compared.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a channel whose head nobody knows is taken to be as SQL said.
const STORE_INTERVAL: Duration = Duration::from_secs(60);

/// How many heads one request asks for.
const HEADS_AT_ONCE: usize = 1000;

/// How many channels one look into SQL is about.
const POSITIONS_AT_ONCE: usize = 500;

/// How many comparisons there are between two sweeps of channels without listeners.
const SWEEP_EVERY: u32 = 10;

impl Hub {
    /// Compares silent channels, until the process stops.
    pub async fn run(self: Arc<Self>) {
        let mut round: u32 = 0;
        loop {
            tokio::time::sleep(INTERVAL).await;
            round = round.wrapping_add(1);
            let epoch = self.history.epoch();
            self.history.read_sources().await;
            if self.history.epoch() != epoch {
                // Positions of before mean nothing any more: everybody is told at once.
                self.compare_with_store(self.states()).await;
            }
            self.check_subscriber().await;
            let now = Instant::now();
            let silent = self.states().into_iter().filter(|state| {
                let inner = state.lock();
                let listened = !inner.live.is_empty() || inner.behind > 0;
                listened
                    && inner.fresh_at.is_some_and(|fresh| now.duration_since(fresh) >= INTERVAL)
            });
            let (heard, unheard): (Vec<_>, Vec<_>) =
                silent.partition(|state| self.is_trusted(&state.channel));
            self.compare(heard).await;
            // Unsubscribed: SQL answers for everything that has listeners.
            self.compare_with_store(unheard).await;
            if round.is_multiple_of(SWEEP_EVERY) {
                self.sweep();
            }
        }
    }

    /// Compares every channel: the subscriber has a new connection. What SQL said before counts no
    /// more, so a channel without a head is asked about until SQL has answered.
    pub async fn compare_all(self: &Arc<Self>) {
        self.history.read_sources().await;
        let states = self.states();
        for state in &states {
            state.lock().asked_store_at = None;
        }
        self.compare(states).await;
    }

    async fn compare(self: &Arc<Self>, states: Vec<Arc<ChannelState>>) {
        let mut unknown = Vec::new();
        for chunk in states.chunks(HEADS_AT_ONCE) {
            let wanted: Vec<(Channel, Source)> = chunk
                .iter()
                .flat_map(|state| {
                    let sources = self.sources_of(state);
                    sources.into_iter().map(|source| (state.channel.clone(), source))
                })
                .collect();
            let Ok(heads) = self.history.heads(&wanted).await else {
                unknown.extend_from_slice(chunk);
                continue;
            };
            // Certain is a channel of which every source is: the head that is missing may be the one
            // that moved (gateway rule 3).
            let mut known: HashMap<&Channel, (Offsets, bool)> = HashMap::new();
            for ((channel, source), head) in wanted.iter().zip(heads) {
                let (offsets, certain) =
                    known.entry(channel).or_insert_with(|| (Offsets::default(), true));
                match head {
                    Some(head) => offsets.set(*source, head.offset),
                    None => *certain = false,
                }
            }
            for state in chunk {
                match known.get(&state.channel) {
                    Some((offsets, true)) => {
                        state.lock().fresh_at = Some(Instant::now());
                        self.note_heads(state, offsets, "silence");
                    }
                    _ => unknown.push(Arc::clone(state)),
                }
            }
        }
        let due = |state: &Arc<ChannelState>| {
            let asked = state.lock().asked_store_at;
            asked.is_none_or(|asked| asked.elapsed() > STORE_INTERVAL)
        };
        self.compare_with_store(unknown.into_iter().filter(due).collect()).await;
    }

    async fn compare_with_store(self: &Arc<Self>, states: Vec<Arc<ChannelState>>) {
        for chunk in states.chunks(POSITIONS_AT_ONCE) {
            let channels: Vec<Channel> = chunk.iter().map(|state| state.channel.clone()).collect();
            let Ok(positions) = self.history.positions(&channels).await else { return };
            for (state, position) in chunk.iter().zip(positions) {
                let same_epoch = {
                    let mut inner = state.lock();
                    inner.asked_store_at = Some(Instant::now());
                    inner.fresh_at = Some(Instant::now());
                    inner.position.as_ref().is_none_or(|at| at.epoch == position.epoch)
                };
                if same_epoch {
                    self.note_heads(state, &position.offsets, "silence");
                } else {
                    self.change_epoch(state);
                }
            }
        }
    }
}
