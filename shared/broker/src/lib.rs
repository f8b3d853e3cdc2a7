//! The port to the broker: streams to append and read, fan-out with heads and history, pub/sub,
//! and the registry of who is where. In memory for one process, Redis for many.
//!
//! The only crate that imports `redis`, and only below its module `redis`. Never in it: SQL, a
//! client's protocol, or a decision about what is recorded. What it holds may be lost at any time;
//! the record is in `store`.

mod connect;
mod error;
mod lagging;
mod local_streams;
mod memory;
mod options;
mod port;
mod pubsub;
mod redis;
mod registry;
mod run;
mod tags;

pub use self::{
    connect::connect,
    error::{BrokerError, BrokerRefusal},
    lagging::Lagging,
    local_streams::{
        EntryIdRequest, EntryRange, Keep, LocalAppendError, LocalStreams, NewEntry, RangeTooLarge,
        Trimming,
    },
    options::BrokerOptions,
    port::{Broker, BrokerMemory, Head, PublishedUpTo, ServerIdentity, StreamInfo, StreamReader},
    pubsub::{Sink, Subscriber, Topic, TopicMessage},
    registry::{ExpiredNode, Member, Registration},
};
