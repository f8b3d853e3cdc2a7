//! Primaries that become replicas, and Sentinels that say who is who.

use std::time::Duration;

use broker::{BrokerError, BrokerRefusal, PublishedUpTo, Topic};
use bytes::Bytes;
use domain::{
    entry::EntryId,
    source::{Source, Stream},
};
use services::{Redis, Sentinels};

use crate::{
    bench::{Bench, refusal, until_ok},
    events::{channel, fields, publications},
};

const SOURCE: Source = Source::first(Stream::Tasks);

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_no_broker() {
    let primary = Redis::start();
    let replica = Redis::options().replica_of(&primary).start();
    let refused = refusal(&replica.url()).await;
    let BrokerError::Unwritable { cause, text } = &refused else { panic!("{refused:?}") };
    assert_eq!(*cause, BrokerRefusal::ReadOnly);
    assert!(text.contains("no primary but slave"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_becomes_a_replica_is_left_until_it_is_one_again() {
    let (redis, other) = (Redis::start(), Redis::start());
    let bench = Bench::on(&redis.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(Topic::Nodes).await.unwrap();
    // Nothing is written meanwhile: the probe alone has to notice.
    redis.cli(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    recorder.until("disconnected", |heard| heard.disconnected.len() == 1).await;
    recorder.until("failing", |_| subscriber.failures() > 1).await;
    let refused = bench.broker.mark(SOURCE, 1, PublishedUpTo::default()).await;
    assert!(matches!(refused, Err(BrokerError::Unwritable { .. })), "{refused:?}");
    redis.cli(&["REPLICAOF", "NO", "ONE"]);
    until_ok(async || bench.broker.mark(SOURCE, 1, PublishedUpTo::default()).await).await;
    recorder.until("connected", |heard| heard.connected == 2).await;
    recorder.until("healthy", |_| subscriber.failures() == 0).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_fail_over_everything_follows_the_sentinels_to_the_new_primary() {
    let primary = Redis::start();
    let replica = Redis::options().replica_of(&primary).start();
    let sentinels = Sentinels::watch(&primary, 3);
    sentinels.settle();
    let bench = Bench::on(&sentinels.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let tasks = channel("tasks");
    let topic = Topic::Channel(tasks.clone());
    subscriber.subscribe(topic.clone()).await.unwrap();
    bench.broker.mark(SOURCE, 1, PublishedUpTo::default()).await.unwrap();
    bench.broker.publish(1, &publications(&tasks, 1..=2)).await.unwrap();
    let first = bench.broker.append(&[(SOURCE, fields("first"))]).await.remove(0).unwrap();
    let mut reader = bench.broker.reader(SOURCE);
    reader.read(EntryId::ZERO, 1, Duration::from_secs(5)).await.unwrap();
    let before = bench.broker.identity(SOURCE).await.unwrap();
    while replica.cli(&["XLEN", "x"]) != "0"
        || !replica.cli(&["INFO", "replication"]).contains("link_status:up")
    {}

    primary.kill();
    recorder.until("disconnected", |heard| !heard.disconnected.is_empty()).await;
    let after = until_ok(async || bench.broker.identity(SOURCE).await).await;
    assert_ne!(after.replid, before.replid);
    assert_eq!(after.generation, Some(1), "it was replicated");
    recorder.until("connected", |heard| heard.connected >= 2).await;
    bench.broker.publish(2, &publications(&tasks, 3..=3)).await.unwrap();
    bench.broker.send(&topic, Bytes::new()).await.unwrap();
    recorder.until("heard", |heard| heard.offsets(&topic).ends_with(&[3])).await;
    let second = bench.broker.append(&[(SOURCE, fields("second"))]).await.remove(0).unwrap();
    assert!(second > first);
    let wait = Duration::from_secs(5);
    let read = until_ok(async || reader.read(first, 1, wait).await).await;
    assert_eq!(read[0].id, second);
    assert_eq!(replica.cli(&["ROLE"]).lines().next(), Some("master"));
    bench.finish().await;
}
