//! What processes say to each other over pub/sub, beside publications: answers and orders.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::position::Epoch;

/// A message to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case")]
pub enum Control {
    /// What became of an entry whose publisher waits: step 5 of an event's way is done.
    Outcome {
        /// The request, as in the entry's `reply` field.
        request: u64,
        /// What became of it.
        result: EntryResult,
    },
    /// Closes all connections of a user, on every node that hears it.
    Disconnect {
        /// The user whose connections end.
        user: String,
        /// Until when they are kept out, ms since 1970; none: they may come back at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<i64>,
        /// Where each node says how many it has closed; none: nobody waits for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<ReplyTo>,
    },
    /// How many connections a node has closed by order.
    Closed {
        /// The number of the order, as it was given.
        request: u64,
        /// So many.
        count: usize,
    },
    /// Asks every node how far it is on some channels.
    Enquire {
        /// The question's number at the node that asks.
        request: u64,
        /// The node that asks.
        node: String,
        /// The names of the channels.
        channels: Vec<String>,
    },
    /// How far a node is on those channels that it has.
    Standings {
        /// The number of the question, as it was asked.
        request: u64,
        /// One for each channel that the node has.
        standings: Vec<ChannelStatus>,
    },
    /// There are tasks to hand over to agents of the node that hears it.
    Work,
    /// Asks every node which of its connections listen to a channel, or how far these are behind.
    EnquireListeners {
        /// The question's number at the node that asks.
        request: u64,
        /// The node that asks.
        node: String,
        /// The channel whose listeners are meant; none: all channels of these connections.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
        /// The names of the connections that are meant; none: all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        connections: Vec<String>,
    },
    /// The connections of a node that were asked about.
    Listeners {
        /// The number of the question, as it was asked.
        request: u64,
        /// One for each connection that listens.
        listeners: Vec<ListenerStatus>,
    },
    /// Has every node read these channels again: what they said was erased.
    Forget {
        /// The names of the channels.
        channels: Vec<String>,
    },
    /// Lets a user in again who was kept out.
    Admit {
        /// The user who may come back.
        user: String,
    },
}

/// Where an answer goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The node that waits.
    pub node: String,
    /// The number of what it asked for, at that node.
    pub request: u64,
}

/// How far a node is on a channel, and who listens there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// The node that answers.
    pub node: String,
    /// The name of the channel.
    pub channel: String,
    /// The position of the node; none until it has read the channel.
    pub position: Option<String>,
    /// Listeners that are up to date.
    pub live: usize,
    /// Listeners that are catching up.
    pub behind: usize,
}

/// How far a connection is behind what it listens to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// The name of the connection.
    pub connection: String,
    /// How many events it still has to get.
    pub behind: u64,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryResult {
    /// Recorded and published: channels with positions there.
    Published(Vec<(String, String)>),
    /// Not accepted: where and why.
    Rejected(String),
    /// A step of a task that does not fit: nothing was recorded, not even as a dead letter.
    Refused {
        /// The field or key that is wrong.
        path: String,
        /// What is wrong with it.
        message: String,
        /// The word by which it is counted.
        word: Option<String>,
    },
}

/// A message as it travels: with the epoch of whoever sends it, by which an installation tells its
/// own messages. Pub/sub names are shared by all databases of a Redis.
#[derive(Serialize, Deserialize)]
struct ControlEnvelope<C> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u32>,
    #[serde(flatten)]
    control: C,
}

impl Control {
    /// The bytes that travel, from an installation of this epoch.
    ///
    /// # Panics
    /// Never: texts and numbers are representable in JSON.
    #[expect(clippy::expect_used, reason = "texts and numbers always serialize")]
    pub fn encode(&self, epoch: Epoch) -> Bytes {
        let envelope = ControlEnvelope { epoch: Some(epoch.0), control: self };
        serde_json::to_vec(&envelope).expect("control messages are JSON").into()
    }

    /// Reads a message, and the epoch of who sent it; earlier releases do not say it.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn decode(payload: &[u8]) -> serde_json::Result<(Option<Epoch>, Self)> {
        let ControlEnvelope { epoch, control } = serde_json::from_slice(payload)?;
        Ok((epoch.map(Epoch), control))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_whose_it_is_and_one_of_an_earlier_release_says_nothing() {
        let result = EntryResult::Published(vec![("tasks".into(), "1-2".into())]);
        let control = Control::Outcome { request: u64::MAX, result };
        let read = Control::decode(&control.encode(Epoch(7))).unwrap();
        assert_eq!(read, (Some(Epoch(7)), control));
        let admit = Control::Admit { user: "u".into() };
        let earlier = br#"{"control":"admit","user":"u"}"#;
        assert_eq!(Control::decode(earlier).unwrap(), (None, admit));
    }
}
