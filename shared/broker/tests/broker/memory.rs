//! The bounds of the broker in memory.

use std::time::Duration;

use broker::{BrokerOptions, Topic};
use bytes::Bytes;
use domain::source::{Source, Stream};

use crate::{
    bench::Place,
    events::{channel, publications, sized},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_overflows_is_emptied_and_the_sink_compares() {
    let options = BrokerOptions { memory_queue_bytes: 10_000, ..BrokerOptions::default() };
    let bench = Place::Memory.bench_with(options).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(Topic::Nodes).await.unwrap();
    *recorder.slowness.lock().unwrap() = Duration::from_millis(300);
    for _ in 0..200 {
        bench.broker.send(&Topic::Nodes, Bytes::from(vec![0; 1000])).await.unwrap();
    }
    recorder.until("told", |heard| !heard.disconnected.is_empty() && heard.connected > 1).await;
    *recorder.slowness.lock().unwrap() = Duration::ZERO;
    // The queue may have been near its bound: once more when it was taken.
    let last = || Bytes::from_static(b"last");
    while !recorder.heard().texts(&Topic::Nodes).contains(&"last".to_owned()) {
        bench.broker.send(&Topic::Nodes, last()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    recorder.until("told", |heard| heard.connected == heard.disconnected.len() + 1).await;
    assert!(recorder.heard().messages.len() < 200);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_share_a_bound_and_the_longest_untouched_are_forgotten() {
    let options = BrokerOptions { memory_history_bytes: 200_000, ..BrokerOptions::default() };
    let bench = Place::Memory.bench_with(options).await;
    let source = Source::first(Stream::Deployments);
    let channels: Vec<_> = (0..100).map(|n| channel(&format!("deployment:d{n}"))).collect();
    for channel in &channels {
        bench.broker.publish(1, &[sized(channel, 1, 10_000)]).await.unwrap();
    }
    let asked: Vec<_> = channels.iter().map(|channel| (channel.clone(), source)).collect();
    let heads = bench.broker.heads(&asked).await.unwrap();
    assert!(heads[0].is_none(), "who asks for it is sent to SQL");
    assert!(heads[99].is_some());
    assert!((5..=25).contains(&heads.iter().flatten().count()));
    // A channel that was forgotten goes on from any offset.
    bench.broker.publish(1, &publications(&channels[0], [2])).await.unwrap();
    let history = bench.broker.history(&channels[0], source, 1, 10).await.unwrap();
    assert_eq!(history.len(), 1);
    bench.finish().await;
}
