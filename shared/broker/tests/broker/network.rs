//! What the network may do: stall, cut, lead elsewhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use broker::{BrokerError, PublishedUpTo, Topic};
use bytes::Bytes;
use domain::{
    entry::EntryId,
    source::{Source, Stream},
};
use services::{Proxy, Redis, free_port};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    bench::{Bench, refusal, until_ok},
    events::{channel, fields, publications},
};

const SOURCE: Source = Source::first(Stream::Tasks);

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_told_at_once() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    assert!(matches!(refusal(&url).await, BrokerError::Unavailable(_)));
    let wrong = refusal("redis+cluster://127.0.0.1:7000/1").await;
    assert!(matches!(wrong, BrokerError::Address(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_link_is_noticed_by_all_and_left() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port());
    let bench = Bench::on(&format!("redis://127.0.0.1:{}", proxy.port())).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(Topic::Nodes).await.unwrap();
    let mut reader = bench.broker.reader(SOURCE);
    reader.read(EntryId::ZERO, 1, Duration::from_millis(1)).await.unwrap();

    proxy.stall();
    let begun = Instant::now();
    let given = publications(&channel("tasks"), 1..=2);
    let (published, read) = tokio::join!(
        bench.broker.publish(1, &given),
        reader.read(EntryId::ZERO, 1, Duration::from_millis(100))
    );
    assert!(matches!(published, Err(BrokerError::Unknown(_))), "{published:?}");
    assert!(matches!(read, Err(BrokerError::Unavailable(_))), "{read:?}");
    recorder.until("disconnected", |heard| heard.disconnected.len() == 1).await;
    let asked = subscriber.subscribe(Topic::Workers).await;
    assert!(matches!(asked, Err(BrokerError::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    proxy.cut();
    proxy.heal();
    until_ok(async || bench.broker.publish(1, &given).await).await;
    recorder.until("connected", |heard| heard.connected == 2).await;
    for topic in [Topic::Nodes, Topic::Workers] {
        assert_eq!(bench.broker.send(&topic, Bytes::from_static(b"x")).await.unwrap(), 1);
    }
    recorder.until("heard both", |heard| heard.messages.len() == 2).await;
    until_ok(async || reader.read(EntryId::ZERO, 1, Duration::from_millis(1)).await).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_is_lost_is_unknown_and_nothing_follows_it() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port());
    let bench = Bench::on(&format!("redis://127.0.0.1:{}", proxy.port())).await;
    proxy.stall();
    let entries: Vec<_> = (0..1500).map(|n| (SOURCE, fields(&n.to_string()))).collect();
    let results = bench.broker.append(&entries).await;
    let (unknown, unsent) = results.split_at(1000);
    assert!(unknown.iter().all(|result| matches!(result, Err(BrokerError::Unknown(_)))));
    assert!(unsent.iter().all(|result| matches!(result, Err(BrokerError::Unavailable(_)))));
    assert_eq!((unknown.len(), unsent.len()), (1000, 500));
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_are_slow_but_answered_keep_their_connection() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port());
    let bench = Bench::on(&format!("redis://127.0.0.1:{}", proxy.port())).await;
    let (_subscriber, recorder) = bench.subscriber("n1").await;
    proxy.delay(Duration::from_millis(300));
    for generation in 1..=3 {
        bench.broker.mark(SOURCE, generation, PublishedUpTo::default()).await.unwrap();
    }
    recorder
        .until("a late canary", |heard| {
            heard.canaries.iter().any(|delay| *delay > Duration::from_millis(300))
        })
        .await;
    assert!(recorder.heard().disconnected.is_empty(), "{:?}", recorder.heard().disconnected);
    bench.finish().await;
}

/// Leads new connections to another port; those that are there stay where they are.
struct Switch {
    port: u16,
    target: Arc<AtomicU16>,
    _tasks: JoinSet<()>,
}

impl Switch {
    async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(AtomicU16::new(target));
        let leads_to = Arc::clone(&target);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let port = leads_to.load(Ordering::SeqCst);
                connections.spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
                });
            }
        });
        Self { port, target, _tasks: tasks }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_left_behind_at_an_old_primary_finds_out_by_the_probe() {
    let (old, new) = (Redis::start(), Redis::start());
    let switch = Switch::to(old.port()).await;
    let bench = Bench::on(&format!("redis://127.0.0.1:{}", switch.port)).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(Topic::Nodes).await.unwrap();
    // Commands go to the new one from now on; the old one still answers the subscriber's PING.
    switch.target.store(new.port(), Ordering::SeqCst);
    old.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    recorder.until("disconnected", |heard| heard.disconnected.len() == 1).await;
    assert!(recorder.heard().disconnected[0].contains("deaf"));
    recorder.until("connected", |heard| heard.connected == 2).await;
    bench.broker.send(&Topic::Nodes, Bytes::from_static(b"x")).await.unwrap();
    recorder.until("heard", |heard| heard.messages.len() == 1).await;
    bench.finish().await;
}
