//! Fuzzing of everything that reads what a client or a publisher wrote: nothing panics, what is
//! answered is JSON, and what is accepted can be carried, folded and encoded.

use std::panic::{AssertUnwindSafe, catch_unwind};

use auth::{Authenticator, Identity};
use domain::{
    entry::{EntryId, Fields},
    event::{
        Submission,
        entity::Entity,
        fold::fold,
        submission::{Origin, field},
    },
    position::{Epoch, Position},
    publication::{Publication, Recorded},
    source::{Source, Stream},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use runtime::config::Config;
use serde_json::{Value, json};
use websocket::Message;

use super::{ENCODINGS, build, test_support};
use crate::protocol::{Command, Dialect, Encoding, View};

/// Cases of each protocol, and of each type of event. Each has its own seed, which a failure names.
const MESSAGES: u64 = 5_000;
const EVENTS: u64 = 500;

/// What proper clients and publishers write.
const TRANSCRIPTS: [&str; 9] = [
    include_str!("../../../tests/transcripts/000-live.txt"),
    include_str!("../../../tests/transcripts/001-agents.txt"),
    include_str!("../../../tests/transcripts/001-repos-and-alerts.txt"),
    include_str!("../../../tests/transcripts/001-validation.txt"),
    include_str!("../../../tests/transcripts/002-clients.txt"),
    include_str!("../../../tests/transcripts/003-page.txt"),
    include_str!("../../../tests/transcripts/004-containers.txt"),
    include_str!("../../../tests/transcripts/native-refusals.txt"),
    include_str!("../../../tests/transcripts/native-subscribe.txt"),
];

const TYPES: [(Stream, &str); 18] = [
    (Stream::Deployments, "deployment_update"),
    (Stream::Deployments, "deployment_log"),
    (Stream::Tasks, "task_created"),
    (Stream::Tasks, "task_update"),
    (Stream::Tasks, "task_log"),
    (Stream::Tasks, "task_result"),
    (Stream::Agents, "agent_status"),
    (Stream::Agents, "agent_update"),
    (Stream::Agents, "git_status"),
    (Stream::Agents, "alert"),
    (Stream::Agents, "alert_acknowledged"),
    (Stream::Containers, "log"),
    (Stream::Containers, "status"),
    (Stream::Containers, "complete"),
    (Stream::Messages, "notification"),
    (Stream::Messages, "chat_message"),
    (Stream::Messages, "system"),
    (Stream::Messages, "anything else"),
];

/// The JSON objects of the transcripts.
fn corpus() -> Vec<Value> {
    let lines = TRANSCRIPTS.iter().flat_map(|transcript| transcript.lines());
    let objects = lines.filter_map(|line| {
        let from = line.find('{')?;
        let mut values = serde_json::Deserializer::from_str(&line[from..]).into_iter();
        values.next()?.ok().filter(Value::is_object)
    });
    let objects: Vec<Value> = objects.collect();
    assert!(objects.len() > 100, "only {} objects found", objects.len());
    objects
}

/// A value that nobody expects.
fn odd(random: &mut StdRng) -> Value {
    match random.random_range(0..16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(i64::MIN),
        5 => json!(1e308),
        6 => json!(""),
        7 => json!("\u{0}\n\r\u{2028}é"),
        8 => json!("x".repeat(5000)),
        9 => json!([]),
        10 => json!({}),
        11 => (0..60).fold(json!(1), |inner, _| json!([inner])),
        12 => json!("2026-13-45T99:99:99Z"),
        13 => json!(["a", 1, null, {"a": []}]),
        14 => json!("9".repeat(400)),
        _ => json!({"": {"type": "x", "id": null}}),
    }
}

/// Puts something odd somewhere into a value, or takes something out.
fn warp(random: &mut StdRng, value: &mut Value) {
    let deeper = random.random_bool(0.8);
    match value {
        Value::Object(map) if deeper && !map.is_empty() => {
            let at = random.random_range(0..map.len());
            let key = map.keys().nth(at).cloned().unwrap_or_default();
            if random.random_bool(0.1) {
                map.remove(&key);
            } else if let Some(inner) = map.get_mut(&key) {
                warp(random, inner);
            }
        }
        Value::Array(list) if deeper && !list.is_empty() => {
            let at = random.random_range(0..list.len());
            warp(random, &mut list[at]);
        }
        value => *value = odd(random),
    }
}

/// A proper text, warped, and at times damaged.
fn noise(random: &mut StdRng, corpus: &[Value]) -> Vec<u8> {
    let mut value = corpus[random.random_range(0..corpus.len())].clone();
    for _ in 0..random.random_range(0..3) {
        warp(random, &mut value);
    }
    let mut bytes = value.to_string().into_bytes();
    if random.random_bool(0.2) {
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
    }
    if random.random_bool(0.05) {
        bytes.truncate(random.random_range(0..=bytes.len()));
    }
    bytes
}

/// Does it for every case, and names the seed of one that panics.
fn for_each_case(what: &str, cases: u64, case: impl Fn(&mut StdRng)) {
    for seed in 0..cases {
        let once = AssertUnwindSafe(|| case(&mut StdRng::seed_from_u64(seed)));
        let outcome = catch_unwind(once);
        assert!(outcome.is_ok(), "{what} panics for seed {seed}");
    }
}

/// What an entry becomes, all the way to every protocol's frames. Whether it was accepted.
fn follow(stream: Stream, fields: &Fields) -> bool {
    let Ok(submission) =
        Submission::parse(stream, EntryId { ms: 5, number: 0 }, fields, Origin::Outside, 5)
    else {
        return false;
    };
    let event = submission.event;
    let channels = event.channels();
    for entity in channels.iter().filter_map(Entity::of) {
        let state = fold(&entity, None, &event, 9);
        fold(&entity, state, &event, 10);
    }
    let source = Source::first(stream);
    let payload = Recorded { seq: 1, entry: "5-0".to_owned(), recorded: 9, event }.to_payload();
    for channel in channels {
        let position = Position { epoch: Epoch(7), offsets: [(source, 1)].into_iter().collect() };
        let recorded = Recorded::from_payload(source, &payload).unwrap().into();
        let (epoch, offset, payload) = (position.epoch, 1, payload.clone());
        let sent =
            Publication { channel: channel.clone(), epoch, source, offset, recorded, payload };
        let read = Publication::decode_all(&channel, &sent.encode().into()).unwrap();
        assert_eq!(read.len(), 1, "one publication is one line");
        let publication = read.into_iter().next().unwrap();
        for encoding in &ENCODINGS {
            let event = encoding.event(&publication, &position);
            let frames = [event, encoding.tail(&publication, &position)];
            frames.iter().flatten().for_each(|frame| drop(test_support::json(frame)));
        }
    }
    true
}

fn check(commands: Vec<Command>) {
    for command in commands {
        match command {
            Command::Send(frame) => drop(test_support::json(&frame)),
            Command::Append(append) => drop(follow(append.stream, &append.fields)),
            _ => {}
        }
    }
}

fn decode_all(dialect: &dyn Dialect, encoding: Encoding, config: &Config, identity: &Identity) {
    let corpus = corpus();
    for_each_case(dialect.name(), MESSAGES, |random| {
        let bytes = noise(random, &corpus);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let view = View {
            connection: "n-1",
            identity,
            encoding,
            memo: Some("a-1").filter(|_| random.random_bool(0.5)),
            production: random.random_bool(0.5),
            now: 1_000,
            config,
        };
        check(dialect.decode(Message::Text(&text), &view));
        check(dialect.decode(Message::Binary(&bytes), &view));
    });
}

#[test]
fn whatever_a_client_says_no_dialect_panics() {
    let config = test_support::config();
    let nobody = Authenticator::new(&config.access).unwrap().anonymous();
    let built = build(&config);
    for encoding in ENCODINGS {
        let dialect = built.all.iter().find(|dialect| dialect.name() == encoding.dialect());
        decode_all(&**dialect.unwrap(), encoding, &config, &nobody.clone().named("ann"));
    }
}

#[test]
fn whatever_a_publisher_says_is_refused_or_reaches_every_protocol() {
    let corpus = corpus();
    let accepted = std::sync::atomic::AtomicUsize::new(0);
    for (stream, kind) in TYPES {
        for_each_case(kind, EVENTS, |random| {
            let mut fields = Fields::default();
            fields.push(field::TYPE, kind);
            fields.push(field::DATA, noise(random, &corpus));
            for name in [field::ID, field::USER, field::AT, field::LEASE_MS, field::TRACEPARENT] {
                match random.random_range(0..8) {
                    0 => fields.push(name, odd(random).to_string()),
                    1 => fields.push(name, noise(random, &corpus)),
                    2..=5 => fields.push(name, "12"),
                    _ => {}
                }
            }
            let is_accepted = follow(stream, &fields);
            accepted.fetch_add(is_accepted.into(), std::sync::atomic::Ordering::Relaxed);
        });
    }
    // Neither all proper nor all noise, else the test would prove nothing.
    let (accepted, all) = (accepted.into_inner(), TYPES.len() * usize::try_from(EVENTS).unwrap());
    assert!((all / 20..all * 4 / 5).contains(&accepted), "{accepted} of {all} accepted");
}
