//! Any text as the body of each request that takes one: no panic, and no cost beyond its length.

#![no_main]

#[path = "../../tests/cost/bodies.rs"]
mod bodies;
#[path = "../../tests/cost/oracle.rs"]
mod oracle;
#[path = "../../tests/cost/subjects.rs"]
mod subjects;

use libfuzzer_sys::fuzz_target;

thread_local! {
    static DOORS: Vec<subjects::Subject> = bodies::all();
}

fuzz_target!(|text: &str| DOORS.with(|doors| {
    for door in doors {
        let cost = oracle::Cost::of(text.len(), || (door.run)(text));
        assert!(cost.excess().is_none(), "{}: {cost:?}", door.name);
    }
}));
