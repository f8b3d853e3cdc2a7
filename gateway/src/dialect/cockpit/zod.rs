//! What is wrong, in the words of Zod 3, which the original validated with: clients may show them.

use domain::{excerpt::excerpt, id};
use serde_json::{Map, Value, json};
use websocket::Frame;

/// Where and what: an issue of Zod.
pub(super) type Issue = Value;

/// The most issues that are listed.
const ISSUES_MAX: usize = 20;

/// What is wrong with a frame: at most [`ISSUES_MAX`], the last of which says how many more there are.
#[derive(Debug, Default)]
pub(super) struct Issues {
    listed: Vec<Issue>,
    more: usize,
}

impl Issues {
    /// Adds one, as long as there is room; else it is counted.
    pub(super) fn push(&mut self, issue: Issue) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.listed.push(issue);
        }
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Whether further ones would only be counted.
    pub(super) fn is_full(&self) -> bool {
        self.listed.len() == ISSUES_MAX
    }

    /// Counts what was not looked at, each of which is wrong or may be.
    pub(super) fn skip(&mut self, count: usize) {
        self.more += count;
    }

    /// Returns what is listed.
    pub(super) fn listed(mut self) -> Vec<Issue> {
        if self.more > 0 {
            let more = self.more + 1;
            self.listed.truncate(ISSUES_MAX - 1);
            self.listed.push(json!({
                "code": "custom", "message": format!("and {more} more"), "path": [],
            }));
        }
        self.listed
    }
}

impl From<Issue> for Issues {
    fn from(issue: Issue) -> Self {
        Self { listed: vec![issue], more: 0 }
    }
}

/// Reads the fields of an object and collects what is wrong with them.
pub(super) struct FieldChecks<'a> {
    object: &'a Map<String, Value>,
    path: Vec<Value>,
    issues: &'a mut Issues,
}

impl<'a> FieldChecks<'a> {
    /// The fields of `object`, which stands at `path`.
    pub(super) fn new(
        object: &'a Map<String, Value>,
        path: Vec<Value>,
        issues: &'a mut Issues,
    ) -> Self {
        Self { object, path, issues }
    }

    fn at(&self, key: &str) -> Value {
        let mut path = self.path.clone();
        path.push(key.into());
        Value::Array(path)
    }

    fn wrong_type(&mut self, key: &str, expected: &str) {
        let issue = invalid_type(expected, self.object.get(key), &self.at(key));
        self.issues.push(issue);
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, key: &str) {
        if !self.object.get(key).is_some_and(Value::is_string) {
            self.wrong_type(key, "string");
        }
    }

    /// A text that must be there and not be empty.
    pub(super) fn filled(&mut self, key: &str) {
        self.text(key);
        if self.object.get(key).is_some_and(|value| value == "") {
            self.issues.push(json!({
                "code": "too_small", "minimum": 1, "type": "string", "inclusive": true,
                "exact": false, "message": "String must contain at least 1 character(s)",
                "path": self.at(key),
            }));
        }
    }

    /// A text that must be there and be an id of ours.
    pub(super) fn id(&mut self, key: &str) {
        self.filled(key);
        let text = self.object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(Err(error)) = text.map(id::check) {
            self.issues.push(json!({
                "code": "custom", "message": error.to_string(), "path": self.at(key),
            }));
        }
    }

    /// One of a few words; `required` or else maybe absent.
    pub(super) fn word(&mut self, key: &str, words: &[&str], required: bool) {
        let expected = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" | ");
        match self.object.get(key) {
            None if !required => {}
            Some(Value::String(given)) if words.contains(&given.as_str()) => {}
            Some(Value::String(given)) => self.issues.push(json!({
                "received": excerpt(given), "code": "invalid_enum_value", "options": words,
                "path": self.at(key),
                "message": format!("Invalid enum value. Expected {expected}, received '{}'", excerpt(given)),
            })),
            _ => self.wrong_type(key, &expected),
        }
    }

    /// Whether a field is there; null is as good as nothing.
    pub(super) fn has(&self, key: &str) -> bool {
        self.object.get(key).is_some_and(|value| !value.is_null())
    }

    /// One of a few words, or nothing, or null.
    pub(super) fn maybe_word(&mut self, key: &str, words: &[&str]) {
        if self.has(key) {
            self.word(key, words, true);
        }
    }

    /// A text that may be absent.
    pub(super) fn maybe_text(&mut self, key: &str) {
        if self.object.get(key).is_some_and(|value| !value.is_string()) {
            self.wrong_type(key, "string");
        }
    }

    /// An object that may be absent.
    pub(super) fn maybe_object(&mut self, key: &str) {
        if self.object.get(key).is_some_and(|value| !value.is_object()) {
            self.wrong_type(key, "object");
        }
    }

    /// A number of things, 0 or more, that may be absent.
    pub(super) fn maybe_count(&mut self, key: &str) {
        match self.object.get(key) {
            None => {}
            Some(Value::Number(number)) if number.is_u64() => {}
            Some(Value::Number(number)) if number.is_i64() => self.issues.push(json!({
                "code": "too_small", "minimum": 0, "type": "number", "inclusive": true,
                "exact": false, "message": "Number must be greater than or equal to 0",
                "path": self.at(key),
            })),
            Some(Value::Number(_)) => self.issues.push(json!({
                "code": "invalid_type", "expected": "integer", "received": "float",
                "message": "Expected integer, received float", "path": self.at(key),
            })),
            Some(_) => self.wrong_type(key, "number"),
        }
    }

    /// A number that may be absent.
    pub(super) fn maybe_number(&mut self, key: &str) {
        if self.has(key) && !self.object.get(key).is_some_and(Value::is_number) {
            self.wrong_type(key, "number");
        }
    }

    /// A list of texts that must be there.
    pub(super) fn texts(&mut self, key: &str) {
        if self.object.contains_key(key) {
            self.maybe_texts(key);
        } else {
            self.wrong_type(key, "array");
        }
    }

    /// A list of texts that may be absent.
    pub(super) fn maybe_texts(&mut self, key: &str) {
        let Some(value) = self.object.get(key) else { return };
        let Value::Array(items) = value else { return self.wrong_type(key, "array") };
        for (index, item) in items.iter().enumerate() {
            if !item.is_string() {
                let mut path = self.path.clone();
                path.extend([key.into(), index.into()]);
                self.issues.push(invalid_type("string", Some(item), &Value::Array(path)));
                if self.issues.is_full() {
                    return self.issues.skip(items.len() - index - 1);
                }
            }
        }
    }
}

/// Something of another type than expected; what is missing is `undefined`.
pub(super) fn invalid_type(expected: &str, received: Option<&Value>, path: &Value) -> Issue {
    let received = match received {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    };
    let message = match received {
        "undefined" => String::from("Required"),
        _ => format!("Expected {expected}, received {received}"),
    };
    json!({
        "code": "invalid_type", "expected": expected, "received": received, "path": path,
        "message": message,
    })
}

/// A type that is none of `options`.
pub(super) fn invalid_discriminator(options: &[&str]) -> Issue {
    let expected = options.iter().map(|option| format!("'{option}'")).collect::<Vec<_>>();
    json!({
        "code": "invalid_union_discriminator", "options": options, "path": ["type"],
        "message": format!("Invalid discriminator value. Expected {}", expected.join(" | ")),
    })
}

/// A text that is no JSON.
pub(super) fn no_json() -> Issue {
    json!({ "code": "custom", "message": "Invalid JSON", "path": [] })
}

/// The frame that tells an agent.
pub(super) fn error_frame(issues: Issues) -> Frame {
    let issues = issues.listed();
    let error = json!({ "type": "error", "message": "Invalid message format", "details": issues });
    Frame::text(&error.to_string())
}
