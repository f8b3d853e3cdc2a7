//! The vocabulary between the core and the dialects: what a client asks for, what it is told, and the
//! traits that a wire protocol implements. Knows no state of the node.

pub mod agent_offer;
pub mod attendance;
pub mod channel_memo;
pub mod command;
pub mod dialect;
pub mod drain_notice;
pub mod encoder;
pub mod event_stream;
pub mod outgoing;
pub mod recipient;
pub mod request;
pub mod sender;
pub mod transport;

pub use self::{
    agent_offer::{AgentFrames, AgentOffer, Receipt, TaskHandover},
    attendance::{Attendance, Attendee},
    channel_memo::ChannelMemo,
    command::{Append, Command, Condition, ListRequest, Mode, Subscribe},
    dialect::{Dialect, OpenContext, Opening, Refusal, TurnedAway, View, WatchedTopic},
    drain_notice::{DrainNotice, Ending},
    encoder::{Cause, Encoder, Encoding, EncodingSet, ErrorReport, PresenceChange, Subscribed},
    outgoing::Outgoing,
    recipient::Recipient,
    request::Request,
    sender::Sender,
    transport::Transport,
};
