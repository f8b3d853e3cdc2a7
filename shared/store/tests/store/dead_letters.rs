//! What was not accepted: found, forgotten in bulk, aged out.

use std::time::Duration;

use domain::source::Stream;
use store::{DeadLetterFilter, DeadLetterOrigin};

use crate::bench::{Bench, DEPLOYMENTS, TASKS, entry, on_both_engines};

on_both_engines! {
    a_dead_letter_is_found_by_its_entry,
    dead_letters_are_forgotten_by_stream_reason_and_age,
    dead_letters_age_out,
    of_an_entry_that_is_too_large_the_beginning_is_kept,
}

/// Two of deployments and one of tasks.
async fn three(bench: &Bench) {
    let dead = |source, ms| entry(source, ms, &[("type", "nonsense"), ("id", "")]);
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record(vec![dead(DEPLOYMENTS, 1), entry(DEPLOYMENTS, 2, &[("id", "x")])]).await;
    bench.owner(TASKS).await.record(vec![dead(TASKS, 3)]).await;
}

async fn a_dead_letter_is_found_by_its_entry(bench: Bench) {
    three(&bench).await;
    let found = bench.store.dead_letter_of("3-0").await.unwrap().unwrap();
    assert_eq!((found.origin, found.entry.as_str()), (DeadLetterOrigin::Source(TASKS), "3-0"));
    assert!(bench.store.dead_letter_of("4-0").await.unwrap().is_none());
}

async fn dead_letters_are_forgotten_by_stream_reason_and_age(bench: Bench) {
    three(&bench).await;
    let store = &bench.store;
    let all = store.dead_letters(None, None, 9).await.unwrap();
    assert_eq!(all.len(), 3);
    let early = DeadLetterFilter { before: Some(all[2].at), ..DeadLetterFilter::default() };
    assert_eq!(store.drop_dead_letters(&early).await.unwrap(), 0);
    let of = DeadLetterFilter {
        origin: Some(DeadLetterOrigin::Stream(Stream::Deployments)),
        reason: Some(all[2].reason.clone()),
        ..DeadLetterFilter::default()
    };
    let like = store.dead_letters_like(&of, 0, 9).await.unwrap();
    assert_eq!(like.iter().map(|letter| letter.id).collect::<Vec<_>>(), [all[2].id]);
    assert!(store.dead_letters_like(&of, all[2].id, 9).await.unwrap().is_empty());
    assert_eq!(store.drop_dead_letters(&of).await.unwrap(), 1);
    let stream = DeadLetterFilter {
        origin: Some(DeadLetterOrigin::Stream(Stream::Tasks)),
        ..DeadLetterFilter::default()
    };
    assert_eq!(store.drop_dead_letters(&stream).await.unwrap(), 1);
    assert_eq!(store.dead_letters(None, None, 9).await.unwrap().len(), 1);
}

async fn dead_letters_age_out(bench: Bench) {
    three(&bench).await;
    assert!(!bench.store.retain_dead_letters(Duration::from_hours(1)).await.unwrap());
    assert_eq!(bench.store.dead_letters(None, None, 9).await.unwrap().len(), 3);
    bench.sql("UPDATE dead_letter SET recorded = 5 WHERE entry = '1-0'").await;
    bench.store.retain_dead_letters(Duration::from_hours(1)).await.unwrap();
    assert_eq!(bench.store.dead_letters(None, None, 9).await.unwrap().len(), 2);
}

async fn of_an_entry_that_is_too_large_the_beginning_is_kept(bench: Bench) {
    let data = "x".repeat(5 << 20);
    let fields = [("type", "deployment_update"), ("id", "d"), ("data", data.as_str())];
    let large = entry(DEPLOYMENTS, 1, &fields);
    let (size, digest) = (large.fields.size_bytes(), large.digest);
    bench.owner(DEPLOYMENTS).await.record(vec![large]).await;
    let letter = bench.store.dead_letter_of("1-0").await.unwrap().unwrap();
    assert_eq!(letter.fields["cut_bytes"], size.to_string());
    assert_eq!(letter.fields["cut_digest"], format!("{digest:016x}"));
    assert_eq!(letter.fields["id"], "d");
    assert!(letter.fields["data"].len() > 60_000 && letter.fields["data"].len() <= 64 << 10);
}
