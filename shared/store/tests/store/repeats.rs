//! What is taken in only once: entries by id and content (rule 5), events by their producer's id.

use domain::source::{Source, Stream};
use store::{Judged, Outcome, StoreError};

use crate::bench::{
    Bench, DEPLOYMENTS, TASKS, entry, id, offsets, on_both_engines, placed, update,
};

on_both_engines! {
    rule_5_a_known_entry_read_again_is_not_recorded_twice_but_another_entry_of_the_same_id_is,
    rule_5_dead_letters_and_repeats_are_known_too,
    rule_5_the_same_entry_of_two_sources_is_two_entries,
    rule_5_ids_beyond_all_clocks_are_told_apart,
    an_event_id_is_applied_once_and_says_where_it_went,
    an_event_id_is_applied_once_within_a_batch,
    an_event_id_belongs_to_its_stream_and_all_its_partitions,
    an_event_id_is_free_again_after_24_hours,
    a_dead_letter_does_not_use_up_its_event_id,
}

async fn rule_5_a_known_entry_read_again_is_not_recorded_twice_but_another_entry_of_the_same_id_is(
    bench: Bench,
) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let first = vec![update(1, "d", r#"{"n":1}"#), update(2, "d", r#"{"n":2}"#)];
    owner.record(first.clone()).await;
    owner.set_back(id(0)).await;
    let mut again = first;
    again.push(update(2, "d", r#"{"n":"another"}"#));
    again.push(update(3, "d", r#"{"n":3}"#));
    let committed = owner.record(again).await;
    assert_eq!(committed.outcomes[..2], [Outcome::Known, Outcome::Known]);
    assert_eq!(placed(&committed.outcomes[2])[0].1, 3);
    assert_eq!(placed(&committed.outcomes[3])[0].1, 4);
    assert_eq!(offsets(&bench.all("deployment:d").await), [1, 2, 3, 4]);
}

async fn rule_5_dead_letters_and_repeats_are_known_too(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let entries = vec![with_event_id(1, "e"), with_event_id(2, "e"), dead(3)];
    owner.record(entries.clone()).await;
    owner.set_back(id(0)).await;
    let committed = owner.record(entries).await;
    assert_eq!(committed.outcomes, [Outcome::Known, Outcome::Known, Outcome::Known]);
    assert_eq!(committed.seq, 1);
    assert_eq!(bench.store.dead_letters(None, None, 9).await.unwrap().len(), 1);
}

async fn rule_5_the_same_entry_of_two_sources_is_two_entries(bench: Bench) {
    for (source, kind) in [(DEPLOYMENTS, "deployment_update"), (TASKS, "task_update")] {
        let mut owner = bench.owner(source).await;
        let same = entry(source, 1, &[("type", kind), ("id", "x")]);
        assert_eq!(owner.record(vec![same]).await.seq, 1);
    }
}

async fn rule_5_ids_beyond_all_clocks_are_told_apart(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let at = |number: u64| {
        let mut judged = update(u64::MAX - 1, "d", "{}");
        judged.entry.number = number;
        judged
    };
    let entries = vec![at(u64::MAX - 1), at(u64::MAX)];
    owner.record(entries.clone()).await;
    owner.set_back(id(0)).await;
    let committed = owner.record(entries).await;
    assert_eq!(committed.outcomes, [Outcome::Known, Outcome::Known]);
}

async fn an_event_id_is_applied_once_and_says_where_it_went(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let first = owner.record(vec![update(1, "d", "{}"), with_event_id(2, "e")]).await;
    let second = owner.record(vec![with_event_id(3, "e"), update(4, "d", "{}")]).await;
    let Outcome::Repeated(places) = &second.outcomes[0] else { panic!("{second:?}") };
    assert_eq!(Outcome::Recorded(places.clone()), first.outcomes[1]);
    assert_eq!(placed(&second.outcomes[1])[0].1, 3);
}

async fn an_event_id_is_applied_once_within_a_batch(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let committed = owner.record(vec![with_event_id(1, "e"), with_event_id(2, "e")]).await;
    assert_eq!(committed.seq, 1);
    let Outcome::Repeated(places) = &committed.outcomes[1] else { panic!("{committed:?}") };
    assert_eq!(Outcome::Recorded(places.clone()), committed.outcomes[0]);
}

async fn an_event_id_belongs_to_its_stream_and_all_its_partitions(bench: Bench) {
    let other = Source { stream: Stream::Deployments, partition: 1 };
    bench.owner(DEPLOYMENTS).await.record(vec![with_event_id(1, "e")]).await;
    let committed = bench.owner(other).await.record(vec![with_event_id(1, "e")]).await;
    assert!(matches!(committed.outcomes[0], Outcome::Repeated(_)), "{committed:?}");
    let task = [("type", "task_update"), ("id", "t"), ("event_id", "e")];
    let committed = bench.owner(TASKS).await.record(vec![entry(TASKS, 1, &task)]).await;
    assert!(matches!(committed.outcomes[0], Outcome::Recorded(_)), "{committed:?}");

    // At the same time: one partition applies it, the other is told so when it tries again.
    let race = async |partition: u16| {
        let source = Source { stream: Stream::Deployments, partition };
        let mut owner = bench.owner(source).await;
        for round in 0..10 {
            let event_id = format!("race-{round}");
            loop {
                match owner.try_record(vec![with_event_id(round + 2, &event_id)]).await {
                    Ok(_) => break,
                    Err(StoreError::Conflict(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    };
    futures_util::join!(race(0), race(1));
    assert_eq!(bench.all("deployment:d").await.head.offsets.total(), 11);
}

async fn an_event_id_is_free_again_after_24_hours(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record(vec![with_event_id(1, "e")]).await;
    bench.sql("UPDATE applied SET recorded = recorded - 86400001").await;
    let committed = owner.record(vec![with_event_id(2, "e"), with_event_id(3, "e")]).await;
    assert_eq!(placed(&committed.outcomes[0])[0].1, 2);
    assert!(matches!(committed.outcomes[1], Outcome::Repeated(_)), "{committed:?}");
    let committed = owner.record(vec![with_event_id(4, "e")]).await;
    assert_eq!(placed(&committed.outcomes[0])[0].1, 2);
    assert!(matches!(committed.outcomes[0], Outcome::Repeated(_)), "{committed:?}");
}

async fn a_dead_letter_does_not_use_up_its_event_id(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let dead = [("type", "deployment_update"), ("event_id", "e")];
    owner.record(vec![entry(DEPLOYMENTS, 1, &dead)]).await;
    let committed = owner.record(vec![with_event_id(2, "e")]).await;
    assert!(matches!(committed.outcomes[0], Outcome::Recorded(_)), "{committed:?}");
}

fn with_event_id(ms: u64, event_id: &str) -> Judged {
    let fields = [("type", "deployment_update"), ("id", "d"), ("event_id", event_id)];
    entry(DEPLOYMENTS, ms, &fields)
}

fn dead(ms: u64) -> Judged {
    entry(DEPLOYMENTS, ms, &[("type", "nonsense")])
}
