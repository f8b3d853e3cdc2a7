//! The contract's table "Which event becomes which frame", as data.

use serde_json::{Value, json};
use shared::event::{Event, EventKind};

use super::{Encoding, encode, trials};

/// An event on a channel, and the frame of each encoding that has one; `timestamp` is the event's.
struct Row {
    channel: &'static str,
    kind: &'static str,
    id: Option<&'static str>,
    data: Value,
    frames: Vec<(Encoding, Value)>,
}

const AT: &str = "1970-01-01T00:00:00.000Z";
const SEEDS: [Encoding; 7] = [
    Encoding::Deployments,
    Encoding::Cockpit,
    Encoding::CloudAgents,
    Encoding::ZeroState,
    Encoding::ZeroStateAnonymous,
    Encoding::ContainersUpper,
    Encoding::ContainersLower,
];

fn row(
    (channel, kind, id): (&'static str, &'static str, Option<&'static str>),
    data: Value,
    frames: Vec<(Encoding, Value)>,
) -> Row {
    Row { channel, kind, id, data, frames }
}

fn plain(kind: &str, data: &Value) -> Value {
    json!({ "type": kind, "timestamp": AT, "data": data })
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn tasks_and_agents() -> Vec<Row> {
    let payload = json!({ "command": "git status -s", "workingDir": "/r" });
    let created = json!({ "title": "Look", "executor": "glm", "payload": payload });
    let task = json!({
        "type": "task", "taskId": "t1", "taskType": "glm", "payload": payload,
        "task": { "id": "t1", "type": "bash", "command": "git", "args": ["status", "-s"],
                  "workingDir": "/r" },
    });
    let update = |status: &str, query: &str, progress: u32| {
        plain(
            "task_update",
            &json!({
                "task_id": "t1", "status": status, "query": query, "progress": progress,
            }),
        )
    };
    let agent = |name: &str| {
        plain("agent_update", &json!({ "agent_id": "a1", "name": name, "action": "updated" }))
    };
    let idle = json!({ "state": "idle", "agentName": "Scout" });
    vec![
        row(
            ("tasks", "task_created", Some("t1")),
            created,
            vec![(Encoding::Cockpit, task), (Encoding::ZeroState, update("queued", "Look", 0))],
        ),
        row(
            ("tasks", "task_update", Some("t1")),
            json!({ "status": "running", "progress": 7 }),
            vec![(Encoding::ZeroState, update("running", "", 7))],
        ),
        row(
            ("tasks", "task_result", Some("t1")),
            json!({ "title": "Look", "result": 1 }),
            vec![(Encoding::ZeroState, update("completed", "Look", 100))],
        ),
        row(("tasks", "task_log", Some("t1")), json!({ "message": "x" }), vec![]),
        row(
            ("agents", "agent_status", Some("a1")),
            idle.clone(),
            vec![
                (Encoding::CloudAgents, plain("agent_status", &idle)),
                (Encoding::ZeroState, agent("Scout")),
            ],
        ),
        row(
            ("agents", "agent_status", Some("a1")),
            json!({ "state": "idle" }),
            vec![
                (
                    Encoding::CloudAgents,
                    plain("agent_status", &json!({ "state": "idle", "agentName": "a1" })),
                ),
                (Encoding::ZeroState, agent("a1")),
            ],
        ),
        row(
            ("agents", "agent_update", Some("a1")),
            json!({ "name": "N", "action": "deleted" }),
            vec![(
                Encoding::ZeroState,
                plain(
                    "agent_update",
                    &json!({
                        "name": "N", "action": "deleted", "agent_id": "a1",
                    }),
                ),
            )],
        ),
        row(("user:ann", "agent_status", Some("a1")), idle, vec![]),
        row(("repos", "git_status", Some("a1")), json!({ "repos": [] }), vec![]),
        row(("alerts", "alert", Some("x")), json!({ "severity": "info", "title": "t" }), vec![]),
    ]
}

fn messages() -> Vec<Row> {
    let note = json!({ "level": "info", "message": "hello" });
    let all = plain("notification", &note);
    let mut own = all.clone();
    own["user_id"] = "ann".into();
    let chat = json!({ "conversationId": "v", "content": "hi" });
    let party = json!({ "song": "fanfare" });
    let mut invited = plain("party", &party);
    invited["user_id"] = "ann".into();
    let both = |frame: Value| {
        vec![(Encoding::ZeroState, frame.clone()), (Encoding::ZeroStateAnonymous, frame)]
    };
    vec![
        row(
            ("broadcast", "notification", None),
            note.clone(),
            vec![(Encoding::CloudAgents, all.clone()), (Encoding::ZeroState, all.clone())],
        ),
        row(
            ("user:ann", "notification", Some("ann")),
            note.clone(),
            vec![(Encoding::CloudAgents, all), (Encoding::ZeroState, own)],
        ),
        // One for all that names a user in passing came by the channel of all.
        row(("user:ann", "notification", None), note, vec![]),
        row(
            ("conversations", "chat_message", Some("v")),
            chat.clone(),
            vec![
                (Encoding::CloudAgents, plain("chat_message", &chat)),
                (Encoding::ZeroState, plain("chat_message", &chat)),
            ],
        ),
        row(
            ("broadcast", "system", None),
            json!({ "message": "m" }),
            both(plain("system", &json!({ "message": "m" }))),
        ),
        row(("broadcast", "party", None), party.clone(), both(plain("party", &party))),
        row(("user:ann", "party", Some("ann")), party, both(invited)),
    ]
}

fn containers() -> Vec<Row> {
    let log = json!({ "level": "info", "message": "x" });
    let frame = |kind| json!({ "type": kind, "containerID": "c1", "timestamp": AT, "data": log });
    vec![
        row(
            ("container:c1", "log", Some("c1")),
            log.clone(),
            vec![
                (Encoding::ContainersUpper, frame("LOG")),
                (Encoding::ContainersLower, frame("log")),
            ],
        ),
        // Whole states, made by the room.
        row(("deployment:d1", "deployment_update", Some("d1")), json!({}), vec![]),
    ]
}

#[test]
fn every_event_becomes_the_frame_of_the_contract_and_nothing_else() {
    for row in tasks_and_agents().into_iter().chain(messages()).chain(containers()) {
        let kind = EventKind::from_name(row.kind);
        let event = Event::new(kind, row.id, &row.data.to_string());
        let outgoing = trials::outgoing(row.channel, event);
        for encoding in SEEDS {
            let frame = encode(encoding, &outgoing, &outgoing.position);
            let expected = row.frames.iter().find(|(of, _)| *of == encoding).map(|(_, f)| f);
            let place = format!("{} on {} for {encoding:?}", row.kind, row.channel);
            assert_eq!(frame.as_ref().map(trials::json).as_ref(), expected, "{place}");
        }
        let native = encode(Encoding::Native, &outgoing, &outgoing.position).unwrap();
        assert_eq!(trials::json(&native)["data"], row.data);
    }
}
