//! An event that was recorded, and its way to one channel.
//!
//! On the wire between worker and gateways (pub/sub message and history alike) a publication is
//! one line `EPOCH SOURCE OFFSET` and one line of JSON, the [`Recorded`] event. The JSON is made
//! once per event and shared by all its channels.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    channel::Channel,
    event::{Event, EventKind},
    position::Epoch,
    source::Source,
    time,
};

/// An event together with what the record added to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recorded {
    /// Its number within its source, dense from 1: the order in which it is published.
    pub seq: u64,
    /// The id of its stream entry, `MS-NUMBER`.
    pub entry: String,
    /// When it was recorded, ms since 1970; never decreasing within a source.
    pub recorded: i64,
    /// The event as it was accepted.
    pub event: Event,
}

/// One event on its way to one channel.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Where it goes.
    pub channel: Channel,
    /// The database that gave the offset.
    pub epoch: Epoch,
    /// The source that counts.
    pub source: Source,
    /// Its number among the publications of this source to this channel, from 1.
    pub offset: u64,
    /// The event with what the record added.
    pub recorded: Arc<Recorded>,
    /// The JSON of `recorded`, as it travels.
    pub payload: Bytes,
}

/// A publication that came over the broker could not be read.
#[derive(Debug, thiserror::Error)]
#[error("malformed publication on {channel}: {reason}")]
pub struct PublicationError {
    /// The channel it came by.
    pub channel: Channel,
    /// What is wrong with it.
    pub reason: String,
}

impl Recorded {
    /// The JSON that travels: one line, without a line break.
    ///
    /// # Panics
    /// Never: every part of an event is representable in JSON.
    #[expect(clippy::expect_used, reason = "strings, numbers and raw JSON always serialize")]
    pub fn to_payload(&self) -> Bytes {
        serde_json::to_vec(self).expect("an event is JSON").into()
    }

    /// Reads a payload of `source`; the stream decides what a type's name means, and a time of the
    /// producer that no client could show, as it was recorded once, is mended.
    ///
    /// # Errors
    /// When the bytes are not a payload of ours.
    pub fn from_payload(source: Source, payload: &[u8]) -> serde_json::Result<Self> {
        let mut recorded: Self = serde_json::from_slice(payload)?;
        let event = &mut recorded.event;
        if event.free {
            event.kind = EventKind::Free(event.kind.name().into());
        } else if event.kind.stream() != source.stream {
            event.kind = EventKind::recorded(source.stream, event.kind.name());
        }
        if !(0..=time::LATEST_MS).contains(&event.at) {
            let at = time::producer_ms(&event.at.to_string(), recorded.recorded);
            event.at = at.unwrap_or(recorded.recorded);
        }
        Ok(recorded)
    }
}

impl Publication {
    /// The bytes that travel: header line and payload, without a final line break.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} {}\n", self.epoch, self.source, self.offset).into_bytes();
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Reads all publications of one message: [`Publication::encode`] texts joined by line breaks.
    ///
    /// # Errors
    /// [`PublicationError`] when a line is none of ours.
    pub fn decode_all(channel: &Channel, message: &Bytes) -> Result<Vec<Self>, PublicationError> {
        let mut publications = Vec::with_capacity(1);
        let mut rest = message.clone();
        while !rest.is_empty() {
            let header = take_line(&mut rest);
            let payload = take_line(&mut rest);
            publications.push(Self::decode(channel, &header, payload)?);
        }
        Ok(publications)
    }

    fn decode(channel: &Channel, header: &Bytes, payload: Bytes) -> Result<Self, PublicationError> {
        let fail = |reason: String| PublicationError { channel: channel.clone(), reason };
        let text = std::str::from_utf8(header).map_err(|error| fail(error.to_string()))?;
        let mut parts = text.split(' ');
        let epoch = parts.next().and_then(Epoch::parse);
        let source = parts.next().and_then(|name| name.parse().ok());
        let offset = parts.next().and_then(|offset| offset.parse().ok());
        let (Some(epoch), Some(source), Some(offset)) = (epoch, source, offset) else {
            return Err(fail(format!("header {text:?}")));
        };
        let recorded = Recorded::from_payload(source, &payload).map_err(|e| fail(e.to_string()))?;
        let recorded = Arc::new(recorded);
        Ok(Self { channel: channel.clone(), epoch, source, offset, recorded, payload })
    }
}

/// Cuts the first line off, without its line break.
fn take_line(rest: &mut Bytes) -> Bytes {
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = rest.split_to(end);
            let _line_break = rest.split_to(1);
            line
        }
        None => std::mem::take(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Stream;

    #[test]
    fn several_publications_travel_in_one_message() {
        let channel = Channel::parse("deployment:d1").unwrap();
        let publication = |offset: u64| {
            let recorded = Recorded {
                event: Event::new(EventKind::DeploymentUpdate, Some("d1"), r#"{"a": 1}"#),
                seq: offset,
                entry: "5-0".into(),
                recorded: 9,
            };
            let payload = recorded.to_payload();
            Publication {
                channel: channel.clone(),
                epoch: Epoch(7),
                source: channel.home(),
                offset,
                recorded: Arc::new(recorded),
                payload,
            }
        };
        let (one, two) = (publication(1), publication(2));
        let message: Bytes = [one.encode(), two.encode()].join(&b'\n').into();
        let read = Publication::decode_all(&channel, &message).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].offset, 2);
        assert_eq!(read[0].payload, one.payload);
        assert_eq!(read[0].recorded.event.data.get(), r#"{"a": 1}"#);
        assert!(Publication::decode_all(&channel, &Bytes::from_static(b"x\ny")).is_err());
    }

    fn read(source: Source, event: &str) -> Event {
        let payload =
            format!(r#"{{"seq":1,"entry":"5-0","recorded":1795784289609,"event":{event}}}"#);
        Recorded::from_payload(source, payload.as_bytes()).unwrap().event
    }

    #[test]
    fn what_a_type_means_is_decided_by_its_stream_and_whether_it_is_free() {
        let kind = |stream, event: &str| read(Source::first(stream), event).kind;
        let update = r#"{"type":"task_update","id":"t","data":{}}"#;
        assert_eq!(kind(Stream::Tasks, update), EventKind::TaskUpdate);
        assert_eq!(kind(Stream::Messages, update), EventKind::Free("task_update".into()));
        assert_eq!(kind(Stream::Topics, update), EventKind::Topic("task_update".into()));
        let chat = r#"{"type":"chat_message","id":"u","free":true,"data":{}}"#;
        assert_eq!(kind(Stream::Messages, chat), EventKind::Free("chat_message".into()));
        let own = r#"{"type":"chat_message","id":"c","data":{}}"#;
        assert_eq!(kind(Stream::Messages, own), EventKind::ChatMessage);
    }

    #[test]
    fn a_time_that_no_client_can_show_is_mended_when_it_is_read() {
        for (at, mended) in [
            ("1795784289000", 1_795_784_289_000),
            ("1795784289000000000", 1_795_784_289_000),
            ("-5", 1_795_784_289_609),
            ("9223372036854775807", 1_795_784_289_609),
            ("0", 0),
        ] {
            let event = format!(r#"{{"type":"task_update","id":"t","at":{at},"data":{{}}}}"#);
            assert_eq!(read(Source::first(Stream::Tasks), &event).at, mended, "{at}");
        }
    }

    #[test]
    fn a_payload_keeps_what_it_forwards_byte_for_byte() {
        let data = r#"{"a\ud83d":1e400,"b":1.50, "c":"\u0041"}"#;
        let mut event = Event::new(EventKind::TaskUpdate, Some("t"), data);
        event.free = true;
        let recorded = Recorded { seq: 1, entry: "5-0".into(), recorded: 9, event };
        let payload = recorded.to_payload();
        let text = std::str::from_utf8(&payload).unwrap();
        assert!(text.contains(data) && text.contains(r#""free":true"#), "{text}");
        let again = Recorded::from_payload(Source::first(Stream::Messages), &payload).unwrap();
        assert_eq!((again.event.data.get(), again.event.free), (data, true));
        assert!(again.event.body().contains_key("a\u{fffd}"));
    }
}
