//! What a cluster may do: spread, move slots, lose a server.

use std::time::{Duration, Instant};

use broker::{BrokerError, PublishedUpTo, Topic};
use bytes::Bytes;
use domain::{
    channel::Channel,
    entry::EntryId,
    source::{Source, Stream},
};
use services::{Redis, RedisCluster};

use crate::{
    bench::{Bench, refusal, until_ok},
    events::{channel, fields, publications},
};

const SOURCE: Source = Source::first(Stream::Tasks);

/// Our keys whose names hold a text, wherever they live: name and slot.
fn keys(cluster: &RedisCluster, bench: &Bench, text: &str) -> Vec<(String, u16)> {
    let pattern = format!("*{}*{text}*", bench.prefix);
    let masters = cluster.masters().into_iter();
    let said: Vec<_> = masters.map(|master| master.cli(&["KEYS", &pattern])).collect();
    let names = said.iter().flat_map(|said| said.lines()).filter(|name| !name.is_empty());
    names.map(|name| (name.to_owned(), cluster.slot(name))).collect()
}

/// The head of a channel, which says where the channel lives.
fn head(cluster: &RedisCluster, bench: &Bench, channel: &Channel) -> String {
    let name = format!(":p:{}:", channel.encoded());
    let keys = keys(cluster, bench, &name);
    keys.into_iter().next().expect("something was published there").0
}

/// Two channels that live at different masters: at `master`, and elsewhere.
async fn apart(cluster: &RedisCluster, bench: &Bench, master: &Redis) -> (Channel, Channel) {
    let (mut here, mut there) = (None, None);
    for n in 0..100 {
        let channel = channel(&format!("task:apart{n}"));
        bench.broker.publish(1, &publications(&channel, [1])).await.unwrap();
        let holder = cluster.master_of(&head(cluster, bench, &channel));
        let found = if holder.port() == master.port() { &mut here } else { &mut there };
        found.get_or_insert(channel);
        if let (Some(here), Some(there)) = (&here, &there) {
            return (here.clone(), there.clone());
        }
    }
    panic!("all channels live together");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_lie_by_their_own_names_and_what_belongs_to_a_channel_lies_together() {
    let cluster = RedisCluster::shared();
    let bench = Bench::on(&cluster.url()).await;
    let mut holders = Vec::new();
    for source in Source::all(2) {
        bench.broker.append(&[(source, fields("x"))]).await.remove(0).unwrap();
        bench.broker.mark(source, 1, PublishedUpTo::default()).await.unwrap();
        let key = format!("{}:{source}", bench.prefix);
        assert_eq!(cluster.cli(&["XLEN", &key]), "1");
        holders.push(cluster.master_of(&key).port());
        for (name, slot) in keys(cluster, &bench, &format!("{source}}}:")) {
            assert_eq!(slot, cluster.slot(&key), "{name} lies with its stream");
        }
    }
    holders.sort_unstable();
    holders.dedup();
    assert!(holders.len() > 1, "twelve streams lie at several servers");
    for n in 0..20 {
        let channel = channel(&format!("task:t{n}"));
        bench.broker.publish(1, &publications(&channel, 1..=3)).await.unwrap();
        let slots: Vec<_> = keys(cluster, &bench, &format!(":{}:", channel.encoded()))
            .into_iter()
            .map(|(_, slot)| slot)
            .collect();
        assert_eq!(slots.len(), 2, "head and history");
        assert_eq!(slots[0], slots[1]);
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_followed_while_it_moves_and_after() {
    let cluster = RedisCluster::start();
    let bench = Bench::on(&cluster.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let moving = channel("task:moving");
    let topic = Topic::Channel(moving.clone());
    subscriber.subscribe(topic.clone()).await.unwrap();
    bench.broker.publish(1, &publications(&moving, 1..=2)).await.unwrap();
    recorder.until("heard", |heard| heard.offsets(&topic) == [1, 2]).await;

    let head = head(&cluster, &bench, &moving);
    let from = cluster.master_of(&head);
    let to = cluster.masters().into_iter().find(|it| it.port() != from.port()).unwrap();
    cluster.begin_move(&head, to);
    bench.broker.publish(1, &publications(&moving, 3..=4)).await.unwrap();
    let heads = bench.broker.heads(&[(moving.clone(), SOURCE)]).await.unwrap();
    assert_eq!(heads[0].unwrap().offset, 4);
    assert_eq!(bench.broker.history(&moving, SOURCE, 0, 9).await.unwrap().len(), 4);
    cluster.end_move(&head, to);
    // What was published half way may be lost; who is subscribed again is told to compare.
    recorder.until("told to compare", |heard| heard.parts_connected > 3).await;
    while bench.broker.send(&topic, Bytes::new()).await.unwrap() == 0 {}
    bench.broker.publish(1, &publications(&moving, 5..=6)).await.unwrap();
    recorder.until("heard again", |heard| heard.offsets(&topic).ends_with(&[5, 6])).await;
    assert!(recorder.heard().disconnected.is_empty(), "{:?}", recorder.heard().disconnected);

    let stream = format!("{}:{SOURCE}", bench.prefix);
    let first = bench.broker.append(&[(SOURCE, fields("first"))]).await.remove(0).unwrap();
    let mut reader = bench.broker.reader(SOURCE);
    let wait = Duration::from_millis(100);
    assert_eq!(reader.read(EntryId::ZERO, 9, wait).await.unwrap().len(), 1);
    let from = cluster.master_of(&stream);
    let to = cluster.masters().into_iter().find(|it| it.port() != from.port()).unwrap();
    cluster.begin_move(&stream, to);
    let second = bench.broker.append(&[(SOURCE, fields("second"))]).await.remove(0).unwrap();
    assert_eq!(reader.read(first, 9, wait).await.unwrap()[0].id, second);
    assert_eq!(bench.broker.inspect(SOURCE).await.unwrap().length, 2);
    cluster.end_move(&stream, to);
    let third = bench.broker.append(&[(SOURCE, fields("third"))]).await.remove(0).unwrap();
    assert_eq!(reader.read(second, 9, wait).await.unwrap()[0].id, third);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_holds_up_only_what_lives_there() {
    let cluster = RedisCluster::start();
    let bench = Bench::on(&cluster.url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let stream = format!("{}:{SOURCE}", bench.prefix);
    let mut masters = cluster.masters().into_iter();
    let master = masters.find(|it| it.port() != cluster.master_of(&stream).port()).unwrap();
    let (here, there) = apart(&cluster, &bench, master).await;
    let (topic_here, topic_there) = (Topic::Channel(here.clone()), Topic::Channel(there.clone()));
    for topic in [&topic_here, &topic_there] {
        subscriber.subscribe(topic.clone()).await.unwrap();
    }
    let before = bench.broker.identity(SOURCE).await.unwrap();
    assert!(before.is_whole && before.others.len() == 2, "{before:?}");

    let replica = cluster.replica_of(master);
    master.kill();
    let both = [publications(&here, 2..=3), publications(&there, 2..=3)].concat();
    match bench.broker.publish(1, &both).await {
        Err(BrokerError::Partial(lagging, _)) => {
            assert!(lagging.contains(&here) && !lagging.contains(&there));
        }
        other => panic!("{other:?}"),
    }
    recorder.until("the others go on", |heard| heard.offsets(&topic_there) == [2, 3]).await;
    recorder.until("its loss is told", |heard| heard.disconnected.len() == 1).await;
    assert!(subscriber.hears(&topic_there) && !subscriber.hears(&topic_here));

    cluster.until_promoted(replica);
    until_ok(async || bench.broker.publish(1, &both).await).await;
    recorder.until("whole again", |heard| heard.connected > 1).await;
    bench.broker.publish(1, &publications(&here, 4..=4)).await.unwrap();
    recorder.until("heard again", |heard| heard.offsets(&topic_here).ends_with(&[4])).await;
    let after = until_ok(async || {
        let identity = bench.broker.identity(SOURCE).await?;
        let is_news = identity.is_whole && identity != before;
        is_news.then_some(identity).ok_or(BrokerError::Unavailable("the same".to_owned()))
    })
    .await;
    assert_eq!(after.replid, before.replid, "the stream lies where it lay");
    let remembered = before.remembered("");
    assert!(after.has_known_stream(&remembered) && !after.is_known(&remembered));
    assert!(after.is_known(&after.remembered(&remembered)));
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_nothing_costs_the_others_no_time() {
    let cluster = RedisCluster::start();
    let bench = Bench::on(&cluster.url()).await;
    let stream = format!("{}:{SOURCE}", bench.prefix);
    let mut masters = cluster.masters().into_iter();
    let master = masters.find(|it| it.port() != cluster.master_of(&stream).port()).unwrap();
    let (here, there) = apart(&cluster, &bench, master).await;
    master.freeze();
    let given = |n| [publications(&here, [n]), publications(&there, [n])].concat();
    let refused = bench.broker.publish(1, &given(2)).await;
    assert!(matches!(refused, Err(BrokerError::Partial(..))), "{refused:?}");
    let begun = Instant::now();
    let refused = bench.broker.publish(1, &given(3)).await;
    assert!(matches!(refused, Err(BrokerError::Partial(..))), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_millis(500), "it took {:?}", begun.elapsed());
    master.thaw();
    until_ok(async || bench.broker.publish(1, &publications(&here, 2..=3)).await).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_server_of_a_url_need_not_be_a_master_nor_be_there() {
    let cluster = RedisCluster::shared();
    let replica = cluster.replica_of(cluster.masters()[0]);
    let bench = Bench::on(&format!("redis+cluster://127.0.0.1:{}", replica.port())).await;
    bench.broker.send(&Topic::Nodes, Bytes::from_static(b"x")).await.unwrap();
    bench.finish().await;
    let alone = Redis::start();
    let url = format!("redis+cluster://127.0.0.1:{}", alone.port());
    assert!(matches!(refusal(&url).await, BrokerError::Unavailable(_)));
}
