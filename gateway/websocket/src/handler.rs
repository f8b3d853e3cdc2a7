//! What the layer above implements: it gets whole messages and one last call.

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// A whole message of the client, without its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text, checked to be UTF-8.
    Text(&'a str),
    /// Bytes of any kind.
    Binary(&'a [u8]),
}

/// Handles what arrives on one connection. Calls come in order, one at a time per connection.
///
/// A connection lets go of its handler at the end, so a handler may hold its connection.
pub trait Handler: Send + Sync + 'static {
    /// Handles a message.
    ///
    /// What cannot be done at once returns a future. Until that has ended nothing more is read
    /// from this socket, so order holds and TCP slows the client down, while writes go on. When
    /// the socket breaks or a close runs out of time, the future is dropped where it stands.
    fn message(self: Arc<Self>, message: Message<'_>) -> Option<BoxFuture<'static, ()>>;

    /// Learns that everything queued has been written after a frame was refused as
    /// [`SendOutcome::Full`](crate::SendOutcome::Full): sending may go on.
    fn drained(&self);

    /// Learns, as the last call, that the socket is gone, with the close code that was seen or
    /// sent first ([`close::NO_CODE`](crate::close::NO_CODE) and
    /// [`close::ABNORMAL`](crate::close::ABNORMAL) when there was none).
    fn closed(&self, code: u16);
}
