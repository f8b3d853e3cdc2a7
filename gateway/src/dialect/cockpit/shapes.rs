//! The shapes that the agents in use send, turned into the documented ones (`protocols.md` §2,
//! "Making the real agents work").

use serde_json::{Map, Value, json};

/// The longest id that is made of a path, in characters.
const REPO_ID_CHARS: usize = 64;

/// The documented shape of a frame; anything that is in none of the known older ones stays as it is.
pub(super) fn modern(value: Value) -> Value {
    let Value::Object(mut frame) = value else { return value };
    match frame.get("type").and_then(Value::as_str) {
        Some("agent-status") => agent_status(&mut frame),
        Some("git-status") => git_status(&mut frame),
        Some("task-result") => task_result(&mut frame),
        _ => {}
    }
    Value::Object(frame)
}

/// `{agent: {id, name, capabilities}, status}`
fn agent_status(frame: &mut Map<String, Value>) {
    if frame.contains_key("agentId") {
        return;
    }
    let Some(Value::Object(mut agent)) = frame.remove("agent") else { return };
    for (from, to) in [("id", "agentId"), ("name", "agentName"), ("capabilities", "capabilities")] {
        if let Some(value) = agent.remove(from) {
            frame.insert(to.to_owned(), value);
        }
    }
}

/// `{agentId, statuses: [{path, branch, ahead, …}]}`
fn git_status(frame: &mut Map<String, Value>) {
    if frame.contains_key("repos") {
        return;
    }
    if let Some(Value::Array(statuses)) = frame.remove("statuses") {
        let repos = statuses.into_iter().map(|status| match status {
            Value::Object(status) => repo(&status),
            other => other,
        });
        frame.insert("repos".to_owned(), repos.collect());
    }
}

fn repo(status: &Map<String, Value>) -> Value {
    let count = |key: &str| status.get(key).and_then(Value::as_u64).unwrap_or(0);
    let Some(path) = status.get("path").and_then(Value::as_str) else {
        return Value::Object(status.clone());
    };
    let (ahead, behind) = (count("ahead"), count("behind"));
    let uncommitted = ["modified", "created", "deleted"].into_iter().map(count);
    let word = match (status.get("isDirty") == Some(&Value::Bool(true)), ahead > 0, behind > 0) {
        (true, _, _) => "dirty",
        (false, true, true) => "diverged",
        (false, true, false) => "ahead",
        (false, false, true) => "behind",
        (false, false, false) => "clean",
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name = path.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty());
    let mut repo = json!({
        "id": path.chars().take(REPO_ID_CHARS).map(plain).collect::<String>(),
        "path": path,
        "name": name.unwrap_or(path),
        "status": word,
        "uncommittedCount": uncommitted.fold(0, u64::saturating_add),
        "aheadCount": ahead,
        "behindCount": behind,
    });
    if let Some(branch) = status.get("branch").filter(|branch| branch.is_string()) {
        repo["branch"] = branch.clone();
    }
    repo
}

/// `{agentId, result: {id, success, stdout, …}}`
fn task_result(frame: &mut Map<String, Value>) {
    if frame.contains_key("taskId") {
        return;
    }
    let Some(result) = frame.get("result") else { return };
    let (Some(id), Some(success)) =
        (result.get("id").cloned(), result.get("success").and_then(Value::as_bool))
    else {
        return;
    };
    frame.insert("taskId".to_owned(), id);
    frame.insert("status".to_owned(), if success { "completed" } else { "failed" }.into());
}
