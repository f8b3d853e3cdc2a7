//! What nodes say of themselves.

use std::time::Duration;

use broker::{Broker, BrokerOptions, ExpiredNode, Member, Registration};
use domain::node::NodeId;

use crate::bench::{Place, on_each};

on_each!(
    what_nodes_say_is_seen_by_all_until_they_take_it_back,
    a_node_whose_lease_ran_out_is_invisible_and_reaped_once,
    thousands_of_members_are_registered_at_once,
);

fn node(name: &str) -> NodeId {
    NodeId(name.into())
}

fn says(topic: &'static str, key: &str, value: Option<&str>) -> Registration {
    Registration { topic, key: key.to_owned(), value: value.map(str::to_owned) }
}

/// `node key value`, sorted.
async fn members(broker: &dyn Broker, topic: &str) -> Vec<String> {
    let members = broker.members(topic).await.unwrap();
    let line = |Member { node, key, value }| format!("{node} {key} {value}");
    let mut lines: Vec<_> = members.into_iter().map(line).collect();
    lines.sort();
    lines
}

async fn what_nodes_say_is_seen_by_all_until_they_take_it_back(place: Place) {
    let bench = place.bench().await;
    let broker = &*bench.broker;
    let first = [
        says("agents", "a1", Some("{}")),
        says("agents", "a2", None),
        says("users", "u", Some("1")),
    ];
    assert!(!broker.register(&node("n1"), &first).await.unwrap(), "it is new");
    assert!(broker.register(&node("n1"), &[]).await.unwrap(), "it is known");
    broker.register(&node("n2"), &[says("agents", "a1", Some("{2}"))]).await.unwrap();
    assert_eq!(members(broker, "agents").await, ["n1 a1 {}", "n2 a1 {2}"]);
    assert_eq!(members(broker, "users").await, ["n1 u 1"]);
    assert!(members(broker, "others").await.is_empty());

    let changes =
        [says("agents", "a1", None), says("agents", "a3", None), says("agents", "a3", Some("3"))];
    broker.register(&node("n1"), &changes).await.unwrap();
    assert_eq!(members(broker, "agents").await, ["n1 a3 3", "n2 a1 {2}"]);
    broker.deregister(&node("n1")).await.unwrap();
    assert_eq!(members(broker, "agents").await, ["n2 a1 {2}"]);
    assert!(members(broker, "users").await.is_empty());
    assert!(!broker.register(&node("n1"), &[]).await.unwrap(), "it was forgotten");
    assert_eq!(members(broker, "agents").await, ["n2 a1 {2}"]);
    bench.finish().await;
}

async fn a_node_whose_lease_ran_out_is_invisible_and_reaped_once(place: Place) {
    let node_lease = Duration::from_millis(400);
    let bench = place.bench_with(BrokerOptions { node_lease, ..Default::default() }).await;
    let broker = &*bench.broker;
    broker.register(&node("dead"), &[says("agents", "a", Some("1"))]).await.unwrap();
    assert!(broker.reap(&["agents"]).await.unwrap().is_empty());
    let mut live = says("agents", "b", Some("2"));
    while members(broker, "agents").await.iter().any(|line| line.starts_with("dead")) {
        broker.register(&node("live"), std::slice::from_ref(&live)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let gone = ExpiredNode { node: node("dead"), said: vec![("agents", "a".to_owned())] };
    assert_eq!(broker.reap(&["users", "agents"]).await.unwrap(), [gone]);
    assert!(broker.reap(&["agents"]).await.unwrap().is_empty());
    live.value = Some("3".to_owned());
    assert!(broker.register(&node("live"), &[live]).await.unwrap());
    assert!(!broker.register(&node("dead"), &[]).await.unwrap(), "it must say everything again");
    assert_eq!(members(broker, "agents").await, ["live b 3"]);
    bench.finish().await;
}

async fn thousands_of_members_are_registered_at_once(place: Place) {
    let bench = place.bench().await;
    let changes: Vec<_> =
        (0..5_000).map(|n| says("connections", &format!("c{n}"), Some("{}"))).collect();
    bench.broker.register(&node("n1"), &changes).await.unwrap();
    assert_eq!(bench.broker.members("connections").await.unwrap().len(), 5_000);
    bench.finish().await;
}
