//! What is forgotten, what is kept for ever, and what is said about it.

use std::time::Duration;

use domain::{
    event::entity::{Entity, EntityKind},
    position::Offsets,
};
use store::Outcome;

use crate::bench::{
    Bench, DEPLOYMENTS, LEASE, TASKS, entry, id, offsets, on_both_engines, placed, update,
};

on_both_engines! {
    retention_removes_a_prefix_and_raises_the_floors,
    retention_never_removes_what_is_not_published,
    retention_takes_slices_until_nothing_is_left,
    retention_of_one_source_leaves_the_other_alone,
    states_that_ended_are_kept_for_their_time,
    known_entries_are_kept_for_a_day_of_the_broker,
    retain_while_a_batch_is_recorded_neither_waits_for_ever_nor_breaks_it,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LONG: Duration = Duration::from_secs(30 * 24 * 60 * 60);

async fn retention_removes_a_prefix_and_raises_the_floors(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record((1..=6).map(|n| update(n, &format!("d{}", n % 2), "{}")).collect()).await;
    bench.sql("UPDATE event SET recorded = recorded - 90000000 WHERE seq <= 4").await;
    bench.store.renew(DEPLOYMENTS, owner.fence, 6, LEASE).await.unwrap();
    assert!(!bench.store.retain(DAY, LONG).await.unwrap());
    let page = bench.all("deployments").await;
    assert_eq!(offsets(&page), [5, 6]);
    assert_eq!((page.floor.get(DEPLOYMENTS), page.head.offsets.get(DEPLOYMENTS)), (4, 6));
    let page = bench.all("deployment:d1").await;
    assert_eq!((offsets(&page), page.floor.get(DEPLOYMENTS)), (vec![3], 2));
    let newest = bench.store.page_back(&page.publications[0].channel, None, 9, 9999).await;
    assert_eq!(offsets(&newest.unwrap()), [3]);
    // The counters go on where they were, even when nothing is left.
    bench.sql("UPDATE event SET recorded = 5").await;
    bench.store.retain(DAY, LONG).await.unwrap();
    let page = bench.all("deployments").await;
    assert_eq!((offsets(&page), page.floor.get(DEPLOYMENTS)), (vec![], 6));
    let committed = owner.record(vec![update(7, "d1", "{}")]).await;
    assert_eq!(placed(&committed.outcomes[0])[0].1, 4);
    assert_eq!(offsets(&bench.all("deployments").await), [7]);
}

async fn retention_never_removes_what_is_not_published(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record((1..=4).map(|n| update(n, "d", "{}")).collect()).await;
    bench.store.renew(DEPLOYMENTS, owner.fence, 2, LEASE).await.unwrap();
    bench.sql("UPDATE event SET recorded = 5").await;
    bench.store.retain(DAY, LONG).await.unwrap();
    assert_eq!(offsets(&bench.all("deployment:d").await), [3, 4]);
    assert_eq!(bench.store.unpublished(DEPLOYMENTS, 2, 9).await.unwrap().len(), 4);
}

async fn retention_takes_slices_until_nothing_is_left(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    for batch in 0..11 {
        let entries = (1..=1000).map(|n| update(batch * 1000 + n, "d", "{}"));
        owner.record(entries.collect()).await;
    }
    bench.store.renew(DEPLOYMENTS, owner.fence, 11_000, LEASE).await.unwrap();
    bench.sql("UPDATE event SET recorded = 5").await;
    let mut slices = 1;
    while bench.store.retain(DAY, LONG).await.unwrap() {
        slices += 1;
    }
    assert_eq!(slices, 3);
    let page = bench.all("deployments").await;
    assert_eq!((page.publications.len(), page.floor.get(DEPLOYMENTS)), (0, 11_000));
    let left = bench.ask("SELECT CAST(count(*) AS TEXT) FROM publication").await;
    assert_eq!(left.as_deref(), Some("0"));
}

async fn retention_of_one_source_leaves_the_other_alone(bench: Bench) {
    let mut deployments = bench.owner(DEPLOYMENTS).await;
    let mut tasks = bench.owner(TASKS).await;
    let deployment = [("type", "deployment_update"), ("id", "d"), ("user", "u")];
    deployments.record(vec![entry(DEPLOYMENTS, 1, &deployment)]).await;
    let task = [("type", "task_update"), ("id", "t"), ("user", "u")];
    tasks.record(vec![entry(TASKS, 1, &task)]).await;
    bench.sql("UPDATE event SET recorded = 5; UPDATE source SET published = 1 WHERE id = 0").await;
    bench.store.retain(DAY, LONG).await.unwrap();
    let page = bench.all("user:u").await;
    assert_eq!(page.publications.len(), 1);
    assert_eq!(page.publications[0].source, TASKS);
    let floor: Offsets = [(DEPLOYMENTS, 1)].into_iter().collect();
    assert_eq!(page.floor, floor);
}

async fn states_that_ended_are_kept_for_their_time(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner
        .record(vec![
            update(1, "old", r#"{"status":"success"}"#),
            update(2, "fresh", r#"{"status":"success"}"#),
            update(3, "open", "{}"),
        ])
        .await;
    bench.sql("UPDATE entity SET ended = ended - 86400001 WHERE id = 'old'").await;
    bench.sql("UPDATE entity SET updated = 5, created = 5").await;
    bench.store.retain(LONG, DAY).await.unwrap();
    for (id, kept) in [("old", false), ("fresh", true), ("open", true)] {
        let entity = Entity { kind: EntityKind::Deployment, id: id.into() };
        assert_eq!(bench.store.entity(&entity).await.unwrap().is_some(), kept, "{id}");
    }
    owner.record(vec![update(4, "old", r#"{"again":1}"#)]).await;
    assert_eq!(bench.all("deployment:old").await.head.offsets.total(), 2);
}

async fn known_entries_are_kept_for_a_day_of_the_broker(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let (first, second) = (1_000_000, 1_000_000 + 86_400_000);
    owner.record(vec![update(first, "d", "{}"), update(first + 1, "d", "{}")]).await;
    owner.record(vec![update(second + 1, "d", "{}")]).await;
    bench.store.retain(Duration::ZERO, LONG).await.unwrap();
    owner.set_back(id(0)).await;
    let again = owner.record(vec![update(first, "d", "{}"), update(first + 1, "d", "{}")]).await;
    assert!(matches!(again.outcomes[0], Outcome::Recorded(_)), "{again:?}");
    assert_eq!(again.outcomes[1], Outcome::Known);
}

async fn retain_while_a_batch_is_recorded_neither_waits_for_ever_nor_breaks_it(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record((1..=2000).map(|n| update(n, &format!("d{}", n % 50), "{}")).collect()).await;
    bench.sql("UPDATE event SET recorded = 5; UPDATE source SET published = seq").await;
    let retained = async {
        for _ in 0..10 {
            bench.store.retain(Duration::ZERO, Duration::ZERO).await.unwrap();
        }
    };
    let recorded = async {
        for batch in 0..10 {
            let at = 10_000 + batch * 100;
            owner.record((1..=50).map(|n| update(at + n, &format!("d{n}"), "{}")).collect()).await;
        }
    };
    futures_util::join!(retained, recorded);
    assert_eq!(bench.all("deployments").await.head.offsets.total(), 2500);
}
