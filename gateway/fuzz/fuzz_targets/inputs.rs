//! Any text, given to everything that reads what somebody else wrote: no panic, and no cost beyond its size.

#![no_main]

#[path = "../../tests/cost/oracle.rs"]
mod oracle;
#[path = "../../tests/cost/subjects.rs"]
mod subjects;

use libfuzzer_sys::fuzz_target;

thread_local! {
    static SUBJECTS: Vec<subjects::Subject> = subjects::all();
}

fuzz_target!(|text: &str| SUBJECTS.with(|subjects| {
    for subject in subjects {
        let cost = oracle::Cost::of(text.len(), || (subject.run)(text));
        assert!(cost.excess().is_none(), "{}: {cost:?}", subject.name);
    }
}));
