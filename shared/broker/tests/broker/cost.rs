//! What publishing and delivering cost; to be run by hand, in release mode, on a quiet machine:
//! `cargo test --release -p broker --test broker cost -- --ignored --nocapture`
#![expect(clippy::print_stdout, reason = "a measurement is for reading")]

use std::time::{Duration, Instant};

use broker::Topic;
use domain::{channel::Channel, publication::Publication};
use services::Redis;

use crate::{
    bench::Bench,
    events::{channel, sized},
};

const EVENTS: usize = 300_000;
const CHANNELS: usize = 100;
/// With the envelope each publication is about 300 bytes.
const DATA_BYTES: usize = 150;

/// CPU seconds of Redis so far.
fn redis_cpu(redis: &Redis) -> f64 {
    let info = redis.cli(&["INFO", "cpu"]);
    let of = |name: &str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().trim().parse().unwrap()
    };
    of("used_cpu_user") + of("used_cpu_sys")
}

/// CPU seconds of this process so far; the kernel counts in hundredths.
fn own_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

fn batches(channels: &[Channel], per_channel: usize) -> Vec<Vec<Publication>> {
    let calls = EVENTS / (CHANNELS * per_channel);
    let batch = |call: usize| {
        let offsets = (1..=per_channel).map(move |n| (call * per_channel + n) as u64);
        let of = |offset| channels.iter().map(move |channel| sized(channel, offset, DATA_BYTES));
        offsets.flat_map(of).collect()
    };
    (0..calls).map(batch).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn cost_of_publishing_and_delivering() {
    println!("per channel and call  subscribers  events/s  Redis s/M  we s/M  events per batch");
    for per_channel in [1, 10, 100] {
        for subscribed in [false, true] {
            let redis = Redis::start();
            let bench = Bench::on(&redis.url()).await;
            let (subscriber, recorder) = bench.subscriber("n1").await;
            let channels: Vec<_> =
                (0..CHANNELS).map(|n| channel(&format!("deployment:d{n}"))).collect();
            for channel in channels.iter().filter(|_| subscribed) {
                subscriber.subscribe(Topic::Channel(channel.clone())).await.unwrap();
            }
            let batches = batches(&channels, per_channel);
            let (redis_before, own_before, begun) = (redis_cpu(&redis), own_cpu(), Instant::now());
            for batch in &batches {
                bench.broker.publish(1, batch).await.unwrap();
            }
            let took = begun.elapsed();
            let expected = if subscribed { EVENTS / per_channel } else { 0 };
            recorder.until("all heard", |heard| heard.messages.len() == expected).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let million = 1e6 / EVENTS as f64;
            println!(
                "{per_channel:>20}  {:>11}  {:>8.0}  {:>9.2}  {:>6.2}  {:>16.1}",
                usize::from(subscribed),
                EVENTS as f64 / took.as_secs_f64(),
                (redis_cpu(&redis) - redis_before) * million,
                (own_cpu() - own_before) * million,
                expected as f64 / recorder.heard().batches.max(1) as f64,
            );
            bench.finish().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn cost_of_a_hundred_thousand_topics() {
    const TOPICS: usize = 100_000;
    let redis = Redis::start();
    let bench = Bench::on(&redis.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let topics: Vec<_> =
        (0..TOPICS).map(|n| Topic::Channel(channel(&format!("deployment:d{n}")))).collect();
    println!("what         seconds  Redis CPU s  our CPU s");
    let report = |what: &str, begun: Instant, redis_before: f64, own_before: f64| {
        let (took, ours) = (begun.elapsed().as_secs_f64(), own_cpu() - own_before);
        println!(
            "{what:<11}  {took:>7.2}  {:>11.2}  {ours:>9.2}",
            redis_cpu(&redis) - redis_before
        );
    };
    let (begun, redis_before, own_before) = (Instant::now(), redis_cpu(&redis), own_cpu());
    let wishes = topics.iter().map(|topic| subscriber.subscribe(topic.clone()));
    for result in futures_util::future::join_all(wishes).await {
        result.unwrap();
    }
    report("subscribe", begun, redis_before, own_before);
    let (begun, redis_before, own_before) = (Instant::now(), redis_cpu(&redis), own_cpu());
    redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    recorder.until("connected again", |heard| heard.connected == 2).await;
    report("again", begun, redis_before, own_before);
    let asked: Vec<_> = topics
        .iter()
        .filter_map(|topic| match topic {
            Topic::Channel(channel) => Some((channel.clone(), channel.home())),
            _ => None,
        })
        .collect();
    let (begun, redis_before, own_before) = (Instant::now(), redis_cpu(&redis), own_cpu());
    assert_eq!(bench.broker.heads(&asked).await.unwrap().len(), TOPICS);
    report("heads", begun, redis_before, own_before);
    bench.finish().await;
}
