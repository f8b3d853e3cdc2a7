//! States of entities: lists, repositories, leases, and the cockpit's tables.

use std::time::Duration;

use domain::event::entity::{Entity, EntityKind};
use serde_json::{Value, json};
use store::{EntityFilter, Judged, ListCursor};

use crate::bench::{AGENTS, Bench, DEPLOYMENTS, TASKS, entry, on_both_engines, update};

on_both_engines! {
    a_state_is_what_all_events_add_up_to,
    a_state_with_a_nul_harms_no_list,
    what_no_database_can_hold_costs_no_event_and_stays_in_the_archive_as_it_was,
    an_id_of_its_issuers_choice_is_kept_byte_for_byte,
    a_list_is_newest_first_and_goes_on_where_it_ended,
    a_list_holds_what_its_filter_asks_for,
    a_repository_whose_path_is_taken_is_dropped_and_the_rest_is_kept,
    rule_9_a_lease_is_prolonged_by_each_event_and_over_at_the_end,
    rule_9_an_entity_lapses_when_the_stream_was_read_past_the_end_of_its_lease,
    the_cockpits_tables_have_the_columns_of_the_seed,
}

fn task(ms: u64, kind: &str, id: &str, data: &str) -> Judged {
    entry(TASKS, ms, &[("type", kind), ("id", id), ("data", data)])
}

async fn state(bench: &Bench, kind: EntityKind, id: &str) -> Option<Value> {
    let entity = Entity { kind, id: id.into() };
    bench.store.entity(&entity).await.unwrap().map(Value::Object)
}

async fn a_state_is_what_all_events_add_up_to(bench: Bench) {
    let mut owner = bench.owner(TASKS).await;
    owner.record(vec![task(1, "task_created", "t", r#"{"title":"T","z":1,"a":2}"#)]).await;
    owner.record(vec![task(2, "task_update", "t", r#"{"progress":5}"#)]).await;
    owner.record(vec![task(3, "task_result", "t", r#"{"result":"é"}"#)]).await;
    let state = state(&bench, EntityKind::Task, "t").await.unwrap();
    assert_eq!((&state["title"], &state["progress"]), (&json!("T"), &json!(5)));
    assert_eq!((&state["status"], &state["result"]), (&json!("completed"), &json!("é")));
    // The order of keys is that of their first mention, on both engines.
    let keys: Vec<&String> = state.as_object().unwrap().keys().collect();
    assert!(keys.iter().position(|key| *key == "z") < keys.iter().position(|key| *key == "a"));
}

async fn a_state_with_a_nul_harms_no_list(bench: Bench) {
    let mut owner = bench.owner(TASKS).await;
    let data = r#"{"title":"a\u0000b","status":"\u0000","executor":"codex"}"#;
    owner.record(vec![task(1, "task_created", "t", data)]).await;
    let filter = EntityFilter {
        matching: vec![("executor", json!("codex"))],
        limit: 9,
        ..EntityFilter::default()
    };
    let listed = bench.store.entities(EntityKind::Task, &filter).await.unwrap();
    assert_eq!(listed[0].state["title"], "a\u{fffd}b");
    let title = bench.ask("SELECT title FROM cockpit_tasks").await;
    assert_eq!(title.as_deref(), Some("a\u{fffd}b"));
    // What happened is kept as it was said.
    let page = bench.all("task:t").await;
    assert!(page.publications[0].recorded.event.data.get().contains(r"a\u0000b"));
}

async fn what_no_database_can_hold_costs_no_event_and_stays_in_the_archive_as_it_was(bench: Bench) {
    let mut owner = bench.owner(TASKS).await;
    let deep = format!("{{\"title\":\"t\",\"x\":{}1{}}}", "[".repeat(99), "]".repeat(99));
    let odd = [
        (r#"{"title":"cut \ud83d","\ude00":"\ud83d\ud83d\ude00"}"#, "title", json!("cut \u{fffd}")),
        (r#"{"title":"t","x":1e400}"#, "x", serde_json::from_str("1e400").unwrap()),
        (
            r#"{"title":"t","x":123456789012345678901234567890}"#,
            "x",
            serde_json::from_str("123456789012345678901234567890").unwrap(),
        ),
        (r#"{"title":"t","x":1,"x":2}"#, "x", json!(2)),
        (r#"{"title":"a\u0000b"}"#, "title", json!("a\u{fffd}b")),
        (deep.as_str(), "title", json!("t")),
    ];
    for (n, (data, key, value)) in (1..).zip(odd) {
        let id = format!("t{n}");
        owner.record(vec![task(n, "task_created", &id, data)]).await;
        let state = state(&bench, EntityKind::Task, &id).await.unwrap();
        assert_eq!(state[key], value, "{data}");
        let page = bench.all(&format!("task:{id}")).await;
        assert_eq!(page.publications[0].recorded.event.data.get(), data);
    }
    // The cockpit's tables and lists parse every state in SQL.
    let filter = EntityFilter { having: Some("created_at"), limit: 99, ..EntityFilter::default() };
    assert_eq!(bench.store.entities(EntityKind::Task, &filter).await.unwrap().len(), 6);
    let count = bench.ask("SELECT CAST(count(title) AS TEXT) FROM cockpit_tasks").await;
    assert_eq!(count.as_deref(), Some("6"));
}

async fn an_id_of_its_issuers_choice_is_kept_byte_for_byte(bench: Bench) {
    let mut owner = bench.owner(TASKS).await;
    for (n, id) in
        (1..).zip(["auth0|5f7c", "org/repo", "déploi 1", "e\u{301}", "é", "%2F", "'\"\\"])
    {
        let data = format!("{{\"title\":\"{n}\"}}");
        owner.record(vec![task(n, "task_created", id, &data)]).await;
        let state = state(&bench, EntityKind::Task, id).await.unwrap();
        assert_eq!((&state["id"], &state["title"]), (&json!(id), &json!(n.to_string())));
        let page = bench.all(&format!("task:{id}")).await;
        assert_eq!(page.publications[0].recorded.event.id.as_deref(), Some(id));
    }
}

async fn a_list_is_newest_first_and_goes_on_where_it_ended(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record((1..=5).map(|n| update(n, &format!("d{n}"), "{}")).collect()).await;
    bench.sql("UPDATE entity SET created = 7 WHERE id <> 'd2'").await;
    let mut filter = EntityFilter { limit: 2, ..EntityFilter::default() };
    let mut seen = Vec::new();
    while let Some(last) = {
        let listed = bench.store.entities(EntityKind::Deployment, &filter).await.unwrap();
        seen.extend(listed.iter().map(|listed| listed.id.clone()));
        listed.into_iter().next_back()
    } {
        filter.after = Some(ListCursor { created: last.created, id: last.id });
    }
    assert_eq!(seen, ["d2", "d5", "d4", "d3", "d1"]);
    let filter = EntityFilter { limit: 2, offset: 3, ..EntityFilter::default() };
    let listed = bench.store.entities(EntityKind::Deployment, &filter).await.unwrap();
    assert_eq!(listed.iter().map(|listed| listed.id.as_str()).collect::<Vec<_>>(), ["d3", "d1"]);
}

async fn a_list_holds_what_its_filter_asks_for(bench: Bench) {
    let mut owner = bench.owner(TASKS).await;
    let long = "x".repeat(5000);
    owner
        .record(vec![
            task(1, "task_created", "t1", r#"{"title":"1","executor":"codex","n":1.5}"#),
            task(2, "task_created", "t2", r#"{"title":"2","executor":null}"#),
            task(3, "task_update", "t3", r#"{"status":"running","executor":"codex"}"#),
            task(4, "task_update", "t4", &format!("{{\"status\":\"{long}\"}}")),
        ])
        .await;
    let list = async |status: Option<&str>, matching: Vec<(&'static str, Value)>, having| {
        let status = status.map(str::to_owned);
        let filter = EntityFilter { status, matching, having, limit: 9, ..EntityFilter::default() };
        let listed = bench.store.entities(EntityKind::Task, &filter).await.unwrap();
        let mut ids: Vec<String> = listed.into_iter().map(|listed| listed.id).collect();
        ids.sort();
        ids.join(" ")
    };
    assert_eq!(list(None, vec![], None).await, "t1 t2 t3 t4");
    assert_eq!(list(Some("running"), vec![], None).await, "t3");
    assert_eq!(list(Some("nonsense"), vec![], None).await, "");
    assert_eq!(list(Some(&long), vec![], None).await, "t4");
    assert_eq!(list(None, vec![], Some("created_at")).await, "t1 t2");
    assert_eq!(list(None, vec![("executor", json!("codex"))], None).await, "t1 t3");
    assert_eq!(list(None, vec![("executor", Value::Null)], None).await, "t2");
    assert_eq!(list(None, vec![("n", json!(1.5))], None).await, "t1");
    let both = vec![("executor", json!("codex")), ("status", json!("pending"))];
    assert_eq!(list(None, both, Some("created_at")).await, "t1");
}

async fn a_repository_whose_path_is_taken_is_dropped_and_the_rest_is_kept(bench: Bench) {
    let mut owner = bench.owner(AGENTS).await;
    let repos = |ms, repos: &[(&str, &str)]| {
        let repos: Vec<Value> = repos
            .iter()
            .map(|(id, path)| json!({"id": id, "path": path, "name": id, "branch": ms}))
            .collect();
        let data = json!({ "repos": repos }).to_string();
        entry(AGENTS, ms, &[("type", "git_status"), ("id", "agent"), ("data", &data)])
    };
    let long = "/long".repeat(2000);
    owner.record(vec![repos(1, &[("r1", "/a"), ("r2", "/a"), ("long", &long)])]).await;
    owner.record(vec![repos(2, &[("r3", "/a"), ("r4", "/b"), ("r1", "/c")])]).await;
    let mut listed = Vec::new();
    for id in ["r1", "r2", "r3", "r4", "long"] {
        let state = state(&bench, EntityKind::Repo, id).await;
        listed.push(state.map(|state| (state["path"].clone(), state["branch"].clone())));
    }
    let a = (json!("/a"), json!(2));
    let b = (json!("/b"), json!(2));
    assert_eq!(listed, [Some(a), None, None, Some(b), Some((json!(long), json!(1)))]);
    assert_eq!(bench.all("repos").await.publications.len(), 2);
}

async fn rule_9_a_lease_is_prolonged_by_each_event_and_over_at_the_end(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let fields = [("type", "deployment_update"), ("id", "d"), ("lease_ms", "60000")];
    owner.record(vec![entry(DEPLOYMENTS, 1, &fields)]).await;
    let left = "SELECT CAST(lease_until - updated AS TEXT) FROM entity WHERE lease_ms = 60000";
    assert_eq!(bench.ask(left).await.as_deref(), Some("60000"));
    bench.sql("UPDATE entity SET lease_until = 5").await;
    owner.record(vec![update(2, "d", "{}")]).await;
    assert_eq!(bench.ask(left).await.as_deref(), Some("60000"));
    owner.record(vec![update(3, "d", r#"{"status":"success"}"#)]).await;
    let ended = "SELECT CAST(ended - updated AS TEXT) FROM entity WHERE lease_until IS NULL";
    assert_eq!(bench.ask(ended).await.as_deref(), Some("0"));
}

async fn rule_9_an_entity_lapses_when_the_stream_was_read_past_the_end_of_its_lease(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let with_lease = |ms, id| {
        let fields = [("type", "deployment_update"), ("id", id), ("lease_ms", "60000")];
        entry(DEPLOYMENTS, ms, &fields)
    };
    owner.record(vec![with_lease(1, "a"), with_lease(2, "b"), update(3, "c", "{}")]).await;
    let lapsed = async |source, read_to_end| {
        let (read_to_end, reachable) = (Duration::from_secs(read_to_end), Duration::from_secs(60));
        let lapsed = bench.store.lapsed(source, read_to_end, reachable, 9).await;
        let ids = lapsed.unwrap().into_iter().map(|lapsed| lapsed.entity.id.into_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(lapsed(DEPLOYMENTS, 0).await, [""; 0]);
    bench.sql("UPDATE entity SET lease_until = lease_until - 70000 WHERE id <> 'b'").await;
    assert_eq!(lapsed(DEPLOYMENTS, 0).await, ["a"]);
    assert_eq!(lapsed(DEPLOYMENTS, 60).await, [""; 0]);
    assert_eq!(lapsed(TASKS, 0).await, [""; 0]);
    owner.record(vec![update(4, "a", r#"{"status":"abandoned"}"#)]).await;
    assert_eq!(lapsed(DEPLOYMENTS, 0).await, [""; 0]);
}

async fn the_cockpits_tables_have_the_columns_of_the_seed(bench: Bench) {
    let mut tasks = bench.owner(TASKS).await;
    tasks
        .record(vec![
            task(1, "task_created", "t", r#"{"title":"T","executor":"codex"}"#),
            task(2, "task_log", "t", r#"{"lines":["one","two"]}"#),
            task(3, "task_result", "t", r#"{"status":"abandoned","result":{"a":1}}"#),
            task(4, "task_update", "unannounced", "{}"),
        ])
        .await;
    let mut agents = bench.owner(AGENTS).await;
    let repo = r#"{"repos":[{"id":"r","path":"/p","name":"n","aheadCount":3}]}"#;
    let alert = r#"{"severity":"info","title":"A","source":"s"}"#;
    agents
        .record(vec![
            entry(AGENTS, 1, &[("type", "git_status"), ("id", "a"), ("data", repo)]),
            entry(AGENTS, 2, &[("type", "alert"), ("id", "x"), ("data", alert)]),
            entry(AGENTS, 3, &[("type", "alert_acknowledged"), ("id", "x")]),
        ])
        .await;
    let text = async |sql| bench.ask(sql).await.unwrap();
    assert_eq!(
        text(
            "SELECT id || ' ' || title || ' ' || status || ' ' || executor || ' ' || logs || ' '
             || result || ' ' || (created_at <= updated_at) FROM cockpit_tasks"
        )
        .await
        .replace(" true", " 1"),
        "t T failed codex one\ntwo {\"a\":1} 1"
    );
    assert_eq!(
        text(
            "SELECT id || ' ' || path || ' ' || name || ' ' || coalesce(branch, '-') || ' '
             || coalesce(status, '-') || ' ' || uncommitted_count || ' ' || ahead_count || ' '
             || behind_count || ' ' || coalesce(modified_files, '-') FROM cockpit_git_repos
             WHERE last_checked > 1600000000"
        )
        .await,
        "r /p n - - 0 3 0 -"
    );
    assert_eq!(
        text(
            "SELECT id || ' ' || severity || ' ' || title || ' ' || coalesce(message, '-') || ' '
             || source || ' ' || acknowledged FROM cockpit_alerts WHERE created_at > 1600000000"
        )
        .await,
        "x info A - s 1"
    );
}
