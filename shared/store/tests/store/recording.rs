//! Batches: rules 3, 4 and 10.

use domain::{
    position::Epoch,
    source::{Source, Stream},
};
use store::{DeadLetterOrigin, EntryBatch, Outcome, StoreError};

use crate::bench::{
    Bench, DEPLOYMENTS, LEASE, STATE_BYTES, TASKS, entry, id, node, offsets, on_both_engines,
    placed, update,
};

on_both_engines! {
    a_batch_moves_cursor_states_and_offsets_together,
    rule_3_a_batch_of_a_fenced_owner_changes_nothing,
    rule_3_a_batch_from_another_cursor_changes_nothing,
    rule_3_of_batches_that_race_for_a_cursor_one_is_recorded,
    rule_4_numbers_and_offsets_have_no_holes,
    rule_4_what_is_recorded_and_not_published_can_be_published_again_in_order,
    rule_4_a_channel_of_two_sources_counts_for_each,
    rule_10_an_entity_that_two_sources_feed_loses_no_event,
    rule_10_two_sources_that_first_speak_of_the_same_entities_do_not_block_each_other,
    the_time_of_recording_never_runs_backwards,
    a_dead_letter_is_kept_with_reason_and_fields,
    a_state_over_its_bound_is_cut_and_marked_and_the_event_stays_whole,
}

async fn a_batch_moves_cursor_states_and_offsets_together(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.published = 0;
    let committed = owner
        .record(vec![update(5, "d1", r#"{"a":1}"#), update(6, "d2", "{}"), update(7, "d1", "{}")])
        .await;
    assert_eq!(committed.seq, 3);
    assert_ne!(committed.epoch, Epoch(0));
    assert_eq!(committed.epoch, bench.store.epoch());
    let places: Vec<_> = committed.outcomes.iter().map(placed).collect();
    assert_eq!(places[0], [("deployment:d1".into(), 1), ("deployments".into(), 1)]);
    assert_eq!(places[1], [("deployment:d2".into(), 1), ("deployments".into(), 2)]);
    assert_eq!(places[2], [("deployment:d1".into(), 2), ("deployments".into(), 3)]);
    assert_eq!(committed.publications.len(), 6);
    let row = bench.row(DEPLOYMENTS).await;
    assert_eq!((row.cursor, row.seq, row.published), (id(7), 3, 0));
    let page = bench.all("deployment:d1").await;
    assert_eq!(offsets(&page), [1, 2]);
    assert_eq!(page.publications[0].payload, committed.publications[0].payload);
    assert_eq!(page.publications[0].recorded.event.data.get(), r#"{"a":1}"#);
    assert_eq!(page.head.epoch, committed.epoch);
}

async fn rule_3_a_batch_of_a_fenced_owner_changes_nothing(bench: Bench) {
    let mut zombie = bench.owner(DEPLOYMENTS).await;
    zombie.record(vec![update(1, "d", "{}")]).await;
    bench.store.renew(DEPLOYMENTS, zombie.fence, 0, std::time::Duration::ZERO).await.unwrap();
    let owner = bench.owner_named(DEPLOYMENTS, "worker-2").await.unwrap();
    let before = bench.row(DEPLOYMENTS).await;
    let late = zombie.try_record(vec![update(2, "d", "{}")]).await;
    assert!(matches!(late, Err(StoreError::Fenced(DEPLOYMENTS))), "{late:?}");
    assert_eq!(bench.row(DEPLOYMENTS).await, before);
    assert_eq!(owner.cursor, id(1));
    assert_eq!(offsets(&bench.all("deployments").await), [1]);
}

async fn rule_3_a_batch_from_another_cursor_changes_nothing(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let mut twin = owner.clone();
    owner.record(vec![update(1, "d", "{}")]).await;
    let late = twin.try_record(vec![update(2, "d", "{}")]).await;
    assert!(matches!(late, Err(StoreError::Fenced(DEPLOYMENTS))), "{late:?}");
    assert_eq!(offsets(&bench.all("deployments").await), [1]);
}

async fn rule_3_of_batches_that_race_for_a_cursor_one_is_recorded(bench: Bench) {
    let owner = bench.owner(DEPLOYMENTS).await;
    let batches: Vec<EntryBatch> = (0..6)
        .map(|n| EntryBatch {
            before: id(0),
            cursor: id(10 + n),
            entries: vec![update(10 + n, "d", &format!("{{\"n\":{n}}}"))],
            published: 0,
        })
        .collect();
    let race = batches
        .iter()
        .map(|batch| bench.store.record(DEPLOYMENTS, owner.fence, batch, STATE_BYTES));
    let mut won = Vec::new();
    for (n, outcome) in futures_util::future::join_all(race).await.into_iter().enumerate() {
        match outcome {
            Ok(_) => won.push(n),
            Err(StoreError::Fenced(_) | StoreError::Conflict(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(won.len(), 1);
    let page = bench.all("deployment:d").await;
    assert_eq!(offsets(&page), [1]);
    assert_eq!(page.publications[0].recorded.event.body()["n"], won[0]);
}

async fn rule_4_numbers_and_offsets_have_no_holes(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    for batch in 0..4 {
        let entries = (1..=5)
            .map(|n| match n {
                3 => entry(DEPLOYMENTS, batch * 10 + n, &[("type", "nonsense")]),
                _ => update(batch * 10 + n, "d", "{}"),
            })
            .collect();
        owner.record(entries).await;
    }
    let page = bench.all("deployments").await;
    assert_eq!(offsets(&page), (1..=16).collect::<Vec<_>>());
    let seqs: Vec<u64> = page.publications.iter().map(|p| p.recorded.seq).collect();
    assert_eq!(seqs, (1..=16).collect::<Vec<_>>());
}

async fn rule_4_what_is_recorded_and_not_published_can_be_published_again_in_order(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let mut sent = Vec::new();
    for ms in 1..=4 {
        sent.extend(owner.record(vec![update(ms, &format!("d{ms}"), "{}")]).await.publications);
    }
    bench.store.renew(DEPLOYMENTS, owner.fence, 1, LEASE).await.unwrap();
    let published = bench.row(DEPLOYMENTS).await.published;
    let mut again = bench.store.unpublished(DEPLOYMENTS, published, 2).await.unwrap();
    assert_eq!(again.len(), 4);
    again.extend(bench.store.unpublished(DEPLOYMENTS, 3, 2).await.unwrap());
    for (again, sent) in again.iter().zip(&sent[2..]) {
        assert_eq!(again.encode(), sent.encode());
        assert_eq!(again.channel, sent.channel);
    }
    assert_eq!(bench.store.unpublished(DEPLOYMENTS, 4, 2).await.unwrap().len(), 0);
}

async fn rule_4_a_channel_of_two_sources_counts_for_each(bench: Bench) {
    let mut deployments = bench.owner(DEPLOYMENTS).await;
    let mut tasks = bench.owner(TASKS).await;
    for ms in 1..=3 {
        let deployment = [("type", "deployment_update"), ("id", "d"), ("user", "u")];
        deployments.record(vec![entry(DEPLOYMENTS, ms, &deployment)]).await;
        let task = [("type", "task_update"), ("id", "t"), ("user", "u")];
        tasks.record(vec![entry(TASKS, ms, &task), entry(TASKS, ms + 10, &task)]).await;
    }
    let page = bench.all("user:u").await;
    assert_eq!(page.head.offsets.get(DEPLOYMENTS), 3);
    assert_eq!(page.head.offsets.get(TASKS), 6);
    for (source, count) in [(DEPLOYMENTS, 3), (TASKS, 6)] {
        let of_source = page.publications.iter().filter(|p| p.source == source);
        let offsets: Vec<u64> = of_source.map(|p| p.offset).collect();
        assert_eq!(offsets, (1..=count).collect::<Vec<_>>());
    }
    assert!(page.publications.is_sorted_by_key(|p| p.recorded.recorded));
}

/// Two partitions record events of the same deployments at the same time.
async fn feed_from_two_partitions(bench: &Bench, batches: u64, deployments: u64) {
    let feed = async |partition: u16| {
        let source = Source { stream: Stream::Deployments, partition };
        let name = format!("worker-{partition}");
        let mut owner = bench.owner_named(source, &name).await.unwrap();
        for batch in 0..batches {
            let key = format!("{{\"p{partition}b{batch}\":1}}");
            let entries: Vec<_> = (0..deployments)
                .map(|n| {
                    // Each in an order of its own.
                    let n = if partition == 0 { n } else { deployments - 1 - n };
                    update(batch * 100 + n + 1, &format!("d{n}"), &key)
                })
                .collect();
            loop {
                match owner.try_record(entries.clone()).await {
                    Ok(_) => break,
                    Err(StoreError::Conflict(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    };
    futures_util::join!(feed(0), feed(1));
}

async fn rule_10_an_entity_that_two_sources_feed_loses_no_event(bench: Bench) {
    feed_from_two_partitions(&bench, 12, 3).await;
    let channel = domain::channel::Channel::parse("deployment:d1").unwrap();
    let snapshot = bench.store.snapshot(&channel).await.unwrap();
    let state = snapshot.state.unwrap();
    for partition in 0..2 {
        for batch in 0..12 {
            assert_eq!(state[&format!("p{partition}b{batch}")], 1, "{state:?}");
        }
    }
    assert_eq!(snapshot.position.offsets.total(), 24);
}

async fn rule_10_two_sources_that_first_speak_of_the_same_entities_do_not_block_each_other(
    bench: Bench,
) {
    feed_from_two_partitions(&bench, 1, 60).await;
    let page = bench.all("deployments").await;
    assert_eq!(page.head.offsets.total(), 120);
}

async fn the_time_of_recording_never_runs_backwards(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    bench.sql("UPDATE source SET recorded = 9000000000000").await;
    owner.record(vec![update(1, "d", "{}")]).await;
    owner.record(vec![update(2, "d", "{}")]).await;
    for publication in bench.all("deployment:d").await.publications {
        assert_eq!(publication.recorded.recorded, 9_000_000_000_000);
    }
}

async fn a_dead_letter_is_kept_with_reason_and_fields(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let mut wrong = entry(DEPLOYMENTS, 1, &[("type", "nonsense"), ("id", "d\0")]);
    wrong.fields.push("raw", vec![0xff, b'x']);
    let committed = owner.record(vec![wrong, update(2, "d", "{}")]).await;
    let Outcome::Dead(reason) = &committed.outcomes[0] else { panic!("{committed:?}") };
    assert_eq!(reason.label, "type");
    assert_eq!(committed.seq, 1);
    let store = &bench.store;
    let dead = store.dead_letters(None, None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (dead[0].origin, dead[0].entry.as_str()),
        (DeadLetterOrigin::Source(DEPLOYMENTS), "1-0")
    );
    assert_eq!(dead[0].reason, reason.text);
    assert_eq!((dead[0].fields["id"].as_str(), &*dead[0].fields["raw"]), ("d\0", "\u{fffd}x"));
    assert!(dead[0].at > 1_600_000_000_000);
    for ms in 3..=5 {
        owner.record(vec![entry(DEPLOYMENTS, ms, &[("type", "x")])]).await;
    }
    let newest =
        store.dead_letters(Some(DeadLetterOrigin::Source(DEPLOYMENTS)), None, 2).await.unwrap();
    let older = store
        .dead_letters(Some(DeadLetterOrigin::Source(DEPLOYMENTS)), Some(newest[1].id), 9)
        .await
        .unwrap();
    let entries: Vec<&str> = newest.iter().chain(&older).map(|dead| &*dead.entry).collect();
    assert_eq!(entries, ["5-0", "4-0", "3-0", "1-0"]);
    assert_eq!(
        store.dead_letters(Some(DeadLetterOrigin::Source(TASKS)), None, 9).await.unwrap().len(),
        0
    );
    let number = dead[0].id;
    assert_eq!(store.dead_letter(number).await.unwrap().unwrap().entry, "1-0");
    assert!(store.drop_dead_letter(number).await.unwrap());
    assert!(!store.drop_dead_letter(number).await.unwrap());
    assert!(store.dead_letter(number).await.unwrap().is_none());
}

async fn a_state_over_its_bound_is_cut_and_marked_and_the_event_stays_whole(bench: Bench) {
    bench.store.sources(&[DEPLOYMENTS]).await.unwrap();
    let row = bench.store.claim(DEPLOYMENTS, &node("w"), LEASE).await.unwrap().unwrap();
    let large = format!("{{\"large\":\"{}\",\"status\":\"success\"}}", "x".repeat(600));
    let entries = vec![update(1, "d", r#"{"a":1}"#), update(2, "d", &large), update(3, "d", "{}")];
    let batch = EntryBatch { before: id(0), cursor: id(3), entries, published: 0 };
    let committed = bench.store.record(DEPLOYMENTS, row.fence, &batch, 500).await.unwrap();
    assert_eq!(committed.seq, 3);
    assert_eq!(bench.store.dead_letters(None, None, 9).await.unwrap().len(), 0);
    let channel = committed.publications[0].channel.clone();
    let state = bench.store.snapshot(&channel).await.unwrap().state.unwrap();
    assert_eq!((&state["a"], &state["status"]), (&1.into(), &"success".into()));
    assert_eq!(state["truncated"], true);
    let kept = state["large"].as_str().unwrap().len();
    assert!(kept > 100 && kept < 500, "{kept}");
    let page = bench.all("deployment:d").await;
    assert_eq!(page.publications[1].recorded.event.data.get(), large, "the archive has it whole");
}
