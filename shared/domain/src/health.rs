//! Samples of an agent's health, and when they begin or end an alert.

use serde_json::{Map, Number, Value};

use crate::event::{State, state};

/// The numbers that are shares, from 0 to 1.
const SHARES: [&str; 3] = ["cpu", "memory", "disk"];

/// The key of a sample's time.
const AT: &str = "at";

/// The longest name of a number, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The longest id of an alert, in bytes (contract §8).
const ALERT_BYTES_MAX: usize = 200;

/// How an agent was at a moment: `{"at":MS,"cpu":0.5,…}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSample(Map<String, Value>);

impl HealthSample {
    /// Takes the numbers out of what an agent says of its health, at most `values_max`; none when
    /// there is none. Shares outside 0 to 1 say nothing.
    pub fn of(said: &Map<String, Value>, at: i64, values_max: usize) -> Option<Self> {
        let mut sample = Map::from_iter([(AT.to_owned(), at.into())]);
        for (name, value) in said {
            let Value::Number(number) = value else { continue };
            let is_share = (0.0..=1.0).contains(&state::double(number));
            let counts = name != AT && name.len() <= NAME_BYTES_MAX;
            if counts && (is_share || !SHARES.contains(&name.as_str())) {
                sample.insert(name.clone(), value.clone());
            }
            if sample.len() > values_max {
                break;
            }
        }
        (sample.len() > 1).then_some(Self(sample))
    }

    /// Reads a sample as it is kept; none when it is damaged.
    pub fn parse(text: &str) -> Option<Self> {
        let sample: Map<String, Value> = serde_json::from_str(text).ok()?;
        sample.get(AT)?.as_i64()?;
        Some(Self(sample))
    }

    /// Returns when it was taken, ms since 1970.
    pub fn at(&self) -> i64 {
        self.0.get(AT).and_then(Value::as_i64).unwrap_or_default()
    }

    /// Returns one of its numbers.
    pub fn number(&self, name: &str) -> Option<&Number> {
        self.0.get(name)?.as_number()
    }

    /// Returns the sample as it is kept.
    pub fn to_text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// Returns the sample as it is shown.
    pub fn into_json(self) -> State {
        self.0
    }

    fn is_above(&self, name: &str, bound: f64) -> Option<bool> {
        self.number(name).map(|number| state::double(number) > bound)
    }
}

/// Whether an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The last two samples in a row were above the bound.
    Raised,
    /// The last two in a row were not.
    Ended,
}

/// What the newest sample changes about an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthTurn {
    /// How the alert stands from now on.
    pub now: Judgement,
    /// How it stood before; none when the samples do not reach back so far.
    pub before: Option<Judgement>,
    /// When the first of the two samples that decide was taken: a name for the turn.
    pub since: i64,
}

/// Judges one number of samples, oldest first: two in a row decide, one alone changes nothing. Samples
/// without the number are left out.
///
/// Returns none unless the newest sample is the second of a row that decides otherwise than what was
/// decided before.
pub fn turn(samples: &[HealthSample], name: &str, bound: f64) -> Option<HealthTurn> {
    samples.last()?.number(name)?;
    let judged = samples.iter().filter_map(|one| Some((one.at(), one.is_above(name, bound)?)));
    let judged: Vec<(i64, bool)> = judged.collect();
    let judgement = |pair: &[(i64, bool)]| match pair {
        [(_, true), (_, true)] => Some(Judgement::Raised),
        [(_, false), (_, false)] => Some(Judgement::Ended),
        _ => None,
    };
    let (earlier, last) = judged.split_at_checked(judged.len().checked_sub(2)?)?;
    let now = judgement(last)?;
    let until_first = &judged[..=earlier.len()];
    let before = until_first.windows(2).rev().find_map(judgement);
    (before != Some(now)).then_some(HealthTurn { now, before, since: last[0].0 })
}

/// Returns the id of the alert about a number of an agent.
pub fn alert_id(name: &str, agent: &str) -> String {
    let mut id = format!("health:{name}:{agent}");
    id.truncate(id.floor_char_boundary(ALERT_BYTES_MAX));
    id
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(at: i64, said: &Value) -> HealthSample {
        HealthSample::of(said.as_object().unwrap(), at, 32).unwrap()
    }

    /// The turns of a row of values, one sample each; none is a sample without the number.
    fn turns(values: &[Option<f64>]) -> Vec<(usize, Judgement)> {
        let said = |value: &Option<f64>| value.map_or(json!({"x": 1}), |cpu| json!({"cpu": cpu}));
        let samples: Vec<_> =
            values.iter().zip(1..).map(|(value, at)| sample(at, &said(value))).collect();
        let newest = |count: usize| Some((count, turn(&samples[..count], "cpu", 0.95)?.now));
        (1..=samples.len()).filter_map(newest).collect()
    }

    #[test]
    fn two_in_a_row_decide_and_one_alone_changes_nothing() {
        use Judgement::{Ended, Raised};
        let (high, low) = (Some(0.96), Some(0.5));
        assert_eq!(turns(&[high]), []);
        assert_eq!(turns(&[low, high, low, high]), []);
        assert_eq!(turns(&[high, high, high]), [(2, Raised)]);
        assert_eq!(turns(&[high, high, low, high, low, high, high]), [(2, Raised)]);
        assert_eq!(
            turns(&[low, low, high, high, low, high, low, low, low, high, high]),
            [(2, Ended), (4, Raised), (8, Ended), (11, Raised)]
        );
        assert_eq!(turns(&[high, None, high, None, low, None, low]), [(3, Raised), (7, Ended)]);
        assert_eq!(turns(&[Some(0.95), Some(0.95)]), [(2, Ended)], "the bound is not above itself");
    }

    #[test]
    fn a_turn_says_what_was_before_and_when_it_began() {
        let at = |at, cpu: f64| sample(at, &json!({ "cpu": cpu }));
        let first = [at(10, 1.0), at(20, 1.0)];
        let raised = Judgement::Raised;
        assert_eq!(
            turn(&first, "cpu", 0.9),
            Some(HealthTurn { now: raised, before: None, since: 10 })
        );
        let ended = [at(10, 1.0), at(20, 1.0), at(30, 0.0), at(40, 0.0)];
        let turned = HealthTurn { now: Judgement::Ended, before: Some(raised), since: 30 };
        assert_eq!(turn(&ended, "cpu", 0.9), Some(turned));
    }

    #[test]
    fn a_sample_holds_numbers_alone_and_not_too_many() {
        let said = json!({
            "at": 5, "cpu": 97, "memory": 0.5, "disk": -0.1, "note": "x", "load": 12.5, "on": true,
        });
        let text = sample(7, &said).to_text();
        assert_eq!(text, r#"{"at":7,"memory":0.5,"load":12.5}"#);
        assert_eq!(HealthSample::parse(&text).unwrap().at(), 7);
        let many: Map<String, Value> = (0..50).map(|n| (format!("n{n}"), n.into())).collect();
        assert_eq!(HealthSample::of(&many, 7, 32).unwrap().into_json().len(), 33);
        assert_eq!(HealthSample::of(json!({"cpu": "1"}).as_object().unwrap(), 7, 32), None);
        assert_eq!(HealthSample::parse("[]"), None);
    }

    #[test]
    fn the_id_of_an_alert_is_an_id_however_long_the_agents_is() {
        assert_eq!(alert_id("cpu", "gpu-1"), "health:cpu:gpu-1");
        let long = alert_id("cpu", &"é".repeat(100));
        assert_eq!((long.len(), crate::id::check(&long).is_ok()), (199, true));
    }
}
