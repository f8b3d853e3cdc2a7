//! The `id:` of an event stream: the positions of all its channels, so that one header resumes
//! them all on any node.
//!
//! `CHANNEL/POSITION;CHANNEL/POSITION`, pure ASCII: channels are percent-encoded. What a client
//! would remember of the frames is what is remembered here, so the frames themselves are read.

use std::fmt;

use domain::{channel::Channel, event::entity::Entity, id};
use serde::Deserialize;

/// The positions of a stream's channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastEventId(Vec<(Box<str>, Box<str>)>);

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
    #[serde(default)]
    tail: bool,
    /// When to come back.
    #[serde(default)]
    pub after_ms: Option<u64>,
}

impl LastEventId {
    /// Reads the text of a `Last-Event-ID`; a bare position is that of the only channel.
    pub fn parse(text: &str, channels: &[String]) -> Option<Self> {
        if let ([channel], false) = (channels, text.contains('/')) {
            return Some(Self(vec![(channel.as_str().into(), text.into())]));
        }
        let parts = text.split(';').map(|part| part.split_once('/'));
        let pair = |(channel, at): (&str, &str)| Some((id::decode(channel)?.into(), at.into()));
        let parts: Option<Vec<_>> = parts.map(|part| part.and_then(pair)).collect();
        parts.map(Self)
    }

    /// The position of a channel.
    pub fn get(&self, channel: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| &**known == channel).map(|(_, at)| &**at)
    }

    /// Leaves out what is no channel of the stream.
    pub fn retain(&mut self, channels: &[String]) {
        self.0.retain(|(channel, _)| channels.iter().any(|wanted| **wanted == **channel));
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
        match self.0.iter_mut().find(|(known, _)| &**known == channel) {
            Some((_, at)) => *at = position.into(),
            None => self.0.push((channel.into(), position.into())),
        }
        true
    }
}

fn has_state(channel: &str) -> bool {
    Channel::parse(channel).is_ok_and(|channel| Entity::of(&channel).is_some())
}

impl fmt::Display for LastEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (channel, position)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator}{}/{position}", id::encode(channel))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(id: &mut LastEventId, json: &str) -> bool {
        id.note(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn it_holds_the_positions_of_all_channels() {
        let mut id = LastEventId::default();
        assert!(note(&mut id, r#"{"type":"subscribed","channel":"tasks","position":"0a-1"}"#));
        assert!(note(&mut id, r#"{"type":"subscribed","channel":"task:t@1","position":"0a-0"}"#));
        assert!(note(&mut id, r#"{"type":"event","channel":"tasks","position":"0a-t.3,m1.5"}"#));
        assert!(!note(&mut id, r#"{"type":"status","degraded":true}"#));
        assert_eq!(id.to_string(), "tasks/0a-t.3,m1.5;task:t@1/0a-0");
        let channels = ["tasks".to_owned(), "task:t@1".to_owned()];
        assert_eq!(LastEventId::parse(&id.to_string(), &channels), Some(id));
    }

    #[test]
    fn what_was_not_told_yet_is_told_again_after_a_reconnect() {
        let mut id = LastEventId::parse("0a-5", &["task:t".to_owned()]).unwrap();
        note(&mut id, r#"{"type":"subscribed","channel":"task:t","position":"0a-9"}"#);
        note(&mut id, r#"{"type":"gap","channel":"task:t","from":"0a-6","to":"0a-9"}"#);
        note(&mut id, r#"{"type":"event","channel":"task:t","position":"0a-2","tail":true}"#);
        assert_eq!(id.get("task:t"), Some("0a-5"));
        note(&mut id, r#"{"type":"state","channel":"task:t","position":"0a-9","state":null}"#);
        assert_eq!(id.get("task:t"), Some("0a-9"));
    }

    #[test]
    fn a_bare_position_is_that_of_the_only_channel() {
        let two = ["tasks".to_owned(), "agents".to_owned()];
        assert_eq!(LastEventId::parse("0a-5", &two), None);
        let mut id = LastEventId::parse("tasks/0a-5;gone/0a-1", &two).unwrap();
        id.retain(&two);
        assert_eq!(id.to_string(), "tasks/0a-5");
    }
}
