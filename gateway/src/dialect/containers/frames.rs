//! The frames of seed 004, in the case of who reads them.

use domain::{event::Event, json::mend, time::iso};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use websocket::Frame;

use crate::protocol::Subscribed;

/// How a socket writes types: upper case, until it itself wrote one in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// As the programs do.
    Upper,
    /// As the document does.
    Lower,
}

impl Case {
    fn write(self, word: &str) -> String {
        match self {
            Self::Upper => word.to_ascii_uppercase(),
            Self::Lower => word.to_ascii_lowercase(),
        }
    }
}

fn frame(kind: &str, container: &str, at: i64, data: &serde_json::Value) -> Frame {
    let frame = json!({
        "type": kind,
        "containerID": container,
        "timestamp": iso(at),
        "data": data,
    });
    Frame::text(&frame.to_string())
}

/// The status that begins a subscription.
pub(super) fn greeting(subscribed: &Subscribed<'_>, case: Case) -> Option<Frame> {
    let container = subscribed.channel.id()?;
    let data = json!({ "status": "running", "message": "Connected to container log stream" });
    let now = jiff::Timestamp::now().as_millisecond();
    Some(frame(&case.write("status"), container, now, &data))
}

/// A sign of life: the answer to one, or the node's own.
pub(super) fn heartbeat(case: Case, container: &str, now: i64) -> Frame {
    frame(&case.write("heartbeat"), container, now, &json!({ "timestamp": iso(now) }))
}

/// The answer to the older protocol's ping.
pub(super) fn pong(container: &str, now: i64) -> Frame {
    frame("pong", container, now, &json!({ "timestamp": iso(now) }))
}

/// Something is wrong.
pub(super) fn error(case: Case, container: &str, error: &str, code: &str, now: i64) -> Frame {
    frame(&case.write("error"), container, now, &json!({ "error": error, "code": code }))
}

/// There is no room for another container; told after the upgrade, before the close.
pub(super) fn too_many(case: Case, container: &str) -> Frame {
    let now = jiff::Timestamp::now().as_millisecond();
    let message = "there are as many container sessions as MAX_SESSIONS allows";
    error(case, container, message, "MAX_SESSIONS", now)
}

/// An event: a container's own frame with nothing but the case of its type adapted, or one made of
/// what somebody published.
pub(super) fn event(event: &Event, case: Case) -> Frame {
    if let Some(own) = &event.frame {
        return Frame::text(&in_case(own.get(), case));
    }
    let kind = case.write(event.kind.name());
    let container = json!(event.id);
    let (at, data) = (iso(event.at), &event.data);
    Frame::text(&format!(
        r#"{{"type":"{kind}","containerID":{container},"timestamp":"{at}","data":{data}}}"#
    ))
}

/// The text with the value of its `type` in another case and every other byte as it was.
fn in_case(text: &str, case: Case) -> String {
    #[derive(Deserialize)]
    struct TypeHead<'a> {
        #[serde(borrow, rename = "type")]
        kind: &'a RawValue,
    }
    let mended = mend(text);
    let Ok(TypeHead { kind }) = serde_json::from_str::<TypeHead<'_>>(&mended) else {
        return text.to_owned();
    };
    // A raw value is a slice of the text that it was read from.
    let word = kind.get();
    if word.contains('\\') {
        // Escapes have a case of their own; nobody writes them in these words.
        return text.to_owned();
    }
    let at = word.as_ptr().addr() - mended.as_ptr().addr();
    let mut written = String::with_capacity(text.len());
    written.push_str(&text[..at]);
    written.push_str(&case.write(word));
    written.push_str(&text[at + word.len()..]);
    written
}
