//! Alerts: raised and acknowledged.

use serde_json::Value;

use super::{Event, EventKind, state::State};

/// Who says by an acknowledgement that the cause is gone.
pub const HEALTH: &str = "health";

/// Since when the cause of an alert is gone, seconds since 1970.
pub const ENDED_AT: &str = "ended_at";

/// Raises or acknowledges an alert; acknowledging one that nobody raised says nothing.
///
/// One that is raised again stays acknowledged, unless its cause was gone in between: then it begins
/// anew.
pub fn fold(id: &str, state: Option<State>, event: &Event, recorded: i64) -> Option<State> {
    if event.kind == EventKind::AlertAcknowledged {
        let mut state = state?;
        state.insert("acknowledged".into(), 1.into());
        if event.text("by") == Some(HEALTH) {
            state.insert(ENDED_AT.into(), (recorded / 1000).into());
        }
        return Some(state);
    }
    let take = |key: &str| event.body().get(key).cloned().unwrap_or(Value::Null);
    let mut state = state.filter(|state| !state.contains_key(ENDED_AT)).unwrap_or_default();
    state.insert("id".into(), id.into());
    for key in ["severity", "title", "message", "source"] {
        state.insert(key.into(), take(key));
    }
    state.entry("created_at").or_insert_with(|| (recorded / 1000).into());
    state.entry("acknowledged").or_insert_with(|| 0.into());
    Some(state)
}
