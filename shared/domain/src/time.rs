//! Times of the world outside, brought to milliseconds since 1970 (contract §3, `at`).

/// 2000-01-01, ms: no producer means a time before it.
pub const EARLIEST_MS: i64 = 946_684_800_000;

/// How far ahead of the record a time may be, ms.
pub const AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

/// The last millisecond of the year 9998: what jiff and every browser can write.
pub const LATEST_MS: i64 = 253_370_764_799_999;

/// Longer texts are no numbers that anybody means, and cost nothing.
const DIGITS_MAX: usize = 64;

/// Returns the time that a number says, in ms.
///
/// Below 1e11 it is seconds, below 1e14 ms, below 1e17 µs, else ns. A fraction of a millisecond is
/// cut. None for what is no time between [`EARLIEST_MS`] and a day after `now`.
pub fn producer_ms(text: &str, now: i64) -> Option<i64> {
    let decimal = Decimal::parse(text)?;
    let shift = match decimal.integer(0)? {
        0..100_000_000_000 => 3,
        100_000_000_000..100_000_000_000_000 => 0,
        100_000_000_000_000..100_000_000_000_000_000 => -3,
        _ => -6,
    };
    bounded(decimal.integer(shift)?, now)
}

/// Returns a time in ms when it lies between [`EARLIEST_MS`] and a day after `now`.
pub fn bounded(ms: i64, now: i64) -> Option<i64> {
    (EARLIEST_MS..=now.saturating_add(AHEAD_MS)).contains(&ms).then_some(ms)
}

/// Returns a whole number of milliseconds, cut, when the text says one that is above zero.
pub fn duration_ms(text: &str) -> Option<u64> {
    let ms = Decimal::parse(text)?.integer(0)?;
    u64::try_from(ms).ok().filter(|ms| *ms > 0)
}

/// Writes a time as `2026-11-20T10:30:51.123Z`; 1970 for what is no time before the year 9999.
pub fn iso(ms: i64) -> String {
    let ms = if (0..=LATEST_MS).contains(&ms) { ms } else { 0 };
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}

/// A number that is not negative, as its digits: `0.DIGITS × 10^POINT`.
struct Decimal {
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > DIGITS_MAX {
            return None;
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if whole.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
        Some(Self { digits, point })
    }

    /// The whole number of `self × 10^shift`, cut; none beyond what 64 bits hold.
    fn integer(&self, shift: i64) -> Option<i64> {
        let point = self.point + shift;
        let mut number = 0_i64;
        for (at, digit) in (0_i64..).zip(&self.digits) {
            if at >= point {
                return Some(number);
            }
            number = number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        }
        for _ in i64::try_from(self.digits.len()).ok()?..point {
            if number == 0 {
                break;
            }
            number = number.checked_mul(10)?;
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_784_289_609;

    #[test]
    fn seconds_ms_us_and_ns_are_told_by_their_size() {
        for (text, ms) in [
            ("1795784289", 1_795_784_289_000),
            ("1795784289.609", NOW),
            ("1795784289.6099", NOW),
            ("1795784289609", NOW),
            (" 1795784289609 ", NOW),
            ("1795784289609.9", NOW),
            ("1795784289609000", NOW),
            ("1795784289609999", NOW),
            ("1795784289609000000", NOW),
            ("1.795784289e9", 1_795_784_289_000),
            ("1.795784289609E18", NOW),
            ("946684800", EARLIEST_MS),
            ("1795870689609", NOW + AHEAD_MS),
            ("100000000000000000e-5", 1_000_000_000_000),
            ("99999999999.9e-1", 9_999_999_999_000),
        ] {
            let expected = (ms <= NOW + AHEAD_MS).then_some(ms);
            assert_eq!(producer_ms(text, NOW), expected, "{text}");
        }
    }

    #[test]
    fn the_borders_between_the_units_are_where_the_contract_says() {
        let far = i64::MAX / 2;
        assert_eq!(producer_ms("99999999999", far), Some(99_999_999_999_000));
        assert_eq!(producer_ms("100000000000", far), None, "ms before 2000");
        assert_eq!(producer_ms("99999999999999", far), Some(99_999_999_999_999));
        assert_eq!(producer_ms("100000000000000", far), None, "µs before 2000");
        assert_eq!(producer_ms("99999999999999999", far), Some(99_999_999_999_999));
        assert_eq!(producer_ms("100000000000000000", far), None, "ns before 2000");
        assert_eq!(producer_ms("946684800000000000", far), Some(EARLIEST_MS));
    }

    #[test]
    fn what_is_no_time_says_nothing() {
        let long = "1".repeat(65);
        for text in [
            "",
            "x",
            "-1",
            "NaN",
            "1e400",
            "1e99999",
            "0",
            "946684799",
            "1795870689610",
            ".5",
            "1.x",
            "1795784289609,5",
            "2026-11-27",
            "+1795784289",
            long.as_str(),
            "1e",
            "e9",
        ] {
            assert_eq!(producer_ms(text, NOW), None, "{text}");
        }
        assert_eq!(bounded(EARLIEST_MS - 1, NOW), None);
        assert_eq!(bounded(NOW, NOW), Some(NOW));
        assert_eq!(AHEAD_MS, 86_400_000);
    }

    #[test]
    fn a_lease_is_a_whole_number_above_zero() {
        assert_eq!(duration_ms("30000"), Some(30_000));
        assert_eq!(duration_ms("1.5e3"), Some(1500));
        assert_eq!(duration_ms("2.9"), Some(2));
        for text in ["0", "0.9", "-5", "x", "", "1e30"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
        assert_eq!(duration_ms("0e30000"), None);
    }

    #[test]
    fn a_time_is_written_with_milliseconds_and_nonsense_is_1970() {
        assert_eq!(iso(NOW), "2026-11-27T12:58:09.609Z");
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(LATEST_MS), "9998-12-31T23:59:59.999Z");
        for ms in [-1, LATEST_MS + 1, i64::MAX, i64::MIN] {
            assert_eq!(iso(ms), "1970-01-01T00:00:00.000Z");
        }
    }
}
