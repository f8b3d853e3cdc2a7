//! Appending, reading, trimming, inspecting; the identity of the server.

use std::time::{Duration, Instant};

use broker::PublishedUpTo;
use broker::StreamInfo;
use domain::{
    entry::{EntryId, Fields},
    source::{Source, Stream},
};

use crate::{
    bench::{Place, on_each},
    events::fields,
};

on_each!(
    entries_come_back_in_order_with_rising_ids,
    an_entry_keeps_its_bytes,
    a_reader_waits_for_the_first_entry,
    a_reader_gives_up_after_its_wait,
    sources_do_not_mix,
    what_was_trimmed_is_gone_and_the_stream_says_so,
    a_mark_stays_and_the_server_is_the_same,
);

const SOURCE: Source = Source::first(Stream::Deployments);
const WAIT: Duration = Duration::from_secs(10);

async fn entries_come_back_in_order_with_rising_ids(place: Place) {
    let bench = place.bench().await;
    assert_eq!(bench.broker.inspect(SOURCE).await.unwrap(), StreamInfo::default());
    let entries: Vec<_> = (0..2500).map(|n| (SOURCE, fields(&n.to_string()))).collect();
    let results = bench.broker.append(&entries).await;
    let ids: Vec<EntryId> = results.into_iter().map(Result::unwrap).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));

    let mut reader = bench.broker.reader(SOURCE);
    let (mut after, mut read) = (EntryId::ZERO, Vec::new());
    while read.len() < entries.len() {
        let part = reader.read(after, 1000, WAIT).await.unwrap();
        assert!(part.len() <= 1000);
        after = part.last().unwrap().id;
        read.extend(part);
    }
    assert!(read.iter().zip(&ids).all(|(entry, id)| entry.id == *id));
    assert!(read.iter().zip(&entries).all(|(entry, (_, fields))| entry.fields == *fields));
    let info = bench.broker.inspect(SOURCE).await.unwrap();
    assert_eq!((info.first, info.last_generated), (ids.first().copied(), ids[2499]));
    assert_eq!((info.length, info.max_deleted), (2500, EntryId::ZERO));
    bench.finish().await;
}

async fn an_entry_keeps_its_bytes(place: Place) {
    let bench = place.bench().await;
    let binary: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let fields = Fields(vec![("data".to_owned(), binary), ("data".to_owned(), Vec::new())]);
    bench.broker.append(&[(SOURCE, fields.clone())]).await.remove(0).unwrap();
    let read = bench.broker.reader(SOURCE).read(EntryId::ZERO, 10, WAIT).await.unwrap();
    assert_eq!(read[0].fields, fields);
    bench.finish().await;
}

async fn a_reader_waits_for_the_first_entry(place: Place) {
    let bench = place.bench().await;
    let mut reader = bench.broker.reader(SOURCE);
    let reading = async { reader.read(EntryId::ZERO, 10, WAIT).await.unwrap() };
    let appending = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bench.broker.append(&[(SOURCE, fields("x"))]).await.remove(0).unwrap()
    };
    let begun = Instant::now();
    let (read, id) = tokio::join!(reading, appending);
    assert!(begun.elapsed() < WAIT / 2);
    assert_eq!(read[0].id, id);
    bench.finish().await;
}

async fn a_reader_gives_up_after_its_wait(place: Place) {
    let bench = place.bench().await;
    let mut reader = bench.broker.reader(SOURCE);
    let begun = Instant::now();
    for _ in 0..2 {
        let wait = Duration::from_millis(100);
        assert_eq!(reader.read(EntryId::ZERO, 10, wait).await.unwrap(), []);
    }
    assert!((Duration::from_millis(200)..WAIT).contains(&begun.elapsed()));
    bench.finish().await;
}

async fn sources_do_not_mix(place: Place) {
    let bench = place.bench().await;
    let other = Source { stream: Stream::Deployments, partition: 1 };
    bench.broker.append(&[(SOURCE, fields("a")), (other, fields("b"))]).await;
    for (source, text) in [(SOURCE, "a"), (other, "b")] {
        let read = bench.broker.reader(source).read(EntryId::ZERO, 10, WAIT).await.unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].fields, fields(text));
    }
    bench.finish().await;
}

async fn what_was_trimmed_is_gone_and_the_stream_says_so(place: Place) {
    let bench = place.bench().await;
    let entries: Vec<_> = (0..1000).map(|n| (SOURCE, fields(&n.to_string()))).collect();
    let results = bench.broker.append(&entries).await;
    let ids: Vec<EntryId> = results.into_iter().map(Result::unwrap).collect();
    bench.broker.trim(SOURCE, ids[950]).await.unwrap();
    let info = bench.broker.inspect(SOURCE).await.unwrap();
    // Redis removes whole nodes of its tree: some before the bound may stay, none after it goes.
    assert!(info.length >= 50 && info.length < 300, "{info:?}");
    assert!(info.first.unwrap() <= ids[950]);
    assert_eq!(info.last_generated, ids[999]);
    // Reads begin small and grow: what is left comes in several.
    let mut reader = bench.broker.reader(SOURCE);
    let (mut after, mut read) = (ids[949], 0);
    while after < ids[999] {
        let entries = reader.read(after, 100, WAIT).await.unwrap();
        after = entries.last().unwrap().id;
        read += entries.len();
    }
    assert_eq!(read, 50);
    bench.finish().await;
}

async fn a_mark_stays_and_the_server_is_the_same(place: Place) {
    let bench = place.bench().await;
    let before = bench.broker.identity(SOURCE).await.unwrap();
    assert_eq!(before.generation, None);
    assert!(!before.replid.is_empty());
    bench.broker.mark(SOURCE, 3, PublishedUpTo::default()).await.unwrap();
    let after = bench.broker.identity(SOURCE).await.unwrap();
    assert_eq!((after.generation, after.replid), (Some(3), before.replid));
    let other = Source::first(Stream::Tasks);
    assert_eq!(bench.broker.identity(other).await.unwrap().generation, None);
    bench.finish().await;
}
