//! Who is still there: one sweep over all connections instead of a timer in each.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::close;
use crate::connection::Connection;
use crate::frame::Frame;
use crate::heartbeat::{Heartbeat, OnTimeout};
use crate::liveness::Due;
use crate::runtime::Runtime;
use crate::shards::Shards;

/// How many pings are written before other tasks get their turn.
const WRITES_PER_TURN: usize = 128;

/// Sweeps over all connections, as often as the shortest heartbeat asks for and at least once a
/// second. Runs until everything is to end, and then closes what is open with 1001.
pub(crate) async fn sweep(runtime: Arc<Runtime>, shards: Arc<Shards>) {
    let work = async {
        loop {
            runtime.next_sweep().await;
            let mut round = Round::default();
            for shard in 0..Shards::COUNT {
                round.run(&shards.due(shard, runtime.now())).await;
            }
        }
    };
    runtime.stopping.run_until_cancelled(work).await;
    for connection in shards.all() {
        connection.close(close::GOING_AWAY, "");
    }
}

/// One sweep: each heartbeat's frame is made once in it.
#[derive(Default)]
struct Round {
    frames: Vec<(Arc<Heartbeat>, Option<Frame>)>,
    writes: usize,
}

impl Round {
    async fn run(&mut self, due: &[(Arc<Connection>, Due)]) {
        for (connection, due) in due {
            let heartbeat = connection.heartbeat();
            match (due, heartbeat.on_timeout) {
                (Due::Timeout, OnTimeout::Close { code, reason, last }) => {
                    if let Some(last) = last {
                        connection.send_if_room(&last());
                    }
                    connection.close(code, reason);
                }
                (Due::Timeout, OnTimeout::Abort) => connection.abort(),
                (Due::Ping, _) => {
                    if let Some(frame) = self.frame(&heartbeat) {
                        connection.send_if_room(frame);
                    }
                }
            }
            self.writes += 1;
            if self.writes.is_multiple_of(WRITES_PER_TURN) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn frame(&mut self, heartbeat: &Arc<Heartbeat>) -> Option<&Frame> {
        let known = self.frames.iter().position(|(known, _)| Arc::ptr_eq(known, heartbeat));
        let index = known.unwrap_or_else(|| {
            self.frames.push((Arc::clone(heartbeat), heartbeat.frame(unix_ms())));
            self.frames.len() - 1
        });
        self.frames[index].1.as_ref()
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
