//! What the dialects' pure tests have in common.

use std::{collections::HashMap, sync::Arc};

use auth::{Authenticator, Identity};
use domain::{
    channel::Channel,
    event::Event,
    position::Position,
    publication::{Publication, Recorded},
};
use runtime::config::{Config, Role};
use serde_json::Value;
use websocket::{Frame, Message};

use super::containers::{Containers, attendance::ContainerSessions};
use crate::protocol::{Command, Dialect, Encoding, View};

/// The settings of development.
pub(super) fn config() -> Config {
    Config::from_environment(Role::Whole, &HashMap::new()).unwrap().0
}

/// A client without a credential.
pub(super) fn nobody() -> Identity {
    Authenticator::new(&config().access).unwrap().anonymous()
}

/// The dialect of containers, whose sockets attend nothing yet.
pub(super) fn containers() -> Containers {
    Containers::new(Arc::new(ContainerSessions::new(&config())))
}

/// A position after the first publication of a channel.
pub(super) fn position(channel: &str) -> Position {
    Position::parse(&Channel::parse(channel).unwrap(), "00000007-1").unwrap()
}

/// What a message asks for.
pub(super) fn decode(
    dialect: &dyn Dialect,
    encoding: Encoding,
    memo: Option<&str>,
    message: Message<'_>,
) -> Vec<Command> {
    let view = View {
        connection: "n-1",
        identity: &nobody(),
        encoding,
        memo,
        production: false,
        now: 1_000,
        config: &config(),
    };
    dialect.decode(message, &view)
}

/// The JSON of a frame.
pub(super) fn json(frame: &Frame) -> Value {
    serde_json::from_slice(frame.payload()).unwrap()
}

/// The JSON of the one frame that is sent.
pub(super) fn only_frame(commands: &[Command]) -> Value {
    let frames: Vec<Value> = commands
        .iter()
        .filter_map(|command| match command {
            Command::Send(frame) => Some(json(frame)),
            _ => None,
        })
        .collect();
    assert_eq!(frames.len(), 1, "{commands:?}");
    frames.into_iter().next().unwrap()
}

/// An event on its way to a channel.
pub(super) fn publication(channel: &str, event: Event) -> Publication {
    let channel = Channel::parse(channel).unwrap();
    let recorded = Recorded { seq: 1, entry: String::from("5-0"), recorded: 9, event };
    let position = Position::parse(&channel, "00000007-1").unwrap();
    Publication {
        epoch: position.epoch,
        source: channel.home(),
        channel,
        offset: 1,
        payload: recorded.to_payload(),
        recorded: Arc::new(recorded),
    }
}
