//! The fold's vectors, which the clients in other languages run as well.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::Path};

use domain::{
    event::{
        Event, EventKind, State,
        entity::{Entity, EntityKind},
        fold::fold,
    },
    json::{self, Document},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/fold");

/// The fewest vectors that say enough.
const VECTORS_MIN: usize = 80;

#[derive(Deserialize)]
struct Vector<'a> {
    name: String,
    entity: String,
    id: String,
    state: Option<State>,
    #[serde(borrow)]
    event: Given<'a>,
    recorded: i64,
    result: Option<State>,
}

#[derive(Deserialize)]
struct Given<'a> {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(borrow)]
    data: &'a RawValue,
    at: i64,
}

fn run(document: &Document<'_>, vector: Vector<'_>) {
    let kind = EntityKind::ALL.into_iter().find(|kind| kind.name() == vector.entity).unwrap();
    let data = document.given(vector.event.data);
    let mut event =
        Event::new(EventKind::from_name(&vector.event.kind), Some(&vector.event.id), data);
    event.at = vector.event.at;
    let entity = Entity::new(kind, &vector.id);
    let result = fold(&entity, vector.state, &event, vector.recorded);
    let [result, expected] = [result, vector.result].map(|state| state.map(Value::Object));
    assert_eq!(result, expected, "{}: {}", vector.entity, vector.name);
}

#[test]
fn every_vector_leads_from_its_state_to_its_result() {
    let mut count = 0;
    for file in fs::read_dir(Path::new(VECTORS)).unwrap() {
        let text = fs::read(file.unwrap().path()).unwrap();
        let document = Document::read(&text).unwrap();
        let vectors: Vec<Vector<'_>> = document.parse().unwrap();
        count += vectors.len();
        vectors.into_iter().for_each(|vector| run(&document, vector));
    }
    assert!(count >= VECTORS_MIN, "{count} vectors");
}

#[test]
fn a_fold_of_many_repositories_is_linear() {
    let repo = |n: usize| format!(r#"{{"id":"r{n}","path":"/p{n}","name":"n"}}"#);
    let repos: Vec<String> = (0..20_000).map(repo).collect();
    let data = format!(r#"{{"repos":[{}]}}"#, repos.join(","));
    let event = Event::new(EventKind::GitStatus, Some("a"), &data);
    let begun = std::time::Instant::now();
    for entity in event.entities() {
        assert!(fold(&entity, None, &event, 1).is_some());
    }
    let ms = begun.elapsed().as_millis();
    // Quadratic it would be minutes, on any machine.
    assert!(ms < 60_000, "{ms} ms for 20,000 repositories");
    assert_eq!(json::object(&data).unwrap().len(), 1);
}
