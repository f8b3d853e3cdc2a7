//! What an answer to a webhook means: delivered, to be tried again, or not deliverable.

use std::time::Duration;

use jiff::Timestamp;
use store::DeadReason;

/// The longest pause between two tries, and the longest `Retry-After` that is heeded.
pub const PAUSE_MAX: Duration = Duration::from_hours(1);

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryOutcome {
    /// The other end has it.
    Delivered,
    /// It may succeed later.
    Again {
        /// What went wrong.
        why: String,
        /// The pause that the other end asks for.
        after: Option<Duration>,
    },
    /// Trying again does not help.
    Final(DeadReason),
}

/// Says what a status means. `retry_after` is the header of that name.
pub fn of_status(status: u16, retry_after: Option<&str>, now: Timestamp) -> TryOutcome {
    let why = format!("answered {status}");
    match status {
        200..=299 => TryOutcome::Delivered,
        429 | 503 => {
            TryOutcome::Again { why, after: retry_after.and_then(|text| pause(text, now)) }
        }
        408 | 500..=599 => TryOutcome::Again { why, after: None },
        _ => TryOutcome::Final(DeadReason { label: "answer", text: why }),
    }
}

/// The pause that a `Retry-After` asks for, at most an hour: seconds, with a fraction as Discord
/// writes them, or a date.
fn pause(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let asked = match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Duration::try_from_secs_f64(seconds).unwrap_or(PAUSE_MAX),
        Ok(_) => return None,
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(date.duration_since(now)).unwrap_or_default()
        }
    };
    Some(asked.min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(784_111_777, 0);

    fn after(status: u16, header: &str) -> Option<Duration> {
        match of_status(status, Some(header), NOW) {
            TryOutcome::Again { after, .. } => after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_status_is_delivered_final_or_worth_another_try() {
        for (statuses, wanted) in [
            (&[200, 201, 202, 204, 299][..], "delivered"),
            (&[408, 429, 500, 502, 503, 504, 599], "again"),
            (&[101, 301, 302, 304, 307, 308, 400, 401, 403, 404, 410, 413, 422, 451, 600], "final"),
        ] {
            for status in statuses {
                let found = match of_status(*status, None, NOW) {
                    TryOutcome::Delivered => "delivered",
                    TryOutcome::Again { after: None, .. } => "again",
                    TryOutcome::Again { .. } => "later",
                    TryOutcome::Final(reason) => {
                        assert_eq!(reason.text, format!("answered {status}"));
                        "final"
                    }
                };
                assert_eq!(found, wanted, "{status}");
            }
        }
    }

    #[test]
    fn retry_after_is_heeded_for_an_hour_at_most() {
        let seconds = |seconds: f64| Some(Duration::from_secs_f64(seconds));
        assert_eq!(after(429, "7"), seconds(7.0));
        assert_eq!(after(503, "0.25"), seconds(0.25));
        assert_eq!(after(429, "86400"), seconds(3600.0));
        assert_eq!(after(429, "1e300"), seconds(3600.0));
        assert_eq!(after(429, "Sun, 06 Nov 1994 08:50:37 GMT"), seconds(60.0));
        assert_eq!(after(429, "Sat, 06 Nov 1993 08:50:37 GMT"), seconds(0.0));
        assert_eq!(after(429, "-5"), None);
        assert_eq!(after(429, "soon"), None);
        assert_eq!(after(500, "7"), None, "no other answer has a say");
    }
}
