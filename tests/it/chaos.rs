//! Nothing lost, nothing twice, nothing silent, whatever breaks: a short run with seeded faults.
//!
//! Publishers number their events per channel; viewers on both nodes leave, come back and come late;
//! the nemesis breaks one thing after the other; the judge looks at what each viewer really saw.
//!
//! ```sh
//! cargo test --test it chaos                                            # 15 seconds each, another seed each time
//! FANFARE_CHAOS=SEED cargo test --test it chaos                         # the same faults again
//! FANFARE_CHAOS=SEED:1800 cargo test --release --test it chaos -- --nocapture   # half an hour
//! ```

mod judge;
mod nemesis;
mod publisher;
mod viewer;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use services::{Postgres, Redis, RedisCluster};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::cluster::{Cluster, Plan};
use judge::{History, judge};

const CHANNELS: u32 = 3;
const VIEWERS_PER_CHANNEL: u32 = 3;
/// How long everything may take to catch up after the last fault.
const SETTLE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn viewers_see_everything_once_and_in_order_whatever_breaks() {
    let redis = Redis::options().appendonly().start();
    let servers = vec![redis.port()];
    run(Cluster::of(2, 2).redis(redis), servers, &nemesis::FAULTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn viewers_see_everything_once_and_in_order_whatever_breaks_in_a_redis_cluster() {
    let shards = RedisCluster::durable();
    let servers = shards.nodes().iter().map(Redis::port).collect();
    run(Cluster::of(2, 2).shards(shards), servers, &nemesis::SHARD_FAULTS).await;
}

#[expect(clippy::print_stdout, reason = "shown when the run fails, and by --nocapture")]
async fn run(plan: Plan, servers: Vec<u16>, faults: &[nemesis::Fault]) {
    let (seed, time) = seed_and_time();
    println!("replay with FANFARE_CHAOS={seed}:{}", time.as_secs());
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = plan.postgres(Postgres::options().fsync(false).start()).start().await;

    let (ending, end) = watch::channel(viewer::Ending::Open);
    let mut publishers = JoinSet::new();
    let mut viewers = JoinSet::new();
    let mut histories = Vec::new();
    let gateways: Vec<_> = cluster.gateways.iter().map(|node| node.ws("")).collect();
    for channel in 0..CHANNELS {
        let id = format!("c{channel}");
        let key = format!("{}:tasks", cluster.prefix);
        publishers.spawn(publisher::publish(servers.clone(), key, id.clone(), end.clone()));
        for _ in 0..VIEWERS_PER_CHANNEL {
            let history = Arc::new(Mutex::new(History::of(&format!("task:{id}"))));
            histories.push(Arc::clone(&history));
            let random = StdRng::seed_from_u64(random.random());
            viewers.spawn(viewer::view(gateways.clone(), history, random, end.clone()));
        }
    }

    let deadline = Instant::now() + time;
    let mut report = nemesis::Report::default();
    while Instant::now() < deadline {
        report.add(nemesis::strike(&mut cluster, faults, &mut random, &histories).await);
    }
    ending.send_replace(viewer::Ending::PublishersStop);
    let published = publishers.join_all().await;
    ending.send_replace(viewer::Ending::ReadTo(published.iter().cloned().collect()));
    let caught_up = timeout(SETTLE, viewers.join_all()).await.is_ok();

    println!("{report}");
    let mut violations = Vec::new();
    for (channel, last) in &published {
        let archive = cluster.archive_numbers(channel).await;
        violations.extend(judge(channel, *last, &archive, &histories));
    }
    assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
    assert!(caught_up, "seed {seed}: viewers are still behind");
    let events: u64 = published.iter().map(|(_, last)| last).sum();
    println!(
        "{} faults, {events} events, {} histories, no violation",
        report.count(),
        histories.len()
    );
}

/// From `FANFARE_CHAOS=SEED[:SECONDS]`.
fn seed_and_time() -> (u64, Duration) {
    let given = std::env::vars().find(|(name, _)| name == "FANFARE_CHAOS").map(|(_, value)| value);
    let given = given.unwrap_or_default();
    let (seed, seconds) = given.split_once(':').unwrap_or((&given, "15"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = seed.parse().unwrap_or_else(|_| now.subsec_nanos().into());
    (seed, Duration::from_secs(seconds.parse().unwrap()))
}
