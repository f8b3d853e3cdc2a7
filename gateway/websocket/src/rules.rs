//! What a client may send, what it has sent, and which rule it broke.

use std::borrow::Cow;

use crate::close;

/// Bounds one message of a client.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// Payload of one message in bytes, over all its fragments.
    pub bytes_max: usize,
    /// Fragments of one message. They need a bound of their own because they may be empty.
    pub fragments_max: u32,
}

/// What one client may send, and with whom it shares the memory of half uploads.
#[derive(Clone, Copy, Debug)]
pub struct SenderTerms {
    /// Payload of one message in bytes, at most [`MessageLimits::bytes_max`].
    pub message_bytes_max: u32,
    /// The number of those whose half uploads count together, for example of one address; 0 for
    /// none.
    pub upload_group: u32,
    /// Whether it proved nothing, so that its half uploads count among those of strangers.
    pub is_stranger: bool,
}

/// One whole message or control frame of a client, without its mask.
///
/// Borrowed from the read buffer when it arrived in one piece, owned when it was put together.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A whole text message, checked to be UTF-8.
    Text(Cow<'a, str>),
    /// A whole binary message.
    Binary(Cow<'a, [u8]>),
    /// A control ping with its payload, which the pong has to repeat.
    Ping(Cow<'a, [u8]>),
    /// A control pong, whose payload is not looked at.
    Pong,
    /// A close frame with its code, if it had one. Nothing may follow it.
    Close(Option<u16>),
}

impl Received<'_> {
    pub(crate) fn into_owned<'b>(self) -> Received<'b> {
        match self {
            Self::Text(text) => Received::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Received::Binary(Cow::Owned(bytes.into_owned())),
            Self::Ping(bytes) => Received::Ping(Cow::Owned(bytes.into_owned())),
            Self::Pong => Received::Pong,
            Self::Close(code) => Received::Close(code),
        }
    }
}

/// A rule of RFC 6455 that the client broke; the connection has to be failed (§7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The framing is wrong: close with 1002.
    #[error("{0}")]
    Protocol(&'static str),
    /// A text message or a close reason is not UTF-8: close with 1007.
    #[error("text is not UTF-8")]
    InvalidText,
    /// A message is over [`MessageLimits`]: close with 1009.
    #[error("message too big")]
    TooBig,
}

impl Violation {
    /// Returns the close code that tells the client which kind of rule it broke.
    pub fn code(self) -> u16 {
        match self {
            Self::Protocol(_) => close::PROTOCOL,
            Self::InvalidText => close::INVALID_TEXT,
            Self::TooBig => close::TOO_BIG,
        }
    }
}
