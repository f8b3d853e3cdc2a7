//! Pure tests: what comes in, what goes out.

use domain::event::{Event, EventKind};
use serde_json::json;

use super::{super::test_support, *};
use crate::protocol::ChannelMemo as _;

#[test]
fn a_ping_is_answered_with_its_time_and_everything_else_is_ignored() {
    let decode = |text: &str| test_support::decode(&ZeroState, KNOWN, None, Message::Text(text));
    for (text, received) in [
        (r#"{"type":"ping"}"#, NO_TIME),
        (r#"{"type":"ping","timestamp":null,"data":{}}"#, NO_TIME),
        (r#"{"type":"ping","timestamp":"2026-11-20T10:30:51Z"}"#, "2026-11-20T10:30:51Z"),
        (
            r#"{"type":"ping","timestamp":"2026-11-20T10:30:51.5+01:00"}"#,
            "2026-11-20T10:30:51.5+01:00",
        ),
    ] {
        let pong = test_support::only_frame(&decode(text));
        assert_eq!(
            (&pong["type"], &pong["data"]),
            (&"pong".into(), &json!({ "received": received }))
        );
    }
    for text in [
        "this is not JSON",
        "[]",
        r#"{"type":"dance"}"#,
        r#"{"type":"ping","timestamp":"yesterday"}"#,
        r#"{"type":"ping","timestamp":5}"#,
        r#"{"type":"ping","data":"text"}"#,
    ] {
        assert!(decode(text).is_empty(), "{text}");
    }
}

#[test]
fn a_task_is_told_with_what_its_earlier_events_said() {
    let mut tasks = tasks::Summaries::default();
    let mut told = |kind, data: &str| {
        let publication = test_support::publication("tasks", Event::new(kind, Some("t1"), data));
        tasks.encode(&publication).map(|frame| test_support::json(&frame)["data"].clone())
    };
    let frame = |status: &str, progress: u32| {
        Some(json!({ "task_id": "t1", "status": status, "query": "Why?", "progress": progress }))
    };
    assert_eq!(told(EventKind::TaskCreated, r#"{"title":"Why?"}"#), frame("queued", 0));
    assert_eq!(
        told(EventKind::TaskUpdate, r#"{"status":"running","progress":50}"#),
        frame("running", 50)
    );
    assert_eq!(told(EventKind::TaskLog, r#"{"message":"x"}"#), None);
    assert_eq!(told(EventKind::TaskUpdate, "{}"), frame("running", 50));
    assert_eq!(told(EventKind::TaskResult, r#"{"error":"no"}"#), frame("failed", 50));
}
