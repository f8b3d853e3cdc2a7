//! Git repositories that agents watch.

use serde_json::Value;

use super::{
    Event,
    state::{State, double},
};

/// Upserts a repository: everything but `path` and `name` is replaced, what is absent becomes null
/// or 0 (`protocols.md` §2). `last_checked` is the time of recording in seconds.
pub fn fold(id: &str, state: Option<State>, event: &Event, recorded: i64) -> Option<State> {
    let Some(given) = event.repo(id) else { return state };
    let take = |key: &str| given.get(key).cloned().unwrap_or(Value::Null);
    let count = |key: &str| given.get(key).filter(|n| is_count(n)).cloned().unwrap_or(0.into());
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

/// Whether it is a whole number that is not negative.
fn is_count(value: &Value) -> bool {
    let Value::Number(number) = value else { return false };
    let number = double(number);
    number.is_finite() && number >= 0.0 && number.fract() == 0.0
}
