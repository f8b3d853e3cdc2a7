//! Random client streams, from proper ones to noise, for [`crate::differential`].

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::differential::compare;
use crate::wire;

/// Each case has its own seed, which a failure names.
const CASES: u64 = 10_000;

#[test]
fn both_decoders_see_the_same_in_random_streams() {
    let mut refused = 0;
    for seed in 0..CASES {
        let mut random = StdRng::seed_from_u64(seed);
        let bytes = stream(&mut random);
        let largest = [1, 2, 7, 50, 1000][random.random_range(0..5)];
        let outcome = std::panic::catch_unwind(|| {
            let mut random = StdRng::seed_from_u64(seed);
            compare(&bytes, |_left| random.random_range(1..=largest))
        });
        refused += u64::from(outcome.unwrap_or_else(|_| panic!("differs for seed {seed}")));
    }
    // Neither all proper nor all noise, else the test would prove nothing.
    assert!((CASES / 5..CASES * 4 / 5).contains(&refused), "{refused} of {CASES} refused");
}

/// Up to a dozen frames, mostly in an order that makes sense, at times damaged.
fn stream(random: &mut StdRng) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut is_open = false;
    for _ in 0..random.random_range(1..12) {
        let opcode = match random.random_range(0..20) {
            0 => random.random_range(0..16),
            1..=3 => 0x9,
            4 => 0xA,
            5 if random.random_bool(0.3) => 0x8,
            _ if is_open => 0x0,
            _ => random.random_range(1..=2),
        };
        let is_final = opcode >= 8 || random.random_bool(0.6);
        if opcode < 8 {
            is_open = !is_final;
        }
        let payload = payload(random, opcode);
        bytes.extend(wire::frame(u8::from(is_final) << 7 | opcode, &payload));
    }
    if random.random_bool(0.2) {
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
    }
    if random.random_bool(0.1) {
        bytes.truncate(random.random_range(0..bytes.len()));
    }
    bytes
}

fn payload(random: &mut StdRng, opcode: u8) -> Vec<u8> {
    if opcode == 0x8 {
        let code: u16 =
            [1000, 1001, 1004, 1005, 1012, 1100, 3000, 4999, 5000][random.random_range(0..9)];
        return [&code.to_be_bytes()[..], "früh".as_bytes()].concat();
    }
    let size = match random.random_range(0..10) {
        0 => 0,
        1 => random.random_range(120..130),
        2 => random.random_range(100..320),
        _ => random.random_range(0..20),
    };
    let mut payload: Vec<u8> = "aé€😀".bytes().cycle().take(size).collect();
    if opcode == 0 {
        // A continuation goes on where the alphabet was cut, which is not always where it was.
        payload = "aé€😀".bytes().cycle().skip(random.random_range(0..10)).take(size).collect();
    }
    payload
}
