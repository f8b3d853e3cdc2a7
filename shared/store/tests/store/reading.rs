//! Pages, snapshots, positions, traces.

use domain::{
    channel::Channel,
    position::{Offsets, Position},
};

use crate::bench::{Bench, DEPLOYMENTS, Owner, TASKS, entry, offsets, on_both_engines, update};

on_both_engines! {
    a_channel_that_nobody_wrote_to_is_empty_and_has_a_position,
    a_page_ends_at_its_limit_and_the_next_goes_on,
    a_page_ends_at_its_bytes_but_has_one_publication_at_least,
    a_page_of_two_sources_is_contiguous_for_each,
    a_page_back_is_the_newest_part_oldest_first,
    a_snapshot_has_the_state_at_its_position,
    positions_come_in_the_order_asked_for,
    an_event_is_found_by_its_entry_and_by_its_position,
}

const ALL_BYTES: usize = usize::MAX;

async fn ten(owner: &mut Owner<'_>) {
    owner.record((1..=10).map(|n| update(n, "d", &format!("{{\"n\":{n}}}"))).collect()).await;
}

async fn a_channel_that_nobody_wrote_to_is_empty_and_has_a_position(bench: Bench) {
    let channel = Channel::parse("deployment:none").unwrap();
    let page = bench.all("deployment:none").await;
    assert!(page.publications.is_empty());
    assert_eq!(page.head, Position::start(bench.store.epoch()));
    let snapshot = bench.store.snapshot(&channel).await.unwrap();
    assert_eq!(snapshot.position, page.head);
    assert!(snapshot.state.is_none());
    assert_eq!(bench.store.positions(&[channel]).await.unwrap(), [page.head]);
}

async fn a_page_ends_at_its_limit_and_the_next_goes_on(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    ten(&mut owner).await;
    let channel = Channel::parse("deployment:d").unwrap();
    let mut after = Offsets::default();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let page = bench.store.page(&channel, &after, 4, ALL_BYTES).await.unwrap();
        assert_eq!(page.head.offsets.get(DEPLOYMENTS), 10);
        assert_eq!(page.floor, Offsets::default());
        seen.extend(offsets(&page));
        after.set(DEPLOYMENTS, *seen.last().unwrap());
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    after.set(DEPLOYMENTS, 99);
    let ahead = bench.store.page(&channel, &after, 4, ALL_BYTES).await.unwrap();
    assert!(ahead.publications.is_empty());
    assert_eq!(ahead.head.offsets.get(DEPLOYMENTS), 10);
}

async fn a_page_ends_at_its_bytes_but_has_one_publication_at_least(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    ten(&mut owner).await;
    let channel = Channel::parse("deployment:d").unwrap();
    let one = bench.all("deployment:d").await.publications[0].payload.len();
    for (bytes, count) in [(0, 1), (1, 1), (one, 1), (one + 1, 2), (one * 3, 3)] {
        let after = Offsets::default();
        let page = bench.store.page(&channel, &after, 10, bytes).await.unwrap();
        assert_eq!(page.publications.len(), count, "{bytes} of {one}");
        assert_eq!(page.head.offsets.get(DEPLOYMENTS), 10);
        let page = bench.store.page_back(&channel, None, 10, bytes).await.unwrap();
        assert_eq!(offsets(&page).last(), Some(&10));
        assert!(page.publications.len().abs_diff(count) <= 1);
    }
}

/// Three batches of each of two sources, in turn.
async fn two_sources(bench: &Bench) -> Channel {
    let mut deployments = bench.owner(DEPLOYMENTS).await;
    let mut tasks = bench.owner(TASKS).await;
    for ms in 0..3 {
        let deployment = [("type", "deployment_update"), ("id", "d"), ("user", "u")];
        let entries = (1..=3).map(|n| entry(DEPLOYMENTS, ms * 10 + n, &deployment));
        deployments.record(entries.collect()).await;
        let task = [("type", "task_update"), ("id", "t"), ("user", "u")];
        let entries = (1..=2).map(|n| entry(TASKS, ms * 10 + n, &task));
        tasks.record(entries.collect()).await;
    }
    Channel::parse("user:u").unwrap()
}

async fn a_page_of_two_sources_is_contiguous_for_each(bench: Bench) {
    let channel = two_sources(&bench).await;
    let whole = bench.all("user:u").await;
    assert_eq!(whole.publications.len(), 15);
    let order = |p: &domain::publication::Publication| (p.recorded.recorded, p.source, p.offset);
    assert!(whole.publications.is_sorted_by_key(order));
    for limit in 1..=15 {
        let (mut after, mut seen) = (Offsets::default(), Vec::new());
        loop {
            let page = bench.store.page(&channel, &after, limit, ALL_BYTES).await.unwrap();
            assert!(page.publications.len() <= limit);
            if page.publications.is_empty() {
                break;
            }
            for publication in page.publications {
                assert_eq!(publication.offset, after.get(publication.source) + 1);
                after.set(publication.source, publication.offset);
                seen.push(publication.payload);
            }
        }
        assert!(seen.iter().eq(whole.publications.iter().map(|p| &p.payload)), "limit {limit}");
    }
}

async fn a_page_back_is_the_newest_part_oldest_first(bench: Bench) {
    let channel = two_sources(&bench).await;
    let whole = bench.all("user:u").await.publications;
    for limit in [1, 4, 15, 40] {
        let page = bench.store.page_back(&channel, None, limit, ALL_BYTES).await.unwrap();
        let expected = whole.iter().skip(15_usize.saturating_sub(limit)).map(|p| &p.payload);
        assert!(page.publications.iter().map(|p| &p.payload).eq(expected), "limit {limit}");
    }
    let before: Offsets = [(DEPLOYMENTS, 2), (TASKS, 1)].into_iter().collect();
    let page = bench.store.page_back(&channel, Some(&before), 9, ALL_BYTES).await.unwrap();
    assert_eq!(page.publications.len(), 3);
    assert_eq!(page.head.offsets.total(), 15);
    let nothing = Offsets::default();
    let page = bench.store.page_back(&channel, Some(&nothing), 9, ALL_BYTES).await.unwrap();
    assert!(page.publications.is_empty());
}

async fn a_snapshot_has_the_state_at_its_position(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    ten(&mut owner).await;
    let snapshot = bench.store.snapshot(&Channel::parse("deployment:d").unwrap()).await.unwrap();
    assert_eq!(snapshot.position.offsets.get(DEPLOYMENTS), 10);
    assert_eq!(snapshot.state.unwrap()["n"], 10);
    let feed = bench.store.snapshot(&Channel::parse("deployments").unwrap()).await.unwrap();
    assert_eq!(feed.position.offsets.get(DEPLOYMENTS), 10);
    assert!(feed.state.is_none());
}

async fn positions_come_in_the_order_asked_for(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record(vec![update(1, "a", "{}"), update(2, "b", "{}"), update(3, "b", "{}")]).await;
    let channels = ["deployment:b", "task:none", "deployments", "deployment:a", "deployment:b"]
        .map(|name| Channel::parse(name).unwrap());
    let positions = bench.store.positions(&channels).await.unwrap();
    let totals: Vec<u64> = positions.iter().map(|position| position.offsets.total()).collect();
    assert_eq!(totals, [2, 0, 3, 1, 2]);
    assert!(bench.store.positions(&[]).await.unwrap().is_empty());
}

async fn an_event_is_found_by_its_entry_and_by_its_position(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    ten(&mut owner).await;
    let position = format!("deployment:d@{}-7", bench.store.epoch());
    for what in ["7-0", position.as_str()] {
        let traced = bench.store.trace(what, None).await.unwrap().unwrap();
        assert_eq!((traced.source, traced.seq), (DEPLOYMENTS, 7));
        let places: Vec<_> = traced.offsets.iter().map(|(c, o)| (c.to_string(), *o)).collect();
        assert_eq!(places, [("deployment:d".into(), 7), ("deployments".into(), 7)]);
        assert_eq!(traced.payload, bench.all("deployments").await.publications[6].payload);
    }
    let epoch = bench.store.epoch().0.wrapping_add(1);
    for what in ["99-0", "nonsense", "a@b", &format!("deployments@{epoch:08x}-7")] {
        assert!(bench.store.trace(what, None).await.unwrap().is_none(), "{what}");
    }
}
