//! More partitions and fewer, while events are published.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::source::{Source, Stream};
use serde_json::json;
use services::eventually;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::client::PATIENCE;
use crate::cluster::{Cluster, Node};

/// Ids that lie in several partitions, whatever their number.
const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The partition of an id, as any producer computes it.
fn stream(cluster: &Cluster, id: &str) -> String {
    let told = cluster.redis().cli(&["GET", &format!("{}:partitions", cluster.prefix)]);
    Source::of(Stream::Tasks, Some(id), told.parse().unwrap_or(1)).to_string()
}

/// Publishes number after number of each id, half of them by XADD and half by HTTP, until told to stop.
async fn publish(cluster: &Cluster, over: &AtomicBool) -> u64 {
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        for (at, id) in IDS.iter().enumerate() {
            let data = json!({ "n": number });
            if at % 2 == 0 {
                let data = data.to_string();
                let stream = block_in_place(|| stream(cluster, id));
                block_in_place(|| {
                    cluster.xadd(&stream, &["type", "task_update", "id", id, "data", &data])
                });
            } else {
                let event =
                    json!({"stream": "tasks", "type": "task_update", "id": id, "data": data});
                let answer = cluster.post("/v1/publish", &event).await;
                assert!([200, 202].contains(&answer.status), "{answer:?}");
            }
        }
    }
    number
}

/// The numbers in a channel's archive, in its order.
async fn numbers(cluster: &Cluster, id: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut query = "limit=500".to_owned();
    loop {
        let page = cluster.archive(&format!("task:{id}"), &query).await;
        let events = page["events"].as_array().unwrap();
        numbers.extend(events.iter().map(|event| event["data"]["n"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else { return numbers };
        query = format!("limit=500&since={next}");
    }
}

/// Waits until so many are in force: in Redis, and for who connects to either node.
async fn in_force(cluster: &Cluster, partitions: u16) {
    let key = format!("{}:partitions", cluster.prefix);
    let told = || (cluster.redis().cli(&["GET", &key]) == partitions.to_string()).then_some(());
    block_in_place(|| eventually(PATIENCE, told)).expect("it is put in force");
    let deadline = Instant::now() + PATIENCE;
    for gateway in &cluster.gateways {
        let path = format!("/v1/connect?token={}", crate::cluster::token("viewer", &["*"]));
        loop {
            let mut socket = crate::client::Socket::connect(&gateway.ws(&path)).await;
            let welcome = socket.wait_for(json!({"type": "welcome", "...": ""})).await;
            if welcome["partitions"] == json!(partitions) {
                break;
            }
            assert!(Instant::now() < deadline, "{welcome}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn replace_worker(cluster: &Cluster, old: &Node, number: usize, partitions: &str) -> Node {
    let worker = cluster.spawn_with("worker", number, &[("INGEST_PARTITIONS", partitions)]);
    worker.ready(&cluster.http).await;
    let key = format!("{}:partitions", cluster.prefix);
    let before = cluster.redis().cli(&["GET", &key]);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.redis().cli(&["GET", &key]), before, "while they differ what was stays");
    old.terminate();
    assert_eq!(block_in_place(|| old.exit_code()), Some(0));
    worker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn partitions_grow_and_shrink_under_load_and_every_id_keeps_its_order() {
    let cluster = Cluster::of(2, 1).start().await;
    in_force(&cluster, 1).await;
    let mut watcher = cluster.watcher(1).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:a"})).await;
    watcher.wait_for(json!({"type": "subscribed", "...": ""})).await;
    let over = AtomicBool::new(false);
    let changing = async {
        let grown = replace_worker(&cluster, &cluster.workers[0], 2, "4").await;
        in_force(&cluster, 4).await;
        sleep(Duration::from_millis(500)).await;
        let shrunk = replace_worker(&cluster, &grown, 3, "2").await;
        in_force(&cluster, 2).await;
        sleep(Duration::from_millis(500)).await;
        over.store(true, Ordering::Relaxed);
        (grown, shrunk)
    };
    let (last, _workers) = tokio::join!(publish(&cluster, &over), changing);
    let wanted: Vec<u64> = (1..=last).collect();
    for id in IDS {
        let deadline = Instant::now() + PATIENCE;
        let mut found = numbers(&cluster, id).await;
        while found.len() < wanted.len() && Instant::now() < deadline {
            sleep(Duration::from_millis(50)).await;
            found = numbers(&cluster, id).await;
        }
        assert_eq!(found, wanted, "{id}");
    }
    for number in 1..=last {
        let event = watcher.wait_for(json!({"type": "event", "...": ""})).await;
        assert_eq!(event["data"]["n"], json!(number), "{event}");
    }
    let admin = crate::cluster::token_with(json!({"sub": "admin", "role": "admin"}));
    let header = [("Authorization".to_owned(), format!("Bearer {admin}"))];
    let url = cluster.gateways[0].http("/v1/overview");
    let overview = cluster.http.send("GET", &url, &header, None).await.unwrap().expect(200).json();
    assert_eq!(overview["partitions"], json!(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_above_the_number_are_owned_until_they_are_drained_and_again_when_something_comes()
 {
    let cluster = Cluster::of(1, 1).set("INGEST_PARTITIONS", "3").start().await;
    in_force(&cluster, 3).await;
    let database = cluster.setting("DATABASE_URL");
    let worker = replace_worker(&cluster, &cluster.workers[0], 2, "1").await;
    in_force(&cluster, 1).await;
    let owned = "SELECT count(*) FROM source WHERE owner IS NOT NULL";
    let query = || cluster.postgres().sql(&database, owned);
    block_in_place(|| eventually(PATIENCE, || (query() == "6").then_some(())))
        .unwrap_or_else(|| panic!("{} are owned", query()));
    // A producer that still computes with the old number.
    cluster.xadd("tasks:2", &["type", "task_update", "id", "late", "data", r#"{"n":1}"#]);
    let deadline = Instant::now() + PATIENCE;
    while numbers(&cluster, "late").await != [1] {
        assert!(Instant::now() < deadline, "it is not recorded");
        sleep(Duration::from_millis(50)).await;
    }
    block_in_place(|| eventually(PATIENCE, || (query() == "6").then_some(())))
        .expect("it is given back again");
    drop(worker);
}
