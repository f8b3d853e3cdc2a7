//! The contract's table "Which event becomes which frame", as data.

use domain::event::{Event, EventKind};
use serde_json::{Value, json};

use super::{ENCODINGS, cloud_agents, cockpit, containers, native, test_support, zerostate};
use crate::protocol::Encoding;

const COCKPIT: Encoding = cockpit::encoder::ENCODING;
const CLOUD_AGENTS: Encoding = cloud_agents::encoder::ENCODING;
const STRANGER: Encoding = cloud_agents::encoder::ANONYMOUS;
const ZEROSTATE: Encoding = zerostate::encoder::KNOWN;
const ANONYMOUS: Encoding = zerostate::encoder::ANONYMOUS;
const UPPER: Encoding = containers::encoder::UPPER;
const LOWER: Encoding = containers::encoder::LOWER;
const NATIVE: Encoding = native::encoder::ENCODING;
const DASHBOARD: Encoding = cockpit::dashboard::DASHBOARD;

/// An event on a channel, and the frame of each encoding that has one; `timestamp` is the event's.
struct Row {
    channel: &'static str,
    kind: &'static str,
    id: Option<&'static str>,
    data: Value,
    frames: Vec<(Encoding, Value)>,
}

const AT: &str = "1970-01-01T00:00:00.000Z";
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
            vec![(COCKPIT, task), (ZEROSTATE, update("queued", "Look", 0))],
        ),
        row(
            ("tasks", "task_update", Some("t1")),
            json!({ "status": "running", "progress": 7 }),
            vec![(ZEROSTATE, update("running", "", 7))],
        ),
        row(
            ("tasks", "task_result", Some("t1")),
            json!({ "title": "Look", "result": 1 }),
            vec![(ZEROSTATE, update("completed", "Look", 100))],
        ),
        row(("tasks", "task_log", Some("t1")), json!({ "message": "x" }), vec![]),
        row(
            ("agents", "agent_status", Some("a1")),
            idle.clone(),
            vec![(CLOUD_AGENTS, plain("agent_status", &idle)), (ZEROSTATE, agent("Scout"))],
        ),
        row(
            ("agents", "agent_status", Some("a1")),
            json!({ "state": "idle" }),
            vec![
                (
                    CLOUD_AGENTS,
                    plain("agent_status", &json!({ "state": "idle", "agentName": "a1" })),
                ),
                (ZEROSTATE, agent("a1")),
            ],
        ),
        row(
            ("agents", "agent_status", Some("a1")),
            json!({ "status": "busy", "agentName": "Scout" }),
            vec![
                (
                    CLOUD_AGENTS,
                    plain(
                        "agent_status",
                        &json!({ "status": "busy", "agentName": "Scout", "state": "working" }),
                    ),
                ),
                (ZEROSTATE, agent("Scout")),
            ],
        ),
        row(
            ("agents", "agent_update", Some("a1")),
            json!({ "name": "N", "action": "deleted" }),
            vec![(
                ZEROSTATE,
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
    let system = json!({ "message": "m" });
    let both = |frame: Value| vec![(ZEROSTATE, frame.clone()), (ANONYMOUS, frame)];
    let told = plain("notification", &system);
    vec![
        row(
            ("broadcast", "notification", None),
            note.clone(),
            vec![(CLOUD_AGENTS, all.clone()), (ZEROSTATE, all.clone())],
        ),
        row(
            ("user:ann", "notification", Some("ann")),
            note.clone(),
            vec![(CLOUD_AGENTS, all), (ZEROSTATE, own)],
        ),
        // One for all that names a user in passing came by the channel of all.
        row(("user:ann", "notification", None), note, vec![]),
        row(
            ("conversations", "chat_message", Some("v")),
            chat.clone(),
            vec![
                (CLOUD_AGENTS, plain("chat_message", &chat)),
                (ZEROSTATE, plain("chat_message", &chat)),
            ],
        ),
        row(
            ("broadcast", "system", None),
            system.clone(),
            [both(plain("system", &system)), vec![(CLOUD_AGENTS, told.clone()), (STRANGER, told)]]
                .concat(),
        ),
        row(
            ("user:ann", "system", Some("ann")),
            json!({ "message": "m" }),
            both({
                let mut own = plain("system", &json!({ "message": "m" }));
                own["user_id"] = "ann".into();
                own
            }),
        ),
        row(("broadcast", "party", None), party.clone(), vec![(ZEROSTATE, plain("party", &party))]),
        row(("user:ann", "party", Some("ann")), party, vec![(ZEROSTATE, invited)]),
    ]
}

fn containers() -> Vec<Row> {
    let log = json!({ "level": "info", "message": "x" });
    let frame = |kind| json!({ "type": kind, "containerID": "c1", "timestamp": AT, "data": log });
    vec![
        row(
            ("container:c1", "log", Some("c1")),
            log.clone(),
            vec![(UPPER, frame("LOG")), (LOWER, frame("log"))],
        ),
        // Whole states, made by the channel.
        row(("deployment:d1", "deployment_update", Some("d1")), json!({}), vec![]),
    ]
}

/// Whose rules hold for an encoding on a channel: strangers who listen to a feed are told what others
/// are, only of what is meant for people less.
fn rules(encoding: Encoding, channel: &str) -> Encoding {
    match encoding {
        own if channel == "broadcast" || channel.starts_with("user:") => own,
        own if own == STRANGER => CLOUD_AGENTS,
        own if own == ANONYMOUS => ZEROSTATE,
        own => own,
    }
}

#[test]
fn every_event_becomes_the_frame_of_the_contract_and_nothing_else() {
    for row in tasks_and_agents().into_iter().chain(messages()).chain(containers()) {
        let kind = EventKind::from_name(row.kind);
        let event = Event::new(kind, row.id, &row.data.to_string());
        let publication = test_support::publication(row.channel, event);
        let position = test_support::position(row.channel);
        for encoding in ENCODINGS.iter().filter(|encoding| ![NATIVE, DASHBOARD].contains(encoding))
        {
            let frame = encoding.event(&publication, &position);
            let expected = row.frames.iter().find(|(of, _)| *of == rules(*encoding, row.channel));
            let expected = expected.map(|(_, frame)| frame);
            let place = format!("{} on {} for {encoding:?}", row.kind, row.channel);
            assert_eq!(frame.as_ref().map(test_support::json).as_ref(), expected, "{place}");
        }
        let native = NATIVE.event(&publication, &position).unwrap();
        assert_eq!(test_support::json(&native)["data"], row.data);
    }
}

/// Every type of event on every kind of channel, and the dialects beside our own that have a frame for
/// it: nobody else hears of it.
const SPOKEN: [(&str, &[&str]); 26] = [
    ("deployment_update", &[]),
    ("deployment_log", &[]),
    ("task_created", &["cockpit", "zerostate"]),
    ("task_update", &["zerostate"]),
    ("task_log", &[]),
    ("task_result", &["zerostate"]),
    ("task_progress", &["zerostate"]),
    ("task_assigned", &["zerostate"]),
    ("task_accepted", &["zerostate"]),
    ("task_released", &["zerostate"]),
    ("task_cancelled", &["zerostate"]),
    ("task_expired", &["zerostate"]),
    ("task_retried", &["zerostate"]),
    ("agent_status", &["cloud_agents", "zerostate"]),
    ("agent_update", &["zerostate"]),
    ("git_status", &[]),
    ("alert", &[]),
    ("alert_acknowledged", &[]),
    ("log", &["containers"]),
    ("status", &["containers"]),
    ("error", &["containers"]),
    ("complete", &["containers"]),
    ("notification", &["cloud_agents", "zerostate"]),
    ("chat_message", &["cloud_agents", "zerostate"]),
    ("system", &["zerostate"]),
    ("party", &["zerostate"]),
];

const CHANNELS: [&str; 13] = [
    "deployment:x",
    "deployments",
    "task:x",
    "tasks",
    "agent:x",
    "agents",
    "repos",
    "alerts",
    "container:x",
    "user:x",
    "broadcast",
    "conversation:x",
    "conversations",
];

#[test]
fn each_dialect_has_frames_for_the_events_of_its_page_and_our_own_for_all() {
    for (name, dialects) in SPOKEN {
        let kind = EventKind::from_name(name);
        let mut spoken = std::collections::BTreeSet::new();
        for channel in CHANNELS {
            let event = Event::new(kind.clone(), Some("x"), "{}");
            let publication = test_support::publication(channel, event);
            let position = test_support::position(channel);
            // Dashboards are told more than agents are, once they ask: `tests/it/dashboards.rs`.
            let encodings = ENCODINGS.iter().filter(|encoding| **encoding != DASHBOARD);
            let frames = encodings.filter(|e| e.event(&publication, &position).is_some());
            spoken.extend(frames.map(|encoding| encoding.dialect()));
        }
        assert!(spoken.remove("native"), "{name}");
        assert!(spoken.iter().eq(dialects), "{name}: {spoken:?}");
    }
}
