//! What an input may cost: time, memory and answer are bounded by its size, for everything that reads what
//! somebody else wrote. Seeded, so that a failure can be played again; found cases are kept.

#![expect(clippy::print_stdout, reason = "the figures are for reading")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bodies;
mod doubles;
mod hostile;
mod oracle;
mod subjects;

use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;

use self::{
    hostile::{GROWTHS, PART, grown, template},
    oracle::Cost,
    subjects::Subject,
};

/// Cases of each subject, beside those that are kept.
const CASES: usize = 40;

/// What grows has from so many bytes to so many.
const BYTES: std::ops::Range<usize> = 1 << 10..64 << 10;

/// What proper clients write.
const TRANSCRIPTS: [&str; 7] = [
    include_str!("../../../tests/transcripts/001-agents.txt"),
    include_str!("../../../tests/transcripts/001-repos-and-alerts.txt"),
    include_str!("../../../tests/transcripts/002-clients.txt"),
    include_str!("../../../tests/transcripts/003-page.txt"),
    include_str!("../../../tests/transcripts/004-containers.txt"),
    include_str!("../../../tests/transcripts/native-subscribe.txt"),
    include_str!("../../../tests/transcripts/publish.txt"),
];

const KEPT: &str = include_str!("cases.txt");

/// The JSON objects of the transcripts.
fn corpus() -> Vec<Value> {
    let lines = TRANSCRIPTS.iter().flat_map(|transcript| transcript.lines());
    let objects = lines.filter_map(|line| {
        let from = line.find('{')?;
        let mut values = serde_json::Deserializer::from_str(&line[from..]).into_iter();
        values.next()?.ok().filter(Value::is_object)
    });
    let objects: Vec<Value> = objects.collect();
    assert!(objects.len() > 50, "only {} objects found", objects.len());
    objects
}

/// An input, and how it can be made again.
struct Input {
    text: String,
    told: String,
}

impl Input {
    fn new(template: &str, growth: &str, bytes: usize) -> Self {
        let text = template.replace(PART, &grown(growth, bytes));
        Self { text, told: format!("{growth} × {bytes} in {template:.300}") }
    }
}

/// The cases that are kept, for a subject.
fn kept(subject: &str) -> Vec<Input> {
    let lines = KEPT.lines().filter(|line| !line.starts_with('#'));
    let cases = lines.filter_map(|line| {
        let mut words = line.splitn(4, ' ');
        let (of, growth) = (words.next()?, words.next()?);
        let (bytes, template) = (words.next()?.parse().ok()?, words.next()?);
        subject.contains(of).then(|| Input::new(template, growth, bytes))
    });
    cases.collect()
}

/// Random cases, the same in every run.
fn random(seed: u64, corpus: &[Value]) -> Vec<Input> {
    let mut random = StdRng::seed_from_u64(seed);
    let case = |_| {
        let template = template(&mut random, corpus);
        let (growth, _) = GROWTHS[random.random_range(0..GROWTHS.len())];
        Input::new(&template, growth, random.random_range(BYTES))
    };
    (0..CASES).map(case).collect()
}

/// Gives the inputs to a subject; the worst of each cost, and what was too much.
fn try_all(subject: &Subject, inputs: &[Input]) -> (Cost, Vec<String>) {
    let mut worst = Cost::default();
    let mut found = Vec::new();
    for input in inputs {
        let cost = Cost::of(input.text.len(), || (subject.run)(&input.text));
        worst = worst.worst(cost);
        if let Some(what) = cost.excess() {
            found.push(format!("{}: too much {what}: {cost:?}: {}", subject.name, input.told));
        }
    }
    (worst, found)
}

fn show(costs: &BTreeMap<String, Cost>) {
    println!("{:<28} {:>12} {:>14} {:>12}", "", "µs per KiB", "memory per byte", "answer");
    for (name, cost) in costs {
        let input = cost.input.max(1) as f64;
        let (micros, memory) = (cost.micros as f64 * 1024.0 / input, cost.memory as f64 / input);
        println!("{name:<28} {micros:>12.1} {memory:>14.1} {:>12}", cost.answer);
    }
}

fn hold(subjects: &[Subject]) {
    let corpus = corpus();
    let mut costs = BTreeMap::new();
    let mut found = Vec::new();
    for (seed, subject) in (0..).zip(subjects) {
        let inputs: Vec<_> = kept(&subject.name).into_iter().chain(random(seed, &corpus)).collect();
        let (worst, more) = try_all(subject, &inputs);
        costs.insert(subject.name.clone(), worst);
        found.extend(more);
    }
    show(&costs);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_decoder_and_no_fold_costs_more_than_its_input_pays_for() {
    hold(&subjects::all());
}

#[test]
fn no_body_costs_more_than_its_length_pays_for() {
    hold(&bodies::all());
}

#[test]
fn the_oracle_finds_what_once_cost_too_much() {
    let all: Vec<Input> = ["native", "cockpit"].into_iter().flat_map(kept).collect();
    for double in doubles::all() {
        let (_, found) = try_all(&double, &all);
        assert!(!found.is_empty(), "{} was not found", double.name);
        println!("{}", found.join("\n"));
    }
}
