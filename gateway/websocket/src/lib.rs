#![doc = include_str!("../README.md")]

mod batch;
mod clock;
pub mod close;
mod connection;
mod connections;
mod decoder;
mod frame;
mod handler;
pub mod handshake;
mod heartbeat;
mod liveness;
mod lock;
mod opcode;
mod outbox;
mod rules;
mod runtime;
mod send_queue;
mod shards;
mod socket;
mod sweep;
mod task;
mod uploads;

pub use self::batch::WriteBatch;
pub use self::connection::Connection;
pub use self::connections::Connections;
pub use self::decoder::Decoder;
pub use self::frame::Frame;
pub use self::handler::{Handler, Message};
pub use self::handshake::{Handshake, HandshakeError};
pub use self::heartbeat::{AliveWhen, Heartbeat, OnTimeout, Ping, PingSchedule};
pub use self::outbox::SendOutcome;
pub use self::rules::{MessageLimits, Received, SenderTerms, Violation};
pub use self::runtime::ConnectionLimits;
pub use self::socket::UpgradedSocket;
pub use self::uploads::UploadLimits;
