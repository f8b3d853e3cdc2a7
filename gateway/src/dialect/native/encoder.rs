//! How our own protocol is written: it has a word for everything.

use domain::{channel::Channel, event::State, position::Position, publication::Publication};
use websocket::Frame;

use super::frames;
use crate::protocol::{Cause, Encoder, Encoding, ErrorReport, PresenceChange, Subscribed};

/// The encoding of our own protocol.
pub const ENCODING: Encoding = Encoding::new(7, &NativeEncoder);

struct NativeEncoder;

impl Encoder for NativeEncoder {
    fn dialect(&self) -> &'static str {
        "native"
    }

    fn event(&self, publication: &Publication, position: &Position) -> Option<Frame> {
        Some(frames::event(publication, position, false))
    }

    fn subscribed(&self, subscribed: &Subscribed<'_>) -> Option<Frame> {
        Some(frames::subscribed(subscribed))
    }

    fn subscribed_without_position(&self, channel: &Channel) -> Option<Frame> {
        Some(frames::subscribed_without_position(channel))
    }

    fn unsubscribed(&self, channel: &Channel) -> Option<Frame> {
        Some(frames::unsubscribed(channel.as_str()))
    }

    fn gap(
        &self,
        channel: &Channel,
        from: &Position,
        to: &Position,
        cause: Cause,
    ) -> Option<Frame> {
        Some(frames::gap(channel, from, to, cause))
    }

    fn state(
        &self,
        channel: &Channel,
        position: &Position,
        state: Option<&State>,
    ) -> Option<Frame> {
        Some(frames::state(channel, position, state))
    }

    fn tail(&self, publication: &Publication, position: &Position) -> Option<Frame> {
        Some(frames::event(publication, position, true))
    }

    fn status(&self, reason: Option<&str>) -> Option<Frame> {
        Some(frames::status(reason))
    }

    fn presence(&self, change: &PresenceChange<'_>) -> Option<Frame> {
        Some(frames::presence(change))
    }

    fn token(&self, expires_at: Option<i64>) -> Option<Frame> {
        Some(frames::token(expires_at))
    }

    fn error(&self, error: &ErrorReport<'_>) -> Option<Frame> {
        let detail = error.path.map(|path| (path.to_owned(), error.message.to_owned()));
        Some(frames::error(error.code, error.message, detail.as_slice(), error.channel))
    }

    fn close_frame(&self, code: u16, reason: &str) -> Option<Frame> {
        Some(frames::close_frame(code, reason))
    }
}
