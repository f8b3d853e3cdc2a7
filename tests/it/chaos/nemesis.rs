//! The nemesis: breaks one thing, repairs it, and measures until every viewer goes on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use services::RedisCluster;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::judge::History;
use crate::cluster::Cluster;

/// No fault may stop the viewers for longer.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

/// What can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    WorkerKilled,
    WorkerLeaves,
    WorkerFrozen,
    GatewayKilled,
    SubscribersCut,
    ClientsCut,
    RedisKilled,
    RedisFrozen,
    RedisFlushed,
    SqlKilled,
    SqlFrozen,
    MasterKilled,
    MasterFrozen,
    MasterReplaced,
    LaggingReplicaPromoted,
    SlotsMoved,
}

/// What can break with one Redis.
pub(super) const FAULTS: [Fault; 11] = [
    Fault::WorkerKilled,
    Fault::WorkerLeaves,
    Fault::WorkerFrozen,
    Fault::GatewayKilled,
    Fault::SubscribersCut,
    Fault::ClientsCut,
    Fault::RedisKilled,
    Fault::RedisFrozen,
    Fault::RedisFlushed,
    Fault::SqlKilled,
    Fault::SqlFrozen,
];

/// What can break with a Redis Cluster.
pub(super) const SHARD_FAULTS: [Fault; 10] = [
    Fault::MasterKilled,
    Fault::MasterFrozen,
    Fault::MasterReplaced,
    Fault::LaggingReplicaPromoted,
    Fault::SlotsMoved,
    Fault::SubscribersCut,
    Fault::ClientsCut,
    Fault::WorkerKilled,
    Fault::GatewayKilled,
    Fault::SqlKilled,
];

/// How many slots are moved at once.
const SLOTS_MOVED: usize = 1_000;

/// FLUSHALL, and what a careful publisher does then, in one step so that nothing comes in between: it
/// sends its last events once more, with the `event_id` that they had. Entries that Redis had
/// acknowledged and no worker had recorded are lost without that: nobody else has them.
const FLUSH: &str = "
    local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 5000)
    redis.call('FLUSHALL')
    for at = #last, 1, -1 do redis.call('XADD', KEYS[1], '*', unpack(last[at][2])) end
    return #last";

/// How long each fault kept viewers from going on.
#[derive(Debug, Default)]
pub(super) struct Report(BTreeMap<Fault, Vec<Duration>>);

impl Report {
    /// How many faults there were.
    pub(super) fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    pub(super) fn add(&mut self, (fault, recovery): (Fault, Duration)) {
        self.0.entry(fault).or_default().push(recovery);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16} {:>5} {:>9} {:>9}", "fault", "times", "median", "longest")?;
        for (fault, times) in &self.0 {
            let mut times = times.clone();
            times.sort();
            let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
            let name = format!("{fault:?}");
            writeln!(f, "{name:<16} {:>5} {median:>9.1?} {longest:>9.1?}", times.len())?;
        }
        Ok(())
    }
}

/// One fault from its beginning to the moment at which every viewer has seen something newer than what
/// was there when it was repaired.
pub(super) async fn strike(
    cluster: &mut Cluster,
    faults: &[Fault],
    random: &mut StdRng,
    histories: &[Arc<Mutex<History>>],
) -> (Fault, Duration) {
    let fault = faults[random.random_range(0..faults.len())];
    let time = Duration::from_millis(random.random_range(50..1500));
    let victim = random.random_range(0..2);
    let began = Instant::now();
    inflict(cluster, fault, victim, time).await;
    let marks: Vec<u64> = histories.iter().map(|history| history.lock().unwrap().head()).collect();
    while histories
        .iter()
        .zip(&marks)
        .any(|(history, mark)| history.lock().unwrap().head() <= *mark)
    {
        assert!(began.elapsed() < RECOVERY_MAX, "after {fault:?} viewers do not go on");
        sleep(Duration::from_millis(10)).await;
    }
    (fault, began.elapsed())
}

async fn inflict(cluster: &mut Cluster, fault: Fault, victim: usize, time: Duration) {
    match fault {
        Fault::WorkerKilled => {
            block_in_place(|| cluster.workers[victim].kill());
            sleep(time).await;
            cluster.workers[victim].start_again(&cluster.http).await;
        }
        Fault::WorkerLeaves => {
            cluster.workers[victim].terminate();
            let code = block_in_place(|| cluster.workers[victim].exit_code());
            assert_eq!(code, Some(0), "a worker that is asked to leave does so in order");
            cluster.workers[victim].start_again(&cluster.http).await;
        }
        Fault::WorkerFrozen => {
            cluster.workers[victim].freeze();
            // Long enough for another one to take over, now and then.
            sleep(time * 5).await;
            cluster.workers[victim].thaw();
        }
        Fault::GatewayKilled => {
            block_in_place(|| cluster.gateways[victim].kill());
            sleep(time).await;
            cluster.gateways[victim].start_again(&cluster.http).await;
        }
        Fault::SubscribersCut | Fault::ClientsCut => {
            let kind = if fault == Fault::ClientsCut { "normal" } else { "pubsub" };
            let arguments = ["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"];
            block_in_place(|| match cluster.try_shards() {
                Some(shards) => {
                    shards.masters().into_iter().for_each(|it| drop(it.cli(&arguments)));
                }
                None => drop(cluster.redis().cli(&arguments)),
            });
        }
        Fault::RedisKilled => {
            block_in_place(|| cluster.redis().kill());
            sleep(time).await;
            block_in_place(|| cluster.redis().restart());
        }
        Fault::RedisFrozen => {
            cluster.redis().freeze();
            sleep(time).await;
            cluster.redis().thaw();
        }
        Fault::RedisFlushed => {
            let stream = format!("{}:tasks", cluster.prefix);
            block_in_place(|| cluster.redis().cli(&["EVAL", FLUSH, "1", &stream]));
        }
        Fault::SqlKilled => {
            block_in_place(|| cluster.postgres().kill());
            sleep(time).await;
            block_in_place(|| cluster.postgres().restart());
        }
        Fault::SqlFrozen => {
            cluster.postgres().freeze();
            sleep(time).await;
            cluster.postgres().thaw();
        }
        Fault::MasterKilled
        | Fault::MasterFrozen
        | Fault::MasterReplaced
        | Fault::LaggingReplicaPromoted
        | Fault::SlotsMoved => {
            block_in_place(|| inflict_on_shards(cluster.shards(), fault, victim, time));
        }
    }
}

/// One master, and what becomes of it; in the end the cluster is whole again.
fn inflict_on_shards(shards: &RedisCluster, fault: Fault, victim: usize, time: Duration) {
    let masters = shards.masters();
    let master = masters[victim];
    let replica = shards.replica_of(master);
    match fault {
        Fault::MasterKilled => {
            master.kill();
            shards.until_promoted(replica);
            master.restart();
        }
        // Long enough for its replica to take its place, now and then.
        Fault::MasterFrozen => {
            master.freeze();
            services::pause(time * 3);
            master.thaw();
        }
        Fault::MasterReplaced => shards.switch_over(master),
        // It hears nothing of the last moments, and its master dies. A careful publisher waits for a
        // replica (WAIT) and sends again what none has taken.
        Fault::LaggingReplicaPromoted => {
            replica.freeze();
            services::pause(time.min(Duration::from_millis(700)));
            master.kill();
            replica.thaw();
            shards.until_promoted(replica);
            master.restart();
        }
        _ => {
            let mut masters = masters;
            masters.sort_by_key(|master| shards.slots_of(master));
            shards.reshard(masters[masters.len() - 1], masters[0], SLOTS_MOVED);
        }
    }
    shards.settle();
}
