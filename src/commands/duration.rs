//! Durations on the command line.

use std::time::Duration;

/// Parses a duration as people write it: `90s`, `30m`, `1h`, `7d`; a bare number is seconds.
///
/// # Errors
/// Says what a duration looks like; shorter than 1 s or longer than ten years is none.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration such as 90s, 30m, 1h or 7d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number.checked_mul(seconds).filter(|seconds| (1..=315_360_000).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800), ("5", 5)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in ["", "h", "1w", "-1s", "0", "99999999999d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
