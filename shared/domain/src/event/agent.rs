//! Agents: what they say of themselves.

use super::{Event, state::State};

/// Merges an agent's status; its name is its id until it says another.
pub fn fold(id: &str, state: Option<State>, event: &Event, recorded: i64) -> State {
    let mut state = state.unwrap_or_default();
    state.insert("agentId".into(), id.into());
    state.entry("agentName").or_insert_with(|| id.into());
    for (key, value) in event.body() {
        if key != "agentId" {
            state.insert(key.clone(), value.clone());
        }
    }
    state.insert("updated_at".into(), recorded.into());
    state
}
