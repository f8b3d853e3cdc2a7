//! The tests are tested: a server that departs from its page in one way is caught by a transcript.
//!
//! `cargo test --test it deviations` plants each. That the transcript passes without it is what
//! `dialogues.rs` shows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Frame;
use crate::cluster::Cluster;
use crate::transcript::{Deviation, play};

/// A test per deviation: the transcript that must catch it, and what the server says instead.
macro_rules! deviations {
    ($($test:ident in $file:literal: $deviation:expr;)+) => {
        $(#[tokio::test]
        async fn $test() {
            caught($file, $deviation).await;
        })+
    };
}

async fn caught(file: &str, deviation: Deviation) {
    let played = play(file, Cluster::embedded(), deviation, Duration::from_secs(3)).await;
    assert!(played.is_err(), "{file} did not notice");
}

/// Changes the JSON of a frame.
fn changed(frame: Frame, change: impl FnOnce(&mut Value)) -> Vec<Frame> {
    let Frame::Json(mut value) = frame else { return vec![frame] };
    change(&mut value);
    vec![Frame::Json(value)]
}

fn without(frame: Frame, key: &str) -> Vec<Frame> {
    changed(frame, |value| {
        value.as_object_mut().unwrap().remove(key);
    })
}

fn is_a(frame: &Frame, kind: &str) -> bool {
    matches!(frame, Frame::Json(value) if value["type"] == kind)
}

deviations! {
    a_missing_first_frame in "000-live": |n, frame| if n == 0 { vec![] } else { vec![frame] };
    a_doubled_frame in "000-live": |_, frame| vec![frame.clone(), frame];
    log_deltas in "000-live": |_, frame| changed(frame, |value| {
        if let Some(logs) = value["data"]["logs"].as_array_mut() {
            logs.drain(..logs.len().saturating_sub(1));
        }
    });
    a_second_ending in "000-live": |_, frame| {
        let ended = matches!(&frame, Frame::Json(value) if value["data"]["status"] == "success");
        let complete = Frame::Json(json!({"type": "deployment_complete", "data": {}}));
        if ended { vec![frame, complete] } else { vec![frame] }
    };
    a_time_in_words in "000-live": |_, frame| changed(frame, |value| {
        value["data"]["timestamp"] = "2026-11-20T10:30:51.123Z".into();
    });
    another_deployments_update in "000-live": |n, frame| {
        let stray = Frame::Json(json!({"type": "deployment_update", "data": {"id": "dep-9"}}));
        if n == 1 { vec![stray, frame] } else { vec![frame] }
    };
    an_unknown_key in "000-live": |_, frame| changed(frame, |value| value["version"] = 1.into());
    a_task_in_one_shape_only in "001-agents": |_, frame| without(frame, "task");
    a_missing_acknowledgement in "001-agents":
        |_, frame| if is_a(&frame, "ack") { vec![] } else { vec![frame] };
    an_error_without_details in "001-validation":
        |_, frame| changed(frame, |value| value["details"] = json!([]));
    greetings_in_the_wrong_order in "002-clients": |n, frame| match n {
        0 => vec![],
        1 => vec![frame, Frame::Json(json!({"type": "auth", "data": {"success": true}}))],
        _ => vec![frame],
    };
    a_time_without_milliseconds in "002-clients":
        |_, frame| changed(frame, |value| value["timestamp"] = "2026-11-20T10:30:51Z".into());
    a_user_message_for_nobody in "003-page": |_, frame| without(frame, "user_id");
    a_bare_pong in "004-containers": |n, frame| {
        if n == 1 { vec![Frame::Text("pong".to_owned()), frame] } else { vec![frame] }
    };
    the_wrong_case in "004-containers": |_, frame| changed(frame, |value| {
        value["type"] = value["type"].as_str().unwrap_or_default().to_lowercase().into();
    });
    a_frame_that_is_not_verbatim in "004-containers": |_, frame| without(frame, "extra");
    a_lost_event in "native-subscribe": |n, frame| if n == 3 { vec![] } else { vec![frame] };
    a_repeated_event in "native-subscribe":
        |n, frame| if n == 3 { vec![frame.clone(), frame] } else { vec![frame] };
    a_wrong_position in "native-subscribe": |_, frame| changed(frame, |value| {
        if value["type"] == "event" {
            value["position"] = "00000000-1".into();
        }
    });
    a_clean_close_where_none_may_be in "native-refusals": |_, frame| match frame {
        Frame::Close(_, reason) => vec![Frame::Close(1000, reason)],
        other => vec![other],
    };
}
