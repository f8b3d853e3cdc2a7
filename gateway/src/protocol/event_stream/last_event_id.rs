//! The `id:` of an event stream: the positions of all its channels, so that one header resumes
//! them all on any node.
//!
//! `EPOCH-REST;REST;…` in the order of the address's channels: the position of the first, and what is
//! behind the epoch of the others, which share it; nothing for a channel without a position yet. So
//! the id of 128 channels fits through any proxy. What a client would remember of the frames is what
//! is remembered here, so the frames themselves are read.

use std::fmt;

use domain::{channel::Channel, event::entity::Entity};
use serde::Deserialize;

/// A position of no database: who comes with an id that is none of ours is told of a gap.
const FOREIGN: &str = "00000000-0";

/// The positions of a stream's channels, in the order of its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastEventId(Vec<(Box<str>, Option<Box<str>>)>);

/// What a frame says of positions.
#[derive(Debug, Deserialize)]
pub struct FrameHead {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    position: Option<String>,
    #[serde(default)]
    to: Option<String>,
    /// Whether the event is one of the tail. `subscribed` says the number of those that come.
    #[serde(default, deserialize_with = "is_true")]
    tail: bool,
    /// When to come back.
    #[serde(default)]
    pub after_ms: Option<u64>,
}

impl FrameHead {
    /// Reads the head of a frame. Of an event only what stands before its content is looked at, however
    /// large that is: a quotation mark inside a string is escaped, so `,"event":` is its key.
    pub fn read(frame: &[u8]) -> Option<Self> {
        const EVENT: &[u8] = br#"{"type":"event","#;
        const CONTENT: &[u8] = br#","event":"#;
        const TAIL: &[u8] = br#","tail":true}"#;
        if !frame.starts_with(EVENT) {
            return serde_json::from_slice(frame).ok();
        }
        let end = frame.windows(CONTENT.len()).position(|bytes| bytes == CONTENT)?;
        let mut head = frame[..end].to_vec();
        head.push(b'}');
        let head: Self = serde_json::from_slice(&head).ok()?;
        Some(Self { tail: frame.ends_with(TAIL), ..head })
    }
}

impl LastEventId {
    /// Begins a stream of these channels, each at a position or anew.
    pub fn new(channels: &[String], since: impl IntoIterator<Item = Option<String>>) -> Self {
        let since = since.into_iter().map(|at| at.map(Into::into)).chain(std::iter::repeat(None));
        Self(channels.iter().map(|channel| channel.as_str().into()).zip(since).collect())
    }

    /// Reads the text of a `Last-Event-ID`. One of another stream or server is as a position of
    /// another database: nothing is left out without a word.
    pub fn parse(text: &str, channels: &[String]) -> Self {
        let positions = Self::short(text, channels.len()).or_else(|| Self::named(text, channels));
        let foreign = || channels.iter().map(|_| Some(FOREIGN.to_owned())).collect();
        Self::new(channels, positions.unwrap_or_else(foreign))
    }

    fn short(text: &str, count: usize) -> Option<Vec<Option<String>>> {
        let parts: Vec<&str> = text.split(';').collect();
        if parts.len() != count || text.contains('/') {
            return None;
        }
        let (epoch, _) = parts.iter().find(|part| !part.is_empty())?.split_once('-')?;
        let whole = |part: &&str| match (part.is_empty(), part.contains('-')) {
            (true, _) => None,
            (false, true) => Some((*part).to_owned()),
            (false, false) => Some(format!("{epoch}-{part}")),
        };
        Some(parts.iter().map(whole).collect())
    }

    /// `CHANNEL/POSITION;CHANNEL/POSITION`, as earlier versions wrote it.
    fn named(text: &str, channels: &[String]) -> Option<Vec<Option<String>>> {
        let parts: Option<Vec<(&str, &str)>> =
            text.split(';').map(|part| part.split_once('/')).collect();
        let parts = parts?;
        let of = |channel: &String| {
            let found = parts.iter().find(|(named, _)| *named == channel.as_str());
            found.map(|(_, at)| (*at).to_owned())
        };
        Some(channels.iter().map(of).collect())
    }

    /// Returns the position of a channel.
    pub fn get(&self, channel: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| &**known == channel).and_then(|(_, at)| at.as_deref())
    }

    /// Takes a frame in that is about to be written; whether a position has changed.
    ///
    /// `subscribed` does not move a channel that resumes: if positions behind it are lost, the
    /// `gap` that says so must come again after a reconnect in between. And a `gap` does not move
    /// a channel of an entity, whose state follows it.
    pub fn note(&mut self, head: &FrameHead) -> bool {
        let Some(channel) = head.channel.as_deref() else { return false };
        let position = match head.kind.as_str() {
            "event" if !head.tail => &head.position,
            "state" => &head.position,
            "subscribed" if self.get(channel).is_none() => &head.position,
            "gap" if !has_state(channel) => &head.to,
            _ => &None,
        };
        let Some(position) = position.as_deref() else { return false };
        let known = self.0.iter_mut().find(|(known, _)| &**known == channel);
        known.map(|(_, at)| *at = Some(position.into())).is_some()
    }
}

/// Whether a value is `true`; anything else is not.
fn is_true<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(matches!(serde_json::Value::deserialize(deserializer)?, serde_json::Value::Bool(true)))
}

fn has_state(channel: &str) -> bool {
    Channel::parse(channel).is_ok_and(|channel| Entity::of(&channel).is_some())
}

impl fmt::Display for LastEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut positions = self.0.iter().filter_map(|(_, at)| at.as_deref()?.split_once('-'));
        let shared = positions.next().map(|(epoch, _)| epoch);
        let mut is_named = false;
        for (index, (_, position)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(";")?;
            }
            let split = position.as_deref().and_then(|at| at.split_once('-'));
            let Some((epoch, rest)) = split else { continue };
            // The first one names the epoch for all that share it.
            if !std::mem::replace(&mut is_named, true) || Some(epoch) != shared {
                write!(f, "{epoch}-")?;
            }
            f.write_str(rest)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(id: &mut LastEventId, json: &str) -> bool {
        id.note(&FrameHead::read(json.as_bytes()).unwrap())
    }

    fn channels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn it_holds_the_positions_of_all_channels_in_their_order() {
        let wanted = channels(&["tasks", "agents", "task:t@1"]);
        let mut id = LastEventId::new(&wanted, []);
        let subscribed = r#"{"type":"subscribed","channel":"task:t@1","position":"0a-0","tail":4}"#;
        assert!(note(&mut id, subscribed), "the number of the tail's events is no event of it");
        assert_eq!(id.to_string(), ";;0a-0");
        assert!(note(
            &mut id,
            r#"{"type":"event","channel":"tasks","position":"0a-t.3,m1.5","event":"x"}"#
        ));
        assert!(!note(&mut id, r#"{"type":"status","degraded":true}"#));
        assert_eq!(id.to_string(), "0a-t.3,m1.5;;0");
        assert_eq!(LastEventId::parse(&id.to_string(), &wanted), id);
        assert!(note(
            &mut id,
            r#"{"type":"event","channel":"agents","position":"0b-7","event":"x"}"#
        ));
        assert_eq!(id.to_string(), "0a-t.3,m1.5;0b-7;0");
        assert_eq!(LastEventId::parse(&id.to_string(), &wanted), id);
    }

    #[test]
    fn the_id_of_128_channels_fits_through_our_own_door() {
        let name = |n: u32| format!("deployment:0f8fad5b-d9cb-469f-a165-{n:012}");
        let wanted: Vec<String> = (0..128).map(name).collect();
        let since = wanted.iter().map(|_| Some(String::from("1a2b3c4d-1234567")));
        let id = LastEventId::new(&wanted, since).to_string();
        assert!(id.len() < 1100, "{} bytes", id.len());
    }

    #[test]
    fn what_was_not_told_yet_is_told_again_after_a_reconnect() {
        let mut id = LastEventId::parse("0a-5", &channels(&["task:t"]));
        note(&mut id, r#"{"type":"subscribed","channel":"task:t","position":"0a-9"}"#);
        note(&mut id, r#"{"type":"gap","channel":"task:t","from":"0a-6","to":"0a-9"}"#);
        note(
            &mut id,
            r#"{"type":"event","channel":"task:t","position":"0a-2","event":"x","tail":true}"#,
        );
        assert_eq!(id.get("task:t"), Some("0a-5"));
        note(&mut id, r#"{"type":"state","channel":"task:t","position":"0a-9","state":null}"#);
        assert_eq!(id.get("task:t"), Some("0a-9"));
    }

    #[test]
    fn an_id_of_an_earlier_version_is_read_and_a_foreign_one_is_another_epoch() {
        let two = channels(&["tasks", "agents"]);
        let earlier = LastEventId::parse("tasks/0a-5;gone/0a-1", &two);
        assert_eq!((earlier.get("tasks"), earlier.get("agents")), (Some("0a-5"), None));
        for foreign in ["0a-5", "17", "[1,2]", "a;b;c"] {
            let id = LastEventId::parse(foreign, &two);
            assert_eq!((id.get("tasks"), id.get("agents")), (Some(FOREIGN), Some(FOREIGN)));
        }
    }
}
