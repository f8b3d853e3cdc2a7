//! Pure tests: what comes in, what goes out.

use serde_json::json;

use super::{super::test_support, *};
use crate::protocol::Condition;

fn say(memo: Option<&str>, frame: &Value) -> Vec<Command> {
    test_support::decode(&Cockpit, ENCODING, memo, Message::Text(&frame.to_string()))
}

fn data(command: &Command) -> Value {
    let Command::Append(append) = command else { panic!("{command:?}") };
    serde_json::from_slice(append.fields.get(field::DATA).unwrap()).unwrap()
}

fn memo(commands: &[Command]) -> String {
    let note = commands.iter().find_map(|command| match command {
        Command::Remember(note) => Some(note.to_string()),
        _ => None,
    });
    note.unwrap()
}

#[test]
fn what_is_wrong_is_said_in_the_words_of_zod() {
    for (frame, issue) in [
        (
            json!({ "type": "agent-status", "status": "idle" }),
            json!({
                "code": "invalid_type", "expected": "string", "received": "undefined",
                "path": ["agentId"], "message": "Required",
            }),
        ),
        (
            json!({ "type": "agent-status", "agentId": "a", "status": 5 }),
            json!({
                "code": "invalid_type", "expected": "'online' | 'offline' | 'busy' | 'idle'",
                "received": "number", "path": ["status"],
                "message": "Expected 'online' | 'offline' | 'busy' | 'idle', received number",
            }),
        ),
        (
            json!({ "type": "git-status", "repos": [{ "id": "r", "path": "/r", "name": "r",
                 "aheadCount": 1.5 }] }),
            json!({
                "code": "invalid_type", "expected": "integer", "received": "float",
                "message": "Expected integer, received float", "path": ["repos", 0, "aheadCount"],
            }),
        ),
        (
            json!([]),
            json!({
                "code": "invalid_type", "expected": "object", "received": "array", "path": [],
                "message": "Expected object, received array",
            }),
        ),
    ] {
        let error = test_support::only_frame(&say(None, &frame));
        assert_eq!(error["message"], "Invalid message format");
        assert_eq!(error["details"], json!([issue]), "{frame}");
    }
    assert!(test_support::decode(&Cockpit, ENCODING, None, Message::Binary(b"{}")).is_empty());
}

#[test]
fn an_agent_listens_to_tasks_while_it_is_free() {
    let status = |memo: Option<&str>, status: &str| {
        say(memo, &json!({ "type": "agent-status", "agentId": "a", "status": status }))
    };
    let listens =
        |commands: &[Command]| commands.iter().any(|c| matches!(c, Command::Subscribe(_)));
    let leaves =
        |commands: &[Command]| commands.iter().any(|c| matches!(c, Command::Unsubscribe(_)));
    let first = status(None, "online");
    assert!(listens(&first) && first.iter().any(|c| matches!(c, Command::Watch)));
    let again = status(Some(&memo(&first)), "idle");
    assert!(!listens(&again) && !leaves(&again), "it goes on listening and misses nothing");
    assert!(!again.iter().any(|c| matches!(c, Command::Watch)));
    let busy = status(Some(&memo(&again)), "busy");
    assert!(leaves(&busy));
    assert!(listens(&status(Some(&memo(&busy)), "idle")));
}

#[test]
fn a_second_status_keeps_what_the_first_one_said() {
    let first = say(
        None,
        &json!({
            "type": "agent-status", "agentId": "a", "status": "idle", "capabilities": ["git"],
        }),
    );
    let again = say(
        Some(&memo(&first)),
        &json!({ "type": "agent-status", "agentId": "a", "status": "busy" }),
    );
    let agent: Value = serde_json::from_str(&memo(&again)).unwrap();
    assert_eq!(agent["capabilities"], json!(["git"]));
    assert_eq!(agent["connectedAt"], "1970-01-01T00:00:01.000Z");
}

#[test]
fn a_status_that_changes_only_health_is_sampled_and_not_recorded() {
    let status = |cpu: f64, version: u32| {
        json!({
            "type": "agent-status", "agentId": "a", "status": "idle", "timestamp": cpu,
            "metadata": { "version": version, "health": { "cpu": cpu } },
        })
    };
    let sampled = |commands: &[Command]| {
        commands.iter().any(|command| {
            matches!(command, Command::Health { agent, said } if **agent == *"a" && said["cpu"].is_number())
        })
    };
    let is_recorded =
        |commands: &[Command]| commands.iter().any(|c| matches!(c, Command::Append(_)));
    let first = say(None, &status(0.1, 1));
    assert!(is_recorded(&first) && sampled(&first));
    let second = say(Some(&memo(&first)), &status(0.2, 1));
    assert!(!is_recorded(&second) && sampled(&second));
    let third = say(Some(&memo(&second)), &status(0.3, 2));
    assert!(is_recorded(&third) && sampled(&third));
    let without = json!({ "type": "agent-status", "agentId": "a", "status": "idle" });
    let fourth = say(Some(&memo(&third)), &without);
    let fifth = say(Some(&memo(&fourth)), &without);
    assert!(is_recorded(&fifth) && !sampled(&fifth), "as it always was");
    let listed = first.iter().find_map(|command| match command {
        Command::Register(registration) => registration.value.clone(),
        _ => None,
    });
    assert!(!listed.unwrap().contains("recorded"), "what is noted is not shown");
}

#[test]
fn older_agents_are_understood() {
    let status = say(
        None,
        &json!({
            "type": "agent-status", "status": "idle", "timestamp": "now",
            "agent": { "id": "a", "name": "Ann", "capabilities": ["bash"] },
        }),
    );
    let append = status.iter().find(|command| matches!(command, Command::Append(_))).unwrap();
    assert_eq!(data(append)["agentName"], "Ann");
    let repos = say(
        None,
        &json!({ "type": "git-status", "agentId": "a", "statuses": [
        { "path": "/Home/Repo", "ahead": 1, "behind": 2, "modified": 1, "created": 2, "deleted": 3 },
    ] }),
    );
    assert_eq!(
        data(&repos[0])["repos"],
        json!([{
            "id": "_home_repo", "path": "/Home/Repo", "name": "Repo", "status": "diverged",
            "uncommittedCount": 6, "aheadCount": 1, "behindCount": 2,
        }])
    );
    let result =
        say(None, &json!({ "type": "task-result", "result": { "id": "t", "success": false } }));
    assert_eq!(data(&result[0])["status"], "failed");
    let Command::Append(append) = &result[0] else { panic!() };
    assert!(matches!(&append.condition, Some(Condition::Known(task)) if &*task.id == "t"));
    assert!(append.fields.get(field::EVENT_ID).is_some());
}

#[test]
fn any_pong_is_life() {
    for timestamp in [json!(5), json!("2026-11-20T10:00:00.000Z"), Value::Null] {
        let commands = say(None, &json!({ "type": "pong", "timestamp": timestamp }));
        assert!(matches!(commands[..], [Command::Alive]));
    }
}
