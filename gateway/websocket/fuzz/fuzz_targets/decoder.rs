//! Client bytes, cut into pieces: our decoder and tungstenite's see the same messages, or both
//! refuse them. What "the same" means is said where the seeded test of the same comparison is.

#![no_main]

#[path = "../../tests/transport/differential.rs"]
mod differential;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (cuts, bytes) = input;
    let mut cuts = cuts.iter().cycle();
    differential::compare(bytes, |left| cuts.next().map_or(left, |cut| usize::from(*cut)));
});
