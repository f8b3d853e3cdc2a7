//! Heads, histories and the rules of generations.

use std::time::Duration;

use broker::{BrokerError, BrokerOptions, Head, Topic};
use domain::{
    channel::Channel,
    publication::Publication,
    source::{Source, Stream},
};

use crate::{
    bench::{Bench, Place, on_each},
    events::{channel, publication, publications, sized},
};

on_each!(
    what_is_published_is_in_head_history_and_message,
    repeats_do_nothing,
    a_partial_repeat_publishes_what_is_new,
    a_hole_begins_the_history_anew,
    a_higher_generation_begins_anew_and_a_lower_one_is_refused,
    a_history_answers_only_what_follows,
    a_history_is_bounded_in_length,
    a_history_is_bounded_in_bytes,
    a_history_expires_before_its_head,
    many_channels_and_sources_go_in_one_call,
    a_long_run_arrives_in_order,
);

async fn publish(bench: &Bench, generation: u64, channel: &Channel, offsets: &[u64]) {
    let given = publications(channel, offsets.iter().copied());
    bench.broker.publish(generation, &given).await.unwrap();
}

async fn head(bench: &Bench, channel: &Channel) -> Option<Head> {
    bench.broker.heads(&[(channel.clone(), channel.home())]).await.unwrap()[0]
}

async fn history(bench: &Bench, channel: &Channel, after: u64) -> Vec<u64> {
    let publications = bench.broker.history(channel, channel.home(), after, 5000).await.unwrap();
    publications.iter().map(|publication| publication.offset).collect()
}

async fn what_is_published_is_in_head_history_and_message(place: Place) {
    let bench = place.bench().await;
    let tasks = channel("tasks");
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(Topic::Channel(tasks.clone())).await.unwrap();
    assert_eq!(head(&bench, &tasks).await, None);
    publish(&bench, 1, &tasks, &[1, 2, 3]).await;
    assert_eq!(head(&bench, &tasks).await, Some(Head { generation: 1, offset: 3 }));
    let kept = bench.broker.history(&tasks, tasks.home(), 0, 10).await.unwrap();
    let given = publications(&tasks, 1..=3);
    let encoded = |all: &[Publication]| all.iter().map(Publication::encode).collect::<Vec<_>>();
    assert_eq!(encoded(&kept), encoded(&given));
    recorder.until("delivered", |heard| !heard.messages.is_empty()).await;
    assert_eq!(recorder.heard().messages[0].payload, encoded(&given).join(&b'\n'));
    bench.finish().await;
}

async fn repeats_do_nothing(place: Place) {
    let bench = place.bench().await;
    let tasks = channel("tasks");
    let topic = Topic::Channel(tasks.clone());
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(topic.clone()).await.unwrap();
    for offsets in [&[1, 2, 3][..], &[1, 2, 3], &[2], &[3], &[4]] {
        publish(&bench, 1, &tasks, offsets).await;
    }
    recorder.until("delivered", |heard| heard.offsets(&topic).ends_with(&[4])).await;
    assert_eq!(recorder.heard().offsets(&topic), [1, 2, 3, 4]);
    assert_eq!(history(&bench, &tasks, 0).await, [1, 2, 3, 4]);
    bench.finish().await;
}

async fn a_partial_repeat_publishes_what_is_new(place: Place) {
    let bench = place.bench().await;
    let tasks = channel("tasks");
    let topic = Topic::Channel(tasks.clone());
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(topic.clone()).await.unwrap();
    publish(&bench, 1, &tasks, &[1, 2]).await;
    publish(&bench, 1, &tasks, &[1, 2, 3, 4]).await;
    recorder.until("delivered", |heard| heard.offsets(&topic).ends_with(&[4])).await;
    assert_eq!(recorder.heard().offsets(&topic), [1, 2, 3, 4]);
    assert_eq!(history(&bench, &tasks, 1).await, [2, 3, 4]);
    bench.finish().await;
}

async fn a_hole_begins_the_history_anew(place: Place) {
    let bench = place.bench().await;
    let tasks = channel("tasks");
    publish(&bench, 1, &tasks, &[1, 2]).await;
    publish(&bench, 1, &tasks, &[5, 6]).await;
    assert_eq!(history(&bench, &tasks, 4).await, [5, 6]);
    assert!(history(&bench, &tasks, 0).await.is_empty());
    assert_eq!(head(&bench, &tasks).await, Some(Head { generation: 1, offset: 6 }));
    // A hole within one call is one as well.
    publish(&bench, 1, &tasks, &[7, 9]).await;
    assert_eq!(history(&bench, &tasks, 8).await, [9]);
    assert!(history(&bench, &tasks, 5).await.is_empty());
    bench.finish().await;
}

async fn a_higher_generation_begins_anew_and_a_lower_one_is_refused(place: Place) {
    let bench = place.bench().await;
    let tasks = channel("tasks");
    publish(&bench, 3, &tasks, &[1, 2, 3]).await;
    publish(&bench, 4, &tasks, &[2]).await;
    assert_eq!(head(&bench, &tasks).await, Some(Head { generation: 4, offset: 2 }));
    assert_eq!(history(&bench, &tasks, 1).await, [2]);
    let refused = bench.broker.publish(3, &publications(&tasks, 3..=4)).await;
    assert!(matches!(refused, Err(BrokerError::Superseded(which)) if which == tasks));
    assert_eq!(head(&bench, &tasks).await, Some(Head { generation: 4, offset: 2 }));
    assert_eq!(history(&bench, &tasks, 1).await, [2]);
    bench.finish().await;
}

async fn a_history_answers_only_what_follows(place: Place) {
    let options = BrokerOptions { history_length: 10, ..BrokerOptions::default() };
    let bench = place.bench_with(options).await;
    let tasks = channel("tasks");
    for offset in 1..=500 {
        publish(&bench, 1, &tasks, &[offset]).await;
    }
    assert!(history(&bench, &tasks, 3).await.is_empty(), "it does not reach back so far");
    assert!(history(&bench, &tasks, 500).await.is_empty());
    assert!(history(&bench, &tasks, 900).await.is_empty());
    assert_eq!(history(&bench, &tasks, 497).await, [498, 499, 500]);
    let page = bench.broker.history(&tasks, tasks.home(), 495, 2).await.unwrap();
    assert_eq!(page.iter().map(|p| p.offset).collect::<Vec<_>>(), [496, 497]);
    let other = Source::first(Stream::Agents);
    assert!(bench.broker.history(&tasks, other, 0, 10).await.unwrap().is_empty());
    bench.finish().await;
}

/// The longest contiguous history that reaches up to `head`.
async fn reach(bench: &Bench, channel: &Channel, head: u64) -> u64 {
    let (mut low, mut high) = (0, head);
    while low < high {
        let middle = u64::midpoint(low, high);
        let page = bench.broker.history(channel, channel.home(), middle, 1).await.unwrap();
        if page.is_empty() { low = middle + 1 } else { high = middle }
    }
    head - low
}

async fn a_history_is_bounded_in_length(place: Place) {
    let options = BrokerOptions { history_length: 100, ..BrokerOptions::default() };
    let bench = place.bench_with(options).await;
    let tasks = channel("tasks");
    for part in publications(&tasks, 1..=1000).chunks(50) {
        bench.broker.publish(1, part).await.unwrap();
    }
    let reach = reach(&bench, &tasks, 1000).await;
    // Redis trims whole nodes of its tree, of at most 100 entries or 4 KiB.
    assert!((100..=200).contains(&reach), "{reach}");
    bench.finish().await;
}

async fn a_history_is_bounded_in_bytes(place: Place) {
    let options = BrokerOptions { history_bytes: 100_000, ..BrokerOptions::default() };
    let bench = place.bench_with(options).await;
    let tasks = channel("tasks");
    for offset in 1..=400 {
        bench.broker.publish(1, &[sized(&tasks, offset, 1000)]).await.unwrap();
    }
    let kept = reach(&bench, &tasks, 400).await;
    assert!((30..=100).contains(&kept), "{kept}");
    // One that alone is too large is published and not kept, and the next begins anew.
    bench.broker.publish(1, &[sized(&tasks, 401, 200_000)]).await.unwrap();
    assert_eq!(reach(&bench, &tasks, 401).await, 0);
    bench.broker.publish(1, &[publication(&tasks, 402)]).await.unwrap();
    assert_eq!(history(&bench, &tasks, 401).await, [402]);
    assert_eq!(head(&bench, &tasks).await.unwrap().offset, 402);
    bench.finish().await;
}

async fn a_history_expires_before_its_head(place: Place) {
    let ttl = Duration::from_millis(600);
    let bench = place.bench_with(BrokerOptions { history_ttl: ttl, ..Default::default() }).await;
    let tasks = channel("tasks");
    publish(&bench, 1, &tasks, &[1, 2]).await;
    let (mut seen_alone, mut begun) = (false, true);
    while begun {
        let (history, head) = (history(&bench, &tasks, 0).await, head(&bench, &tasks).await);
        seen_alone |= history.is_empty() && head.is_some();
        begun = head.is_some();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(seen_alone, "the head outlives the history");
    publish(&bench, 1, &tasks, &[3]).await;
    assert_eq!(history(&bench, &tasks, 2).await, [3]);
    // Between the two expiries the history begins with what comes then.
    tokio::time::sleep(ttl + ttl / 3).await;
    publish(&bench, 1, &tasks, &[4]).await;
    assert_eq!(history(&bench, &tasks, 3).await, [4]);
    assert!(history(&bench, &tasks, 2).await.is_empty());
    bench.finish().await;
}

async fn many_channels_and_sources_go_in_one_call(place: Place) {
    let bench = place.bench().await;
    let channels: Vec<_> = (0..1500).map(|n| channel(&format!("deployment:d{n}"))).collect();
    let mut given = Vec::new();
    for offset in 1..=3 {
        for channel in &channels {
            given.push(publication(channel, offset));
        }
    }
    let user = channel("user:u1");
    for (stream, offset) in [(Stream::Messages, 1), (Stream::Tasks, 8), (Stream::Messages, 2)] {
        given.push(Publication { source: Source::first(stream), ..publication(&user, offset) });
    }
    bench.broker.publish(2, &given).await.unwrap();
    let mut asked: Vec<_> = channels.iter().map(|c| (c.clone(), c.home())).collect();
    asked.push((user.clone(), Source::first(Stream::Tasks)));
    asked.push((user.clone(), Source::first(Stream::Messages)));
    asked.push((user, Source::first(Stream::Agents)));
    let heads = bench.broker.heads(&asked).await.unwrap();
    let at = |offset| Some(Head { generation: 2, offset });
    assert!(heads[..1500].iter().all(|head| *head == at(3)));
    assert_eq!(heads[1500..], [at(8), at(2), None]);
    bench.finish().await;
}

async fn a_long_run_arrives_in_order(place: Place) {
    let bench = place.bench().await;
    let logs = channel("container:c1");
    let topic = Topic::Channel(logs.clone());
    let (subscriber, recorder) = bench.subscriber("n1").await;
    subscriber.subscribe(topic.clone()).await.unwrap();
    let given: Vec<_> = (1..=700).map(|offset| sized(&logs, offset, 5000)).collect();
    bench.broker.publish(1, &given).await.unwrap();
    recorder.until("all delivered", |heard| heard.offsets(&topic).len() >= 700).await;
    assert_eq!(recorder.heard().offsets(&topic), (1..=700).collect::<Vec<_>>());
    bench.finish().await;
}
