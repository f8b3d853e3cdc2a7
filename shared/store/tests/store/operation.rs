//! What was done and what there is, for operators.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{activity::ActivityTotals, event::entity::EntityKind};
use serde_json::json;
use store::{ActivityLog, AuditEntry};

use crate::bench::{Bench, TASKS, entry, node, on_both_engines, update};

on_both_engines! {
    what_processes_did_is_added_up_by_the_minute,
    what_nobody_counts_is_unknown,
    everything_that_the_record_holds_is_counted,
    what_operators_did_is_listed_newest_first_and_kept_for_its_time,
}

fn totals(recorded: Option<u64>, delivered: Option<u64>, deliveries: &[u64]) -> ActivityTotals {
    ActivityTotals { recorded, delivered, deliveries: deliveries.into() }
}

async fn what_processes_did_is_added_up_by_the_minute(bench: Bench) {
    let mut gateway = ActivityLog::new(Arc::clone(&bench.store), node("g"));
    let mut worker = ActivityLog::new(Arc::clone(&bench.store), node("w"));
    gateway.write(&totals(None, Some(5), &[1, 4]), Some(2)).await.unwrap();
    worker.write(&totals(Some(3), None, &[]), None).await.unwrap();
    gateway.write(&totals(None, Some(7), &[2, 5]), Some(3)).await.unwrap();
    let activity = bench.store.activity(60).await.unwrap();
    let mut all = ActivityTotals::default();
    activity.minutes.values().for_each(|minute| all.add(&minute.totals));
    assert_eq!(all, totals(Some(3), Some(7), &[2, 5]));
    let (last, minute) = activity.minutes.last_key_value().unwrap();
    assert!(last % 60_000 == 0 && activity.now - last < 120_000, "{activity:?}");
    assert_eq!(minute.connections, Some(3));
    bench.sql("UPDATE activity SET minute = minute - 7200000 WHERE node = 'w'").await;
    let activity = bench.store.activity(60).await.unwrap();
    assert!(activity.minutes.values().all(|minute| minute.totals.recorded.is_none()), "an hour");
    bench.sql("UPDATE activity SET minute = minute - 90000000").await;
    bench.store.retain(Duration::from_secs(1), Duration::from_secs(1)).await.unwrap();
    let left = bench.ask("SELECT CAST(count(*) AS TEXT) FROM activity").await;
    assert_eq!(left.as_deref(), Some("0"), "rows are kept for hours");
}

async fn what_nobody_counts_is_unknown(bench: Bench) {
    assert!(bench.store.activity(60).await.unwrap().minutes.is_empty());
    let mut gateway = ActivityLog::new(Arc::clone(&bench.store), node("g"));
    gateway.write(&totals(None, Some(0), &[]), Some(0)).await.unwrap();
    let activity = bench.store.activity(60).await.unwrap();
    let minute = activity.minutes.values().next().unwrap();
    assert_eq!((minute.totals.recorded, minute.totals.delivered), (None, Some(0)));
}

async fn everything_that_the_record_holds_is_counted(bench: Bench) {
    let mut owner = bench.owner(crate::bench::DEPLOYMENTS).await;
    owner.record(vec![update(1, "a", r#"{"status":"success"}"#), update(2, "b", "{}")]).await;
    let mut owner = bench.owner(TASKS).await;
    let wrong = |ms| entry(TASKS, ms, &[("type", "task_created"), ("id", "t"), ("data", "{}")]);
    owner.record(vec![wrong(1), wrong(2)]).await;
    let holdings = bench.store.holdings().await.unwrap();
    let deployments = BTreeMap::from([("pending".to_owned(), 1), ("success".to_owned(), 1)]);
    assert_eq!(holdings.entities[&EntityKind::Deployment], deployments);
    assert_eq!(holdings.entities[&EntityKind::Task], BTreeMap::new());
    let [(stream, _, count)] = &holdings.dead_letters[..] else { panic!("{holdings:?}") };
    assert_eq!((*stream, *count), (Some(TASKS.stream), 2));
}

async fn what_operators_did_is_listed_newest_first_and_kept_for_its_time(bench: Bench) {
    let store = &bench.store;
    for target in ["u1", "u\0-2", "u3"] {
        let entry = AuditEntry {
            who: "ops".into(),
            action: "deny",
            target: target.into(),
            node: node("g"),
            details: json!({ "until": 5, "note": "a\0b" }),
        };
        store.note_audit(&entry).await.unwrap();
    }
    let page = store.audit(None, 2).await.unwrap();
    let targets: Vec<&str> = page.iter().map(|record| &*record.target).collect();
    assert_eq!(targets, ["u3", "u\u{fffd}-2"]);
    assert_eq!((&*page[0].who, &*page[0].action, &*page[0].node), ("ops", "deny", "g"));
    assert_eq!(page[0].details["until"], 5);
    assert_eq!(store.audit(Some(page[1].id), 2).await.unwrap().len(), 1);
    bench.sql("UPDATE audit SET at = 5 WHERE target <> 'u3'").await;
    assert!(!store.retain_audit(Duration::from_secs(3600)).await.unwrap());
    assert_eq!(store.audit(None, 10).await.unwrap().len(), 1);
}
