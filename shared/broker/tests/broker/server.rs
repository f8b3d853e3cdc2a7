//! What Redis itself may do: restart, forget, refuse, cut.

use std::time::Duration;

use broker::{BrokerError, BrokerOptions, BrokerRefusal, PublishedUpTo, Registration, Topic};
use bytes::Bytes;
use domain::{
    entry::EntryId,
    node::NodeId,
    source::{Source, Stream},
};
use services::Redis;

use crate::{
    bench::{Bench, refusal, until_ok},
    events::{channel, fields, publications, sized},
};

const SOURCE: Source = Source::first(Stream::Tasks);

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_data_shows_in_everything() {
    let redis = Redis::start();
    let bench = Bench::on(&redis.url()).await;
    let tasks = channel("tasks");
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(Topic::Nodes).await.unwrap();
    bench.broker.mark(SOURCE, 1, PublishedUpTo::default()).await.unwrap();
    bench.broker.publish(1, &publications(&tasks, 1..=3)).await.unwrap();
    let mut reader = bench.broker.reader(SOURCE);
    reader.read(EntryId::ZERO, 1, Duration::from_millis(1)).await.unwrap();
    let before = bench.broker.identity(SOURCE).await.unwrap();

    redis.kill();
    assert!(matches!(
        bench.broker.mark(SOURCE, 1, PublishedUpTo::default()).await,
        Err(BrokerError::Unavailable(_))
    ));
    recorder.until("disconnected", |heard| heard.disconnected.len() == 1).await;
    let offline = subscriber.subscribe(Topic::Workers).await;
    assert!(matches!(offline, Err(BrokerError::Unavailable(_))));
    redis.restart();

    let after = until_ok(async || bench.broker.identity(SOURCE).await).await;
    assert_ne!(after.replid, before.replid);
    assert_eq!(after.generation, None);
    assert_eq!(bench.broker.heads(&[(tasks.clone(), SOURCE)]).await.unwrap(), [None]);
    recorder.until("connected", |heard| heard.connected == 2).await;
    for topic in [Topic::Nodes, Topic::Workers] {
        assert_eq!(bench.broker.send(&topic, Bytes::from_static(b"x")).await.unwrap(), 1);
    }
    recorder.until("heard both", |heard| heard.messages.len() == 2).await;
    bench.broker.publish(2, &publications(&tasks, 3..=4)).await.unwrap();
    bench.broker.append(&[(SOURCE, fields("x"))]).await.remove(0).unwrap();
    let wait = Duration::from_secs(5);
    let read = until_ok(async || reader.read(EntryId::ZERO, 1, wait).await).await;
    assert_eq!(read[0].fields, fields("x"));
    recorder.until("healthy", |_| subscriber.failures() == 0).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_data_keeps_them_under_another_identity() {
    let redis = Redis::options().appendonly().start();
    let bench = Bench::on(&redis.url()).await;
    let tasks = channel("tasks");
    bench.broker.mark(SOURCE, 1, PublishedUpTo::default()).await.unwrap();
    bench.broker.publish(1, &publications(&tasks, 1..=3)).await.unwrap();
    bench.broker.append(&[(SOURCE, fields("x"))]).await.remove(0).unwrap();
    let before = bench.broker.identity(SOURCE).await.unwrap();
    redis.kill();
    redis.restart();
    let after = until_ok(async || bench.broker.identity(SOURCE).await).await;
    assert_ne!(after.replid, before.replid);
    assert_eq!(after.generation, Some(1));
    assert_eq!(bench.broker.inspect(SOURCE).await.unwrap().length, 1);
    assert_eq!(bench.broker.history(&tasks, SOURCE, 0, 9).await.unwrap().len(), 3);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_takes_the_mark_and_the_registry_and_cuts_nobody() {
    let redis = Redis::start();
    let bench = Bench::on(&redis.url()).await;
    let (_subscriber, recorder) = bench.subscriber("n1").await;
    let node = NodeId("n1".into());
    bench.broker.register(&node, &[]).await.unwrap();
    bench.broker.mark(SOURCE, 7, PublishedUpTo::default()).await.unwrap();
    let before = bench.broker.identity(SOURCE).await.unwrap();
    redis.cli(&["FLUSHALL"]);
    let after = bench.broker.identity(SOURCE).await.unwrap();
    assert_eq!((after.replid, after.generation), (before.replid, None));
    let change = Registration { topic: "t", key: "k".into(), value: Some("v".into()) };
    assert!(!bench.broker.register(&node, &[change]).await.unwrap());
    assert!(recorder.heard().disconnected.is_empty());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_gone_because_redis_was_away_for_longer_than_a_lease() {
    let redis = Redis::start();
    let node_lease = Duration::from_secs(1);
    let bench = Bench::with(&redis.url(), BrokerOptions { node_lease, ..Default::default() }).await;
    let (quick, slow) = (NodeId("quick".into()), NodeId("slow".into()));
    let says = [Registration { topic: "t", key: "k".into(), value: Some("v".into()) }];
    for node in [&quick, &slow] {
        bench.broker.register(node, &says).await.unwrap();
    }
    redis.freeze();
    tokio::time::sleep(node_lease * 2).await;
    redis.thaw();
    until_ok(async || bench.broker.register(&quick, &[]).await).await;
    assert!(bench.broker.reap(&["t"]).await.unwrap().is_empty());
    assert_eq!(bench.broker.members("t").await.unwrap().len(), 2, "the other has a lease more");
    // One that does not come back within that is gone after all.
    let gone = until_ok(async || {
        bench.broker.register(&quick, &[]).await?;
        let gone = bench.broker.reap(&["t"]).await?;
        gone.into_iter().next().ok_or(BrokerError::Unavailable("nobody is gone".to_owned()))
    })
    .await;
    assert_eq!(gone.node, slow);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_subscriber_comes_back_with_its_topics() {
    let redis = Redis::start();
    let bench = Bench::on(&redis.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let topic = Topic::Channel(channel("tasks"));
    subscriber.subscribe(topic.clone()).await.unwrap();
    for round in 1..=3 {
        redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        recorder.until("disconnected", |heard| heard.disconnected.len() == round).await;
        recorder.until("connected", |heard| heard.connected == round + 1).await;
        bench.broker.send(&topic, Bytes::from(round.to_string())).await.unwrap();
        recorder.until("heard", |heard| heard.messages.len() == round).await;
    }
    assert_eq!(recorder.heard().texts(&topic), ["1", "2", "3"]);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_was_forgotten_is_taught_again_and_nothing_is_published_twice() {
    let redis = Redis::start();
    let bench = Bench::on(&redis.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let topic = Topic::Channel(channel("tasks"));
    subscriber.subscribe(topic.clone()).await.unwrap();
    for offset in 1..=5 {
        redis.cli(&["SCRIPT", "FLUSH"]);
        bench.broker.publish(1, &publications(&channel("tasks"), [offset])).await.unwrap();
    }
    recorder.until("all heard", |heard| heard.offsets(&topic).ends_with(&[5])).await;
    assert_eq!(recorder.heard().offsets(&topic), [1, 2, 3, 4, 5]);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_refuses_and_goes_on_when_there_is_room() {
    let redis = Redis::options().maxmemory("6mb").start();
    let bench = Bench::on(&redis.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let tasks = channel("tasks");
    let topic = Topic::Channel(tasks.clone());
    subscriber.subscribe(topic.clone()).await.unwrap();
    bench.broker.publish(1, &publications(&tasks, [1])).await.unwrap();
    let (mut ids, mut refused) = (Vec::new(), None);
    // To the brim: what is refused at one size may fit at a smaller one.
    for size in [100_000, 10_000, 1_000, 1] {
        let entry = (SOURCE, fields(&"x".repeat(size)));
        refused = loop {
            match bench.broker.append(std::slice::from_ref(&entry)).await.remove(0) {
                Ok(id) => ids.push(id),
                Err(error) => break Some(error),
            }
        };
    }
    let Some(BrokerError::Unwritable { cause, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(cause, BrokerRefusal::MemoryFull);
    let given = publications(&tasks, 2..=3);
    let refused = bench.broker.publish(1, &given).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Unwritable { .. }), "{refused}");
    bench.broker.send(&topic, Bytes::from_static(b"")).await.unwrap();

    bench.broker.trim(SOURCE, ids[ids.len() / 2]).await.unwrap();
    until_ok(async || bench.broker.publish(1, &given).await).await;
    recorder.until("all heard", |heard| heard.offsets(&topic).ends_with(&[3])).await;
    assert_eq!(recorder.heard().offsets(&topic), [1, 2, 3]);
    assert!(recorder.heard().disconnected.is_empty());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_lags_makes_redis_wait_is_cut_and_comes_back() {
    let redis = Redis::start();
    redis.cli(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 2mb 1mb 10"]);
    let bench = Bench::on(&redis.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let logs = channel("container:c1");
    let topic = Topic::Channel(logs.clone());
    subscriber.subscribe(topic.clone()).await.unwrap();
    *recorder.slowness.lock().unwrap() = Duration::from_millis(500);
    let mut offset = 0;
    while !redis.log().contains("output buffer limits") {
        let part: Vec<_> = (offset + 1..=offset + 20).map(|o| sized(&logs, o, 50_000)).collect();
        bench.broker.publish(1, &part).await.unwrap();
        offset += 20;
        assert!(offset < 5_000, "it is never cut");
    }
    *recorder.slowness.lock().unwrap() = Duration::ZERO;
    recorder.until("connected", |heard| heard.connected == 2).await;
    bench.broker.publish(1, &publications(&logs, [offset + 1])).await.unwrap();
    recorder.until("heard", |heard| heard.offsets(&topic).ends_with(&[offset + 1])).await;
    assert!(recorder.heard().offsets(&topic).is_sorted());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_topics_are_subscribed_again_at_once() {
    let redis = Redis::start();
    let bench = Bench::on(&redis.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let topic = |n: usize| Topic::Channel(channel(&format!("deployment:d{n}")));
    let wishes = (0..20_000).map(|n| subscriber.subscribe(topic(n)));
    for result in futures_util::future::join_all(wishes).await {
        result.unwrap();
    }
    redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    recorder.until("connected", |heard| heard.connected == 2).await;
    assert_eq!(redis.cli(&["PUBSUB", "CHANNELS", "*"]).lines().count(), 20_001);
    for n in (0..20_000).step_by(1000) {
        assert_eq!(bench.broker.send(&topic(n), Bytes::from_static(b"x")).await.unwrap(), 1);
    }
    recorder.until("all heard", |heard| heard.messages.len() == 20).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_password_gets_in_and_a_wrong_one_does_not() {
    let redis = Redis::start();
    redis.cli(&["ACL", "SETUSER", "fanfare", "on", ">s3cret", "~*", "&*", "+@all"]);
    redis.cli(&["ACL", "SETUSER", "default", "off"]);
    let url = |password: &str| format!("redis://fanfare:{password}@127.0.0.1:{}/1", redis.port());
    let bench = Bench::on(&url("s3cret")).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(Topic::Nodes).await.unwrap();
    bench.broker.send(&Topic::Nodes, Bytes::from_static(b"x")).await.unwrap();
    recorder.until("heard", |heard| heard.messages.len() == 1).await;
    assert!(matches!(refusal(&url("wrong")).await, BrokerError::Unavailable(_)));
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_told_what_is_set_up_badly() {
    let redis = Redis::start();
    let bench = Bench::on(&redis.url()).await;
    let warnings = bench.broker.check().await.unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("appendonly"));
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "appendonly", "yes"]);
    let warnings = bench.broker.check().await.unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("allkeys-lru"));
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    assert!(bench.broker.check().await.unwrap().is_empty());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_comes_too_late_for_the_caller_is_announced() {
    let redis = Redis::start();
    let bench = Bench::on(&redis.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    redis.freeze();
    let late = subscriber.subscribe(Topic::Nodes).await;
    assert!(matches!(late, Err(BrokerError::Unavailable(_))));
    redis.thaw();
    recorder.until("announced", |heard| heard.connected == 2).await;
    bench.broker.send(&Topic::Nodes, Bytes::from_static(b"x")).await.unwrap();
    recorder.until("heard", |heard| heard.messages.len() == 1).await;
    assert!(recorder.heard().disconnected.is_empty(), "{:?}", recorder.heard().disconnected);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_takes_its_time_is_not_taken_for_a_dead_link() {
    let redis = Redis::start();
    let bench = Bench::on(&redis.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(Topic::Nodes).await.unwrap();
    *recorder.slowness.lock().unwrap() = Duration::from_secs(7);
    bench.broker.send(&Topic::Nodes, Bytes::from_static(b"x")).await.unwrap();
    recorder.until("heard", |heard| heard.messages.len() == 1).await;
    let canaries = recorder.heard().canaries.len();
    recorder.until("more canaries", |heard| heard.canaries.len() >= canaries + 3).await;
    assert!(recorder.heard().disconnected.is_empty(), "{:?}", recorder.heard().disconnected);
    bench.finish().await;
}
