//! Looking for text in what events say.

use domain::publication::Publication;
use http::StatusCode;
use serde_json::Value;

use super::problem::Problem;

/// The longest text that is looked for, in bytes.
const TEXT_BYTES_MAX: usize = 200;

/// A text that is looked for without regard to case.
pub struct TextSearch {
    lower: String,
}

impl TextSearch {
    /// # Errors
    /// 400 when the text is too long.
    pub fn new(text: &str) -> Result<Self, Problem> {
        if text.len() > TEXT_BYTES_MAX {
            let problem = Problem::new(StatusCode::BAD_REQUEST, "q has at most 200 bytes");
            return Err(problem.with("parameter", "q".into()));
        }
        Ok(Self { lower: text.to_lowercase() })
    }

    /// Whether the `data` of a publication has the text: as it stands there, or as its strings read
    /// once their escapes are resolved.
    pub fn finds(&self, publication: &Publication) -> bool {
        let raw = publication.recorded.event.data.get();
        self.is_in(raw)
            || (raw.contains('\\')
                && serde_json::from_str(raw).is_ok_and(|data: Value| self.is_said(&data)))
    }

    /// Leaves the publications up to the last one that a page of `limit` can show: the next page
    /// begins behind it. `reverse`: from the newest downwards.
    pub fn cut(&self, publications: &mut Vec<Publication>, limit: usize, reverse: bool) {
        let finds = |(_, publication): &(usize, &Publication)| self.finds(publication);
        let numbered = publications.iter().enumerate();
        if reverse {
            let first = numbered.rev().filter(finds).nth(limit - 1).map(|(index, _)| index);
            publications.drain(..first.unwrap_or_default());
        } else if let Some((last, _)) = numbered.filter(finds).nth(limit - 1) {
            publications.truncate(last + 1);
        }
    }

    fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.lower)
    }

    fn is_said(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_in(text),
            Value::Array(values) => values.iter().any(|value| self.is_said(value)),
            Value::Object(members) => {
                members.iter().any(|(key, value)| self.is_in(key) || self.is_said(value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}
