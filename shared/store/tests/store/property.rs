//! Random histories: both engines come to the same, and it is what the rules say.

use std::collections::HashMap;

use domain::{
    channel::Channel,
    event::{
        entity::{Entity, EntityKind},
        fold::fold,
        state::State,
    },
    source::{Source, Stream},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use store::{Judged, Outcome};

use crate::bench::{AGENTS, Bench, DEPLOYMENTS, Owner, TASKS, entry, id};

const SOURCES: [Source; 4] =
    [DEPLOYMENTS, Source { stream: Stream::Deployments, partition: 1 }, TASKS, AGENTS];

const BATCHES: usize = 60;

/// One entry of a random history; ids are few, so that things meet.
fn random_entry(random: &mut StdRng, source: Source, ms: u64) -> Judged {
    let id = format!("e{}", random.random_range(0..4));
    let n = random.random_range(0..100);
    let (kind, data) = match (source.stream, random.random_range(0..8)) {
        (_, 0) => ("nonsense", String::from("{}")),
        (Stream::Deployments, 1) => ("deployment_log", format!(r#"{{"lines":["l{n}","é"]}}"#)),
        (Stream::Deployments, _) => ("deployment_update", format!(r#"{{"k{}":{n}}}"#, n % 7)),
        (Stream::Tasks, 1) => ("task_created", format!(r#"{{"title":"t{n}"}}"#)),
        (Stream::Tasks, 2) => ("task_result", format!(r#"{{"result":{{"a":{n}}}}}"#)),
        (Stream::Tasks, _) => ("task_update", format!(r#"{{"progress":{n}.5}}"#)),
        (_, 1 | 2) => {
            let repo = |r: u64| format!(r#"{{"id":"r{r}","path":"/{}","name":"n"}}"#, r % 3);
            let (one, other) = (random.random_range(0..6), random.random_range(0..6));
            ("git_status", format!(r#"{{"repos":[{},{}]}}"#, repo(one), repo(other)))
        }
        (_, 3) => ("alert", r#"{"severity":"info","title":"a"}"#.to_owned()),
        (_, 4) => ("alert_acknowledged", String::from("{}")),
        _ => ("agent_status", format!(r#"{{"status":"busy","n":{n}}}"#)),
    };
    let user = format!("u{}", random.random_range(0..3));
    let event_id = format!("p{}", random.random_range(0..40));
    let mut fields = vec![("type", kind), ("id", id.as_str()), ("data", data.as_str())];
    if random.random_bool(0.5) {
        fields.push(("user", &user));
    }
    if random.random_bool(0.3) {
        fields.push(("event_id", &event_id));
    }
    entry(source, ms, &fields)
}

/// What happens, engine or not: batches of the sources, now and then read again from earlier on.
fn history(seed: u64) -> Vec<(usize, Vec<Judged>, bool)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stream: HashMap<usize, Vec<Judged>> = HashMap::new();
    (0..BATCHES)
        .map(|_| {
            let at = random.random_range(0..SOURCES.len());
            let past = stream.entry(at).or_default();
            let again = random.random_bool(0.15);
            let mut entries = Vec::new();
            if again {
                let from = past.len().saturating_sub(random.random_range(0..12));
                entries.extend_from_slice(&past[from..]);
            }
            for _ in 0..random.random_range(0..12) {
                let ms = past.len() as u64 + 1;
                past.push(random_entry(&mut random, SOURCES[at], ms));
                entries.extend(past.last().cloned());
            }
            (at, entries, again)
        })
        .collect()
}

/// Plays a history; what each batch was told.
async fn play(bench: &Bench, history: &[(usize, Vec<Judged>, bool)]) -> Vec<Vec<Outcome>> {
    let mut owners: Vec<Owner<'_>> = Vec::new();
    for source in SOURCES {
        owners.push(bench.owner(source).await);
    }
    // One time of recording for all, so that the states can be compared.
    bench.sql("UPDATE source SET recorded = 9000000000000").await;
    let mut told = Vec::new();
    for (at, entries, again) in history {
        if *again {
            owners[*at].set_back(id(0)).await;
        }
        told.push(owners[*at].record(entries.clone()).await.outcomes);
    }
    told
}

/// Every channel's archive as text, and every state.
async fn everything(bench: &Bench) -> (Vec<String>, Vec<(Entity, Option<State>)>) {
    let mut archive = Vec::new();
    let mut names: Vec<String> =
        ["deployments", "tasks", "agents", "repos", "alerts"].map(String::from).into();
    for kind in ["deployment", "task", "agent", "user"] {
        names.extend(
            (0..4).map(|n| format!("{kind}:{}{n}", &"eu"[usize::from(kind == "user")..][..1])),
        );
    }
    for name in names {
        let page = bench.all(&name).await;
        for p in page.publications {
            let payload = String::from_utf8_lossy(&p.payload).into_owned();
            archive.push(format!("{name} {} {} {payload}", p.source, p.offset));
        }
    }
    let mut states = Vec::new();
    for kind in EntityKind::ALL {
        for n in 0..6 {
            for prefix in ["e", "r"] {
                let entity = Entity { kind, id: format!("{prefix}{n}").into() };
                let state = bench.store.entity(&entity).await.unwrap();
                states.push((entity, state));
            }
        }
    }
    (archive, states)
}

#[tokio::test]
async fn both_engines_make_the_same_of_any_history() {
    for seed in 0..4 {
        let history = history(seed);
        let (sqlite, postgres) = (Bench::sqlite().await, Bench::postgres().await);
        let told = play(&sqlite, &history).await;
        assert_eq!(told, play(&postgres, &history).await, "seed {seed}");
        let (archive, states) = everything(&sqlite).await;
        let (other_archive, other_states) = everything(&postgres).await;
        assert_eq!(archive, other_archive, "seed {seed}");
        assert_eq!(states, other_states, "seed {seed}");
        assert!(archive.len() > 100, "seed {seed}: {} publications", archive.len());
        states_are_the_fold_of_the_archive(&sqlite, seed).await;
        outcomes_are_dense(&told, seed);
    }
}

/// What is in a channel's archive, folded from the beginning, is the state in its snapshot.
async fn states_are_the_fold_of_the_archive(bench: &Bench, seed: u64) {
    for n in 0..4 {
        for kind in ["deployment", "task", "agent"] {
            let name = format!("{kind}:e{n}");
            let entity = Entity::of(&Channel::parse(&name).unwrap()).unwrap();
            let page = bench.all(&name).await;
            if page.head.offsets.iter().count() > 1 {
                // Two partitions: which came first within a millisecond is not in the archive.
                continue;
            }
            let folded = page.publications.iter().fold(None, |state, p| {
                fold(&entity, state, &p.recorded.event, p.recorded.recorded)
            });
            let state = bench.store.entity(&entity).await.unwrap();
            assert_eq!(folded.map(Value::Object), state.map(Value::Object), "{seed} {name}");
        }
    }
}

/// Offsets of a channel and source are given once each, in order, without holes.
fn outcomes_are_dense(told: &[Vec<Outcome>], seed: u64) {
    let mut given: HashMap<String, Vec<u64>> = HashMap::new();
    for outcome in told.iter().flatten() {
        if let Outcome::Recorded(placed) = outcome {
            for (channel, offset) in placed {
                given.entry(channel.to_string()).or_default().push(*offset);
            }
        }
    }
    for (channel, mut offsets) in given {
        if channel.starts_with("user") || channel.starts_with("deployment") {
            continue;
        }
        offsets.dedup();
        assert_eq!(offsets, (1..=offsets.len() as u64).collect::<Vec<_>>(), "{seed} {channel}");
    }
}
