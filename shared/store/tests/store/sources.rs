//! Sources and their owners: rules 1, 3, 6 and 7.

use std::time::Duration;

use domain::source::{Source, Stream};
use store::StoreError;

use crate::bench::{Bench, DEPLOYMENTS, LEASE, TASKS, id, node, on_both_engines, update};

on_both_engines! {
    rule_1_a_source_has_one_owner_until_its_lease_runs_out,
    rule_1_of_many_that_claim_a_source_at_once_one_gets_it,
    rule_1_a_clean_stop_hands_over_at_once,
    rule_1_the_living_workers_are_counted_by_the_clock_of_the_database,
    rule_3_a_renewal_with_an_old_fence_is_refused,
    rule_6_a_generation_only_rises_and_comes_with_replid_and_epoch,
    rule_7_the_cursor_is_only_ever_set_back,
    attempts_count_owners_that_got_nowhere,
    owners_that_say_goodbye_do_not_count_as_dead,
    rule_3_a_renewal_shows_what_a_late_commit_has_done,
    rule_15_a_database_that_holds_less_than_was_published_is_refused,
    entries_are_counted_with_the_cursor,
    sources_are_made_once_and_listed_all,
}

async fn rule_1_a_source_has_one_owner_until_its_lease_runs_out(bench: Bench) {
    let first = bench.owner(DEPLOYMENTS).await;
    assert!(bench.owner_named(DEPLOYMENTS, "worker-2").await.is_none());
    assert_eq!(bench.row(DEPLOYMENTS).await.owner, Some(node("worker-1")));
    bench.store.renew(DEPLOYMENTS, first.fence, 0, Duration::ZERO).await.unwrap();
    assert_eq!(bench.row(DEPLOYMENTS).await.owner, None);
    let second = bench.owner_named(DEPLOYMENTS, "worker-2").await.unwrap();
    assert!(second.fence > first.fence);
}

async fn rule_1_of_many_that_claim_a_source_at_once_one_gets_it(bench: Bench) {
    bench.store.sources(&[DEPLOYMENTS]).await.unwrap();
    let names: Vec<_> = (0..8).map(|n| node(&format!("worker-{n}"))).collect();
    let claims = names.iter().map(|name| bench.store.claim(DEPLOYMENTS, name, LEASE));
    let claimed = futures_util::future::join_all(claims).await;
    assert_eq!(claimed.into_iter().filter_map(|claim| claim.unwrap()).count(), 1);
}

async fn rule_1_a_clean_stop_hands_over_at_once(bench: Bench) {
    let owner = bench.owner(DEPLOYMENTS).await;
    bench.store.release(DEPLOYMENTS, owner.fence, 7).await.unwrap();
    assert_eq!(bench.row(DEPLOYMENTS).await.owner, None);
    assert_eq!(bench.row(DEPLOYMENTS).await.published, 7);
    assert!(bench.owner_named(DEPLOYMENTS, "worker-2").await.is_some());
}

async fn rule_1_the_living_workers_are_counted_by_the_clock_of_the_database(bench: Bench) {
    assert_eq!(bench.store.heartbeat(&node("a"), LEASE).await.unwrap(), 1);
    assert_eq!(bench.store.heartbeat(&node("b"), LEASE).await.unwrap(), 2);
    assert_eq!(bench.store.heartbeat(&node("b"), LEASE).await.unwrap(), 2);
    bench.sql("UPDATE worker SET lease_until = 5 WHERE name = 'a'").await;
    assert_eq!(bench.store.heartbeat(&node("b"), LEASE).await.unwrap(), 1);
    bench.store.deregister_worker(&node("b")).await.unwrap();
    assert_eq!(bench.store.heartbeat(&node("c"), LEASE).await.unwrap(), 1);
}

async fn rule_3_a_renewal_with_an_old_fence_is_refused(bench: Bench) {
    let owner = bench.owner(DEPLOYMENTS).await;
    for fence in [owner.fence - 1, owner.fence + 1] {
        let renewed = bench.store.renew(DEPLOYMENTS, fence, 0, LEASE).await;
        assert!(matches!(renewed, Err(StoreError::Fenced(DEPLOYMENTS))), "{renewed:?}");
        let released = bench.store.release(DEPLOYMENTS, fence, 0).await;
        assert!(matches!(released, Err(StoreError::Fenced(DEPLOYMENTS))), "{released:?}");
        let regenerated = bench.store.regenerate(DEPLOYMENTS, fence, 9, "r", id(1)).await;
        assert!(matches!(regenerated, Err(StoreError::Fenced(DEPLOYMENTS))), "{regenerated:?}");
    }
    assert_eq!(bench.row(DEPLOYMENTS).await.owner, Some(node("worker-1")));
}

async fn rule_6_a_generation_only_rises_and_comes_with_replid_and_epoch(bench: Bench) {
    let owner = bench.owner(DEPLOYMENTS).await;
    let store = &bench.store;
    for (given, kept) in [(4, 4), (3, 4), (5, 5)] {
        let row = store.regenerate(DEPLOYMENTS, owner.fence, given, "abc", id(0)).await.unwrap();
        assert_eq!((row.generation, row.replid.as_str()), (kept, "abc"));
        assert_eq!(row.epoch, store.epoch());
        assert_eq!(bench.row(DEPLOYMENTS).await, row);
    }
}

async fn rule_7_the_cursor_is_only_ever_set_back(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record(vec![update(9000, "d", "{}")]).await;
    owner.set_back(id(10_000)).await;
    assert_eq!(owner.cursor, id(9000));
    owner.set_back(id(800)).await;
    assert_eq!(owner.cursor, id(800));
    assert_eq!(bench.row(DEPLOYMENTS).await.cursor, id(800));
}

async fn owners_that_say_goodbye_do_not_count_as_dead(bench: Bench) {
    let store = &bench.store;
    for _ in 0..5 {
        let owner = bench.owner(DEPLOYMENTS).await;
        assert_eq!(store.attempt(DEPLOYMENTS, owner.fence).await.unwrap(), 1);
        store.release(DEPLOYMENTS, owner.fence, 0).await.unwrap();
    }
}

async fn rule_3_a_renewal_shows_what_a_late_commit_has_done(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let seq = owner.record(vec![update(1, "d", "{}")]).await.seq;
    let row = bench.store.renew(DEPLOYMENTS, owner.fence, 0, LEASE).await.unwrap();
    assert_eq!((row.seq, row.cursor, row.published), (seq, id(1), 0));
}

async fn rule_15_a_database_that_holds_less_than_was_published_is_refused(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record(vec![update(1, "d", "{}")]).await;
    let renewed = bench.store.renew(DEPLOYMENTS, owner.fence, 2, LEASE).await;
    assert!(matches!(renewed, Err(StoreError::Fenced(DEPLOYMENTS))), "{renewed:?}");
    owner.published = 2;
    let recorded = owner.try_record(vec![update(2, "d", "{}")]).await;
    assert!(matches!(recorded, Err(StoreError::Fenced(DEPLOYMENTS))), "{recorded:?}");
}

async fn entries_are_counted_with_the_cursor(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    assert_eq!(bench.row(DEPLOYMENTS).await.added, None);
    bench.store.count_added(DEPLOYMENTS, owner.fence, 40).await.unwrap();
    owner.record(vec![update(1, "d", "{}"), update(2, "d", "{}")]).await;
    assert_eq!(bench.row(DEPLOYMENTS).await.added, Some(42));
    owner.set_back(id(1)).await;
    assert_eq!(bench.row(DEPLOYMENTS).await.added, None);
}

async fn attempts_count_owners_that_got_nowhere(bench: Bench) {
    let store = &bench.store;
    for attempt in 1..=3 {
        let owner = bench.owner(DEPLOYMENTS).await;
        assert_eq!(store.attempt(DEPLOYMENTS, owner.fence).await.unwrap(), attempt);
        let late = store.attempt(DEPLOYMENTS, owner.fence - 1).await;
        assert!(matches!(late, Err(StoreError::Fenced(DEPLOYMENTS))), "{late:?}");
        store.renew(DEPLOYMENTS, owner.fence, 0, Duration::ZERO).await.unwrap();
    }
    let mut owner = bench.owner(DEPLOYMENTS).await;
    // Nothing read, nothing gained: the cursor stands where it stood.
    owner.record(Vec::new()).await;
    assert_eq!(bench.row(DEPLOYMENTS).await.attempts, 3);
    owner.record(vec![update(1, "d", "{}")]).await;
    assert_eq!(bench.row(DEPLOYMENTS).await.attempts, 0);
}

async fn sources_are_made_once_and_listed_all(bench: Bench) {
    let partition = Source { stream: Stream::Tasks, partition: 3 };
    bench.store.sources(&[partition, TASKS]).await.unwrap();
    let again =
        futures_util::future::join_all((0..4).map(|_| bench.store.sources(&[DEPLOYMENTS, TASKS])));
    for rows in again.await {
        let rows = rows.unwrap();
        let sources: Vec<Source> = rows.iter().map(|row| row.source).collect();
        assert_eq!(sources, [DEPLOYMENTS, TASKS, partition]);
        assert!(rows.iter().all(|row| row.owner.is_none() && row.cursor == id(0)));
    }
}
