//! A frame of the server: an object with a type.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Json;

/// A frame that has been read. What is no object is no frame, and no reason to end.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub body: Json,
}

impl Frame {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match domain::json::value(text.as_bytes()) {
            Ok(Value::Object(body)) => Some(Self { body }),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }

    /// The channel that the frame concerns.
    pub(crate) fn channel(&self) -> Option<&str> {
        if self.kind() == "presence" { Some("presence") } else { self.text("channel") }
    }

    /// Reads it; none where it lacks what every such frame has. Unknown members are ignored.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(Value::Object(self.body.clone())).ok()
    }
}
