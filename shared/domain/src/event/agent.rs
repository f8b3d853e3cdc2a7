//! Agents, the repositories that they watch, and alerts.

use serde_json::Value;

use super::{
    Event, EventKind,
    entity::{Entity, EntityKind},
    rejection::{Rejection, require_one_of, require_text},
    state::State,
};
use crate::id;

/// What an agent's status may be.
pub const STATUSES: [&str; 4] = ["online", "offline", "busy", "idle"];
/// What an agent may be doing.
pub const STATES: [&str; 3] = ["idle", "working", "stopped"];
/// How grave an alert may be.
pub const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];

/// What the body of an event on the stream `agents` must look like.
pub(super) fn validate(kind: &EventKind, body: &State) -> Result<(), Rejection> {
    match kind {
        EventKind::AgentStatus => {
            if body.get("status").is_none() && body.get("state").is_none() {
                return Err(Rejection::new("data.status", "is required, or state"));
            }
            require_one_of(body, "status", &STATUSES, false)?;
            require_one_of(body, "state", &STATES, false)
        }
        EventKind::GitStatus => validate_repos(body),
        EventKind::Alert => {
            require_one_of(body, "severity", &SEVERITIES, true)?;
            require_text(body, "title")
        }
        _ => Ok(()),
    }
}

fn validate_repos(body: &State) -> Result<(), Rejection> {
    let Some(Value::Array(repos)) = body.get("repos") else {
        return Err(Rejection::new("data.repos", "is required and must be an array"));
    };
    for (at, repo) in repos.iter().enumerate() {
        for key in ["id", "path", "name"] {
            if repo.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
                let path = format!("data.repos.{at}.{key}");
                return Err(Rejection::new(path, "is required and must be a text"));
            }
        }
        let repo_id = repo.get("id").and_then(Value::as_str).unwrap_or_default();
        if let Err(error) = id::check(repo_id) {
            return Err(Rejection::new(format!("data.repos.{at}.id"), error.to_string()));
        }
    }
    Ok(())
}

/// The repositories that a `git_status` speaks of.
pub(super) fn repos(body: &State) -> Vec<Entity> {
    let repos = body.get("repos").and_then(Value::as_array);
    let id = |repo: &Value| repo.get("id").and_then(Value::as_str).map(Into::into);
    repos
        .into_iter()
        .flatten()
        .filter_map(id)
        .map(|id| Entity { kind: EntityKind::Repo, id })
        .collect()
}

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

/// Upserts a repository: everything but `path` and `name` is replaced, what is absent becomes null
/// or 0 (`protocols.md` §2). `last_checked` is the time of recording in seconds.
pub fn fold_repo(id: &str, state: Option<State>, event: &Event, recorded: i64) -> Option<State> {
    let repos = event.body().get("repos").and_then(Value::as_array)?;
    let given = repos.iter().rev().find(|repo| repo.get("id").is_some_and(|it| it == id))?;
    let take = |key: &str| given.get(key).cloned().unwrap_or(Value::Null);
    let count = |key: &str| given.get(key).filter(|n| n.is_u64()).cloned().unwrap_or(0.into());
    let mut state = state.unwrap_or_else(|| {
        ["id", "path", "name"].into_iter().map(|key| (key.to_owned(), take(key))).collect()
    });
    state.insert("branch".into(), take("branch"));
    state.insert("status".into(), take("status"));
    state.insert("uncommitted_count".into(), count("uncommittedCount"));
    state.insert("ahead_count".into(), count("aheadCount"));
    state.insert("behind_count".into(), count("behindCount"));
    state.insert("last_checked".into(), (recorded / 1000).into());
    state.insert("modifiedFiles".into(), take("modifiedFiles"));
    Some(state)
}

/// Raises or acknowledges an alert; acknowledging one that nobody raised says nothing.
pub fn fold_alert(id: &str, state: Option<State>, event: &Event, recorded: i64) -> Option<State> {
    if event.kind == EventKind::AlertAcknowledged {
        let mut state = state?;
        state.insert("acknowledged".into(), 1.into());
        return Some(state);
    }
    let take = |key: &str| event.body().get(key).cloned().unwrap_or(Value::Null);
    let mut state = state.unwrap_or_default();
    state.insert("id".into(), id.into());
    for key in ["severity", "title", "message", "source"] {
        state.insert(key.into(), take(key));
    }
    state.entry("created_at").or_insert_with(|| (recorded / 1000).into());
    state.entry("acknowledged").or_insert_with(|| 0.into());
    Some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_keeps_path_and_name_and_forgets_what_is_not_said_again() {
        let event = |data: &str| Event::new(EventKind::GitStatus, Some("a1"), data);
        let first = event(
            r#"{"repos":[{"id":"r1","path":"/p","name":"n","branch":"main","aheadCount":2}]}"#,
        );
        assert_eq!(first.entities().len(), 1);
        let state = fold_repo("r1", None, &first, 1000);
        let again = event(r#"{"repos":[{"id":"r1","path":"/other","name":"x"}]}"#);
        let state = fold_repo("r1", state, &again, 2000).unwrap();
        assert_eq!((&state["path"], &state["name"]), (&"/p".into(), &"n".into()));
        assert_eq!((&state["branch"], &state["ahead_count"]), (&Value::Null, &0.into()));
        assert_eq!(state["last_checked"], 2);
    }

    #[test]
    fn an_alert_is_acknowledged_once_it_was_raised() {
        let ack = Event::new(EventKind::AlertAcknowledged, Some("x"), "{}");
        assert_eq!(fold_alert("x", None, &ack, 0), None);
        let raise = Event::new(EventKind::Alert, Some("x"), r#"{"severity":"info","title":"t"}"#);
        let state = fold_alert("x", None, &raise, 3000);
        let state = fold_alert("x", state, &ack, 4000).unwrap();
        assert_eq!((&state["acknowledged"], &state["created_at"]), (&1.into(), &3.into()));
    }
}
