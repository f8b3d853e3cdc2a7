//! A rolling restart of three gateways behind a proxy, under load: everybody moves, nobody misses anything,
//! and no node is stormed.
//!
//! ```sh
//! cargo test --features failpoints --test it rolling                  # 300 clients
//! FANFARE_ROLLING=5000 cargo test --features failpoints --test it rolling -- --nocapture
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use services::HaProxy;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Frame, Socket};
use crate::cluster::{Cluster, token};

const CHANNELS: usize = 10;

/// Between two events of a channel.
const PACE: Duration = Duration::from_secs(1);

/// How long everybody may take to see the last event.
const SETTLE: Duration = Duration::from_secs(60);

/// Fewer in one second say nothing about how they are shared.
const CROWD: usize = 40;

/// What one client went through.
#[derive(Debug, Default)]
struct Seen {
    last: u64,
    position: Option<String>,
    /// When it came to which node.
    moves: Vec<(Instant, String)>,
    wrong: Vec<String>,
}

impl Seen {
    fn take(&mut self, frame: &Value) {
        match frame["type"].as_str() {
            Some("welcome") => {
                let node = frame["node"].as_str().unwrap_or_default();
                self.moves.push((Instant::now(), node.to_owned()));
            }
            Some("event") => {
                let number = frame["data"]["n"].as_u64().unwrap_or(0);
                if number != self.last + 1 {
                    self.wrong.push(format!("{number} after {}", self.last));
                }
                self.last = number;
                self.position = frame["position"].as_str().map(str::to_owned);
            }
            Some("subscribed") if self.position.is_none() => {
                self.position = frame["position"].as_str().map(str::to_owned);
            }
            Some("gap" | "error") => self.wrong.push(frame.to_string()),
            _ => {}
        }
    }
}

/// Follows a channel to its last event, as a client does that connects elsewhere before it leaves.
async fn follow(
    url: String,
    channel: String,
    arrived: Arc<AtomicUsize>,
    last: watch::Receiver<Option<u64>>,
) -> Seen {
    let mut seen = Seen::default();
    let is_done = |seen: &Seen| *last.borrow() == Some(seen.last);
    let mut old = None;
    while !is_done(&seen) {
        let Some(mut socket) = Socket::attempt(&url).await else {
            sleep(Duration::from_millis(rand::random_range(50..500))).await;
            continue;
        };
        let mut subscribe = json!({"type": "subscribe", "channel": channel});
        if let Some(since) = &seen.position {
            subscribe["since"] = since.as_str().into();
        }
        // One that is closed already is left below.
        drop(socket.try_send(subscribe).await);
        while !is_done(&seen) {
            let Some(frame) = socket.poll(Duration::from_millis(500)).await else { continue };
            let Frame::Json(frame) = frame else { break };
            if frame["type"] == "subscribed" && seen.position.is_none() {
                arrived.fetch_add(1, Ordering::Relaxed);
            }
            seen.take(&frame);
            if frame["type"] == "subscribed" {
                drop(old.take());
            }
            if frame["type"] == "bye" {
                sleep(Duration::from_millis(frame["after_ms"].as_u64().unwrap_or(0))).await;
                break;
            }
        }
        old = Some(socket);
    }
    seen
}

/// Publishes to each channel in turn until told to stop; the last number.
async fn publish(url: String, key: String, stop: watch::Receiver<bool>) -> u64 {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut number = 0;
    while !*stop.borrow() {
        number += 1;
        for channel in 0..CHANNELS {
            let mut command = redis::cmd("XADD");
            command.arg(&key).arg("*").arg("type").arg("task_update").arg("id");
            command.arg(format!("r{channel}")).arg("data").arg(format!("{{\"n\":{number}}}"));
            let _entry: String = command.query_async(&mut connection).await.unwrap();
        }
        sleep(PACE).await;
    }
    number
}

/// The largest share that one node had of those who came in one second, times the number of nodes
/// that took them in; and how many came in the busiest second.
fn storms(all: &[Seen], began: Instant, serving: usize) -> (f64, usize) {
    let mut seconds: BTreeMap<u64, BTreeMap<&str, usize>> = BTreeMap::new();
    let moves = all.iter().flat_map(|seen| seen.moves.iter().skip(1));
    for (at, node) in moves {
        let second = at.duration_since(began).as_secs();
        *seconds.entry(second).or_default().entry(node).or_default() += 1;
    }
    let totals = seconds.values().map(|nodes| nodes.values().sum::<usize>());
    let busiest = totals.max().unwrap_or(0);
    let share = |nodes: &BTreeMap<&str, usize>| {
        let (most, total) = (nodes.values().max().copied(), nodes.values().sum::<usize>());
        most.unwrap_or(0) as f64 * serving as f64 / total as f64
    };
    let crowded = seconds.values().filter(|nodes| nodes.values().sum::<usize>() >= CROWD);
    (crowded.map(share).fold(0.0, f64::max), busiest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "shown when the run fails, and by --nocapture")]
async fn a_rolling_restart_of_three_gateways_loses_nothing_and_storms_nobody() {
    let given = std::env::vars().find(|(name, _)| name == "FANFARE_ROLLING").map(|(_, n)| n);
    let clients: usize = given.map_or(300, |clients| clients.parse().unwrap());
    let mut cluster = Cluster::of(3, 1).start().await;
    let servers = cluster.gateways.iter().map(|node| node.http("").replace("http://", ""));
    let proxy = HaProxy::in_front_of(&servers.collect::<Vec<_>>());

    let (last, end) = watch::channel(None);
    let mut viewers = JoinSet::new();
    let arrived = Arc::new(AtomicUsize::new(0));
    for number in 0..clients {
        let token = token(&format!("viewer-{number}"), &["*"]);
        let url = proxy.ws(&format!("/v1/connect?token={token}"));
        let channel = format!("task:r{}", number % CHANNELS);
        viewers.spawn(follow(url, channel, Arc::clone(&arrived), end.clone()));
        if number % 100 == 99 {
            sleep(Duration::from_millis(200)).await;
        }
    }
    let all_here = async {
        while arrived.load(Ordering::Relaxed) < clients {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SETTLE, all_here).await.expect("everybody is subscribed");
    let (stopping, stop) = watch::channel(false);
    let (url, key) = (cluster.redis().url(), format!("{}:tasks", cluster.prefix));
    let mut publisher = JoinSet::new();
    publisher.spawn(publish(url, key, stop));

    let began = Instant::now();
    for number in 0..cluster.gateways.len() {
        let node = &cluster.gateways[number];
        node.terminate();
        let code = tokio::task::block_in_place(|| node.exit_code());
        assert_eq!(code, Some(0), "a drain ends in order");
        println!("gateway {number} was empty after {:.1?}", began.elapsed());
        cluster.gateways[number].start_again(&cluster.http).await;
        sleep(Duration::from_secs(2)).await;
    }
    stopping.send_replace(true);
    let published = publisher.join_next().await.unwrap().unwrap();
    last.send_replace(Some(published));
    let all = timeout(SETTLE, viewers.join_all()).await.expect("everybody sees the last event");

    let wrong: Vec<_> = all.iter().flat_map(|seen| &seen.wrong).take(5).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let (share, busiest) = storms(&all, began, cluster.gateways.len() - 1);
    let moves: usize = all.iter().map(|seen| seen.moves.len() - 1).sum();
    println!(
        "{clients} clients, {published} events of {CHANNELS} channels each seen once and in order; {moves} \
         moves, at most {busiest} in a second, {share:.2} x its share at most for one node"
    );
    assert!(share <= 2.0, "one node took {share:.2} times its share");
}
