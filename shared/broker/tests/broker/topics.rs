//! Subscriptions and messages that nobody keeps.

use broker::Topic;
use bytes::Bytes;
use domain::node::NodeId;

use crate::{
    bench::{Place, on_each},
    events::channel,
};

on_each!(
    a_topic_is_heard_while_it_is_wanted,
    every_kind_of_topic_reaches_its_subscribers_alone,
    the_canary_returns,
    many_wishes_at_once_are_fulfilled,
);

async fn a_topic_is_heard_while_it_is_wanted(place: Place) {
    let bench = place.bench().await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let topic = Topic::Channel(channel("presence"));
    assert_eq!(bench.broker.send(&topic, Bytes::from_static(b"early")).await.unwrap(), 0);
    subscriber.subscribe(topic.clone()).await.unwrap();
    subscriber.subscribe(topic.clone()).await.unwrap();
    assert_eq!(bench.broker.send(&topic, Bytes::from_static(b"heard")).await.unwrap(), 1);
    recorder.until("heard", |heard| !heard.messages.is_empty()).await;
    subscriber.unsubscribe(&topic);
    subscriber.unsubscribe(&topic);
    // The wish is fulfilled a moment later; then nobody listens.
    while bench.broker.send(&topic, Bytes::from_static(b"late")).await.unwrap() > 0 {}
    subscriber.subscribe(topic.clone()).await.unwrap();
    bench.broker.send(&topic, Bytes::from_static(b"again")).await.unwrap();
    recorder.until("heard again", |heard| heard.texts(&topic).ends_with(&["again".into()])).await;
    assert_eq!(recorder.heard().texts(&topic), ["heard", "again"]);
    assert!(recorder.heard().disconnected.is_empty(), "{:?}", recorder.heard().disconnected);
    assert_eq!(subscriber.failures(), 0);
    bench.finish().await;
}

async fn every_kind_of_topic_reaches_its_subscribers_alone(place: Place) {
    let bench = place.bench().await;
    let (one, heard_by_one) = bench.subscriber("n1").await;
    let (two, heard_by_two) = bench.subscriber("n2").await;
    let node = |name: &str| Topic::Node(NodeId(name.into()));
    for topic in [node("n1"), Topic::Nodes, Topic::Workers] {
        one.subscribe(topic).await.unwrap();
    }
    for topic in [node("n2"), Topic::Nodes] {
        two.subscribe(topic).await.unwrap();
    }
    let send = async |topic: Topic| bench.broker.send(&topic, Bytes::from_static(b"x")).await;
    assert_eq!(send(node("n1")).await.unwrap(), 1);
    assert_eq!(send(node("n3")).await.unwrap(), 0);
    assert_eq!(send(Topic::Workers).await.unwrap(), 1);
    assert_eq!(send(Topic::Nodes).await.unwrap(), 2);
    heard_by_two.until("heard", |heard| !heard.messages.is_empty()).await;
    heard_by_one.until("heard", |heard| heard.messages.len() == 3).await;
    // In a cluster they come over several connections, in any order.
    let topics: Vec<_> =
        heard_by_one.heard().messages.iter().map(|message| message.topic.clone()).collect();
    for topic in [node("n1"), Topic::Workers, Topic::Nodes] {
        assert_eq!(topics.iter().filter(|heard| **heard == topic).count(), 1);
    }
    assert_eq!(heard_by_two.heard().messages[0].topic, Topic::Nodes);
    bench.finish().await;
}

async fn the_canary_returns(place: Place) {
    let bench = place.bench().await;
    let (_subscriber, recorder) = bench.subscriber("n1").await;
    recorder.until("heard a canary", |heard| heard.canaries.len() >= 2).await;
    assert!(recorder.heard().messages.is_empty(), "it shows up in no topic");
    bench.finish().await;
}

async fn many_wishes_at_once_are_fulfilled(place: Place) {
    let bench = place.bench().await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let topics = (0..5_000).map(|n| Topic::Channel(channel(&format!("user:u{n}"))));
    let wishes = topics.clone().map(|topic| subscriber.subscribe(topic));
    for result in futures_util::future::join_all(wishes).await {
        result.unwrap();
    }
    for topic in topics.clone().step_by(100) {
        assert_eq!(bench.broker.send(&topic, Bytes::from_static(b"x")).await.unwrap(), 1);
    }
    recorder.until("all heard", |heard| heard.messages.len() == 50).await;
    bench.finish().await;
}
