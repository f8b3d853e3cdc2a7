//! Samples of agents' health.

use std::time::Duration;

use broker::BrokerOptions;

use crate::bench::{Place, on_each};

on_each!(
    the_newest_samples_come_oldest_first_and_no_more_than_are_kept,
    a_sample_is_added_behind_the_one_that_was_seen_and_no_other,
    samples_last_as_long_as_their_life,
);

async fn the_newest_samples_come_oldest_first_and_no_more_than_are_kept(place: Place) {
    let options = BrokerOptions { health_samples_max: 3, ..Default::default() };
    let bench = place.bench_with(options).await;
    let broker = &*bench.broker;
    assert!(broker.health_samples("gpu 1/ä", 10).await.unwrap().is_empty());
    let mut last = None;
    for sample in ["a", "b", "c", "d"] {
        assert!(broker.add_health_sample("gpu 1/ä", last, sample).await.unwrap());
        last = Some(sample);
    }
    assert_eq!(broker.health_samples("gpu 1/ä", 10).await.unwrap(), ["b", "c", "d"]);
    assert_eq!(broker.health_samples("gpu 1/ä", 2).await.unwrap(), ["c", "d"]);
    assert!(broker.health_samples("gpu 1", 2).await.unwrap().is_empty(), "it is another agent");
    bench.finish().await;
}

async fn a_sample_is_added_behind_the_one_that_was_seen_and_no_other(place: Place) {
    let bench = place.bench().await;
    let broker = &*bench.broker;
    assert!(!broker.add_health_sample("a", Some("0"), "1").await.unwrap(), "there is none");
    assert!(broker.add_health_sample("a", None, "1").await.unwrap());
    assert!(!broker.add_health_sample("a", None, "2").await.unwrap(), "another node was first");
    assert!(broker.add_health_sample("a", Some("1"), "2").await.unwrap());
    assert_eq!(broker.health_samples("a", 10).await.unwrap(), ["1", "2"]);
    bench.finish().await;
}

async fn samples_last_as_long_as_their_life(place: Place) {
    let options =
        BrokerOptions { health_sample_life: Duration::from_millis(200), ..Default::default() };
    let bench = place.bench_with(options).await;
    let broker = &*bench.broker;
    assert!(broker.add_health_sample("a", None, "1").await.unwrap());
    while !broker.health_samples("a", 10).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(broker.add_health_sample("a", None, "2").await.unwrap());
    bench.finish().await;
}
