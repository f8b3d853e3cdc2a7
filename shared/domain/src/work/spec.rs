//! What a task for one asks for: the keys of its `data`, each with what it may be.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    event::{Rejection, State},
    id,
    time::LATEST_MS,
};

/// The most capabilities that a task may require.
pub const REQUIRES_MAX: usize = 32;
/// The most tasks that a task may depend on.
pub const DEPENDS_ON_MAX: usize = 100;
/// The longest span of time that a task may name, ms: 30 days.
pub const SPAN_MS_MAX: i64 = 30 * 24 * 60 * 60 * 1000;
/// The priority of a task that names none.
pub const PRIORITY_DEFAULT: u8 = 5;
/// The highest priority.
pub const PRIORITY_MAX: u8 = 9;
/// The longest pause before another attempt, ms.
pub const PAUSE_MS_MAX: i64 = 60 * 60 * 1000;

/// The keys that a task for one is described by: no later event of the task changes them.
pub const KEYS: [&str; 11] = [
    "assign",
    "requires",
    "agent",
    "priority",
    "retry",
    "timeout_ms",
    "expires_ms",
    "not_before",
    "depends_on",
    "group",
    "lease_ms",
];

/// The keys of [`RetryPolicy`].
pub const RETRY_KEYS: [&str; 3] = ["attempts", "backoff_ms", "on"];

/// What ended an attempt that may be followed by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// The agent was gone for longer than its grace.
    Lost,
    /// The attempt took too long, or was not accepted in time.
    Timeout,
    /// The agent said that it failed.
    Failed,
}

impl RetryOn {
    /// Returns the word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
        }
    }
}

/// How often a task is tried, and after which ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// The most attempts, from 1.
    pub attempts: u32,
    /// The pause before the second attempt, ms; it doubles each time.
    pub backoff_ms: i64,
    /// The ends after which there is another attempt.
    pub on: Vec<RetryOn>,
}

impl RetryPolicy {
    /// Returns the pause after so many attempts that were used up, ms.
    pub fn pause_ms(&self, spent: u32) -> i64 {
        let doublings = spent.saturating_sub(1).min(32);
        self.backoff_ms.saturating_mul(1 << doublings).min(PAUSE_MS_MAX)
    }
}

/// What a task for one asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Capabilities that its agent must have, sorted, each once.
    pub requires: Vec<Box<str>>,
    /// The only agent that may have it.
    pub agent: Option<Box<str>>,
    /// From 0 to [`PRIORITY_MAX`]; higher goes first.
    pub priority: u8,
    /// Whether it is tried again; without, at most once.
    pub retry: Option<RetryPolicy>,
    /// The longest run of an attempt, ms; none: the setting.
    pub timeout_ms: Option<i64>,
    /// The longest wait for the first assignment, ms.
    pub expires_ms: Option<i64>,
    /// Not assigned before, ms since 1970.
    pub not_before: Option<i64>,
    /// Tasks that must complete first, in the order given, each once.
    pub depends_on: Vec<Box<str>>,
    /// The group that it is counted and cancelled with.
    pub group: Option<Box<str>>,
}

impl TaskSpec {
    /// Reads the `data` of a `task_created`; none for a task for all, whose keys are not looked at.
    ///
    /// # Errors
    /// [`Rejection`] that names the first key that is wrong.
    pub fn read(body: &State) -> Result<Option<Self>, Rejection> {
        let keys = SpecKeys(body);
        match keys.get("assign") {
            None => return Ok(None),
            Some(Value::String(word)) if word == "all" => return Ok(None),
            Some(Value::String(word)) if word == "one" => {}
            Some(_) => return Err(wrong("assign", "must be one or all")),
        }
        let mut requires =
            keys.texts("requires", REQUIRES_MAX, |capability| match capability.len() {
                1..=id::ID_BYTES_MAX => Ok(()),
                _ => Err(String::from("must be 1 to 200 bytes long")),
            })?;
        requires.sort_unstable();
        Ok(Some(Self {
            requires,
            agent: keys.id("agent")?,
            priority: keys.priority()?,
            retry: keys.retry()?,
            timeout_ms: keys.span("timeout_ms", 1)?,
            expires_ms: keys.span("expires_ms", 1)?,
            not_before: keys.time("not_before")?,
            depends_on: keys.texts("depends_on", DEPENDS_ON_MAX, |task| {
                id::check(task).map_err(|error| error.to_string())
            })?,
            group: keys.id("group")?,
        }))
    }

    /// Returns the lane in which it waits: the same for all tasks that the same agents can do.
    pub fn lane(&self) -> String {
        serde_json::json!([self.agent, self.requires]).to_string()
    }

    /// Returns what a lane asks for: the only agent, and capabilities.
    pub fn of_lane(lane: &str) -> (Option<Box<str>>, Vec<Box<str>>) {
        serde_json::from_str(lane).unwrap_or_default()
    }
}

fn wrong(key: &str, message: impl Into<String>) -> Rejection {
    Rejection::new(format!("data.{key}"), message)
}

/// The keys of a body; null is absent.
struct SpecKeys<'a>(&'a State);

impl SpecKeys<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn whole(&self, key: &str, from: i64, to: i64, unit: &str) -> Result<Option<i64>, Rejection> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match whole(value) {
            Some(number) if (from..=to).contains(&number) => Ok(Some(number)),
            _ => Err(wrong(key, format!("must be a whole number{unit} from {from} to {to}"))),
        }
    }

    fn span(&self, key: &str, from: i64) -> Result<Option<i64>, Rejection> {
        self.whole(key, from, SPAN_MS_MAX, " of milliseconds")
    }

    fn time(&self, key: &str) -> Result<Option<i64>, Rejection> {
        self.whole(key, 0, LATEST_MS, " of milliseconds since 1970")
    }

    fn priority(&self) -> Result<u8, Rejection> {
        let given = self.whole("priority", 0, PRIORITY_MAX.into(), "")?;
        Ok(given.and_then(|given| u8::try_from(given).ok()).unwrap_or(PRIORITY_DEFAULT))
    }

    fn id(&self, key: &str) -> Result<Option<Box<str>>, Rejection> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let Some(text) = value.as_str() else { return Err(wrong(key, "must be a text")) };
        id::check(text).map_err(|error| wrong(key, error.to_string()))?;
        Ok(Some(text.into()))
    }

    /// A list of texts in their order, each once.
    fn texts(
        &self,
        key: &str,
        count_max: usize,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Vec<Box<str>>, Rejection> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let Value::Array(items) = value else {
            return Err(wrong(key, "must be an array of texts"));
        };
        if items.len() > count_max {
            return Err(wrong(key, format!("must hold at most {count_max}, not {}", items.len())));
        }
        let mut texts: Vec<Box<str>> = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let path = format!("{key}.{at}");
            let Some(text) = item.as_str() else { return Err(wrong(&path, "must be a text")) };
            check(text).map_err(|message| wrong(&path, message))?;
            if !texts.iter().any(|known| **known == *text) {
                texts.push(text.into());
            }
        }
        Ok(texts)
    }

    fn retry(&self) -> Result<Option<RetryPolicy>, Rejection> {
        let default = RetryPolicy {
            attempts: 3,
            backoff_ms: 1000,
            on: vec![RetryOn::Lost, RetryOn::Timeout],
        };
        match self.get("retry") {
            None | Some(Value::Bool(false)) => Ok(None),
            Some(Value::Bool(true)) => Ok(Some(default)),
            Some(Value::Object(given)) => {
                let renamed = |rejection: Rejection| {
                    let key = rejection.path.strip_prefix("data.").unwrap_or_default();
                    wrong(&format!("retry.{key}"), rejection.message)
                };
                let keys = SpecKeys(given);
                let attempts = keys.whole("attempts", 1, 100, "").map_err(renamed)?;
                Ok(Some(RetryPolicy {
                    attempts: attempts
                        .and_then(|attempts| u32::try_from(attempts).ok())
                        .unwrap_or(default.attempts),
                    backoff_ms: keys
                        .span("backoff_ms", 0)
                        .map_err(renamed)?
                        .unwrap_or(default.backoff_ms),
                    on: keys.on().map_err(renamed)?.unwrap_or(default.on),
                }))
            }
            Some(_) => Err(wrong("retry", "must be true, false or an object")),
        }
    }

    fn on(&self) -> Result<Option<Vec<RetryOn>>, Rejection> {
        let Some(value) = self.get("on") else { return Ok(None) };
        let message = "must be an array of lost, timeout, failed";
        let Value::Array(words) = value else { return Err(wrong("on", message)) };
        let all = [RetryOn::Lost, RetryOn::Timeout, RetryOn::Failed];
        if let Some(at) =
            words.iter().position(|word| all.iter().all(|on| word.as_str() != Some(on.name())))
        {
            return Err(wrong(&format!("on.{at}"), "must be one of lost, timeout, failed"));
        }
        let is_named = |on: &RetryOn| words.iter().any(|word| word.as_str() == Some(on.name()));
        Ok(Some(all.into_iter().filter(is_named).collect()))
    }
}

/// A whole number, however it is written: `5`, `5.0`, `5e0`.
fn whole(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else { return None };
    if let Some(whole) = number.as_i64() {
        return Some(whole);
    }
    let float: f64 = number.to_string().parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within bounds")]
    let whole = float as i64;
    #[expect(clippy::cast_precision_loss, reason = "compared with what it came from")]
    let is_same = float.abs() < 9e15 && whole as f64 == float;
    is_same.then_some(whole)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(mut data: Value) -> Result<Option<TaskSpec>, Rejection> {
        data["title"] = "t".into();
        TaskSpec::read(data.as_object().unwrap())
    }

    #[test]
    fn a_task_is_for_all_unless_it_says_one_and_its_other_keys_are_not_read_then() {
        for data in
            [json!({}), json!({ "assign": "all", "priority": "x" }), json!({ "assign": null })]
        {
            assert_eq!(read(data), Ok(None));
        }
        let spec = read(json!({ "assign": "one" })).unwrap().unwrap();
        assert_eq!((spec.priority, spec.retry, spec.requires.len()), (5, None, 0));
    }

    #[test]
    fn each_wrong_key_is_named() {
        for (key, value, path) in [
            ("assign", json!("some"), "data.assign"),
            ("assign", json!(1), "data.assign"),
            ("requires", json!("gpu"), "data.requires"),
            ("requires", json!(["gpu", 5]), "data.requires.1"),
            ("requires", json!([""]), "data.requires.0"),
            ("requires", json!(vec!["c"; 33]), "data.requires"),
            ("agent", json!("a*"), "data.agent"),
            ("agent", json!(7), "data.agent"),
            ("priority", json!(10), "data.priority"),
            ("priority", json!(-1), "data.priority"),
            ("priority", json!(1.5), "data.priority"),
            ("priority", json!("5"), "data.priority"),
            ("retry", json!("yes"), "data.retry"),
            ("retry", json!({ "attempts": 0 }), "data.retry.attempts"),
            ("retry", json!({ "attempts": 101 }), "data.retry.attempts"),
            ("retry", json!({ "backoff_ms": -1 }), "data.retry.backoff_ms"),
            ("retry", json!({ "on": "lost" }), "data.retry.on"),
            ("retry", json!({ "on": ["lost", "bored"] }), "data.retry.on.1"),
            ("timeout_ms", json!(0), "data.timeout_ms"),
            ("timeout_ms", json!(SPAN_MS_MAX + 1), "data.timeout_ms"),
            ("expires_ms", json!("1h"), "data.expires_ms"),
            ("not_before", json!(-5), "data.not_before"),
            ("depends_on", json!("t1"), "data.depends_on"),
            ("depends_on", json!(["t1", "."]), "data.depends_on.1"),
            ("depends_on", json!(vec!["t"; 101]), "data.depends_on"),
            ("group", json!(""), "data.group"),
            ("group", json!({}), "data.group"),
        ] {
            let mut data = json!({ "assign": "one" });
            data[key] = value.clone();
            assert_eq!(read(data).unwrap_err().path, path, "{key}: {value}");
        }
    }

    #[test]
    fn what_is_named_counts_and_null_is_absent() {
        let spec = read(json!({
            "assign": "one", "requires": ["z", "gpu", "z"], "agent": "a1", "priority": 9.0,
            "retry": { "attempts": 5, "backoff_ms": 0, "on": ["failed", "lost"] },
            "timeout_ms": 1, "expires_ms": SPAN_MS_MAX, "not_before": 5, "depends_on": ["b", "a", "b"],
            "group": "g",
        }));
        let spec = spec.unwrap().unwrap();
        assert_eq!(spec.requires, ["gpu".into(), Box::from("z")]);
        assert_eq!(spec.depends_on, ["b".into(), Box::from("a")]);
        assert_eq!(spec.retry.as_ref().unwrap().on, [RetryOn::Lost, RetryOn::Failed]);
        assert_eq!((spec.priority, spec.timeout_ms, spec.not_before), (9, Some(1), Some(5)));
        let (agent, requires) = TaskSpec::of_lane(&spec.lane());
        assert_eq!((agent, requires), (spec.agent, spec.requires));
        let nulls = json!({ "assign": "one", "priority": null, "retry": null, "group": null });
        assert_eq!(read(nulls).unwrap().unwrap().priority, 5);
        let off = read(json!({ "assign": "one", "retry": false })).unwrap().unwrap();
        assert_eq!(off.retry, None);
    }

    #[test]
    fn the_pause_doubles_up_to_an_hour() {
        let retry =
            read(json!({ "assign": "one", "retry": true })).unwrap().unwrap().retry.unwrap();
        assert_eq!(
            [1, 2, 3, 12, 13, 99].map(|spent| retry.pause_ms(spent)),
            [1000, 2000, 4000, 2_048_000, PAUSE_MS_MAX, PAUSE_MS_MAX]
        );
    }
}
