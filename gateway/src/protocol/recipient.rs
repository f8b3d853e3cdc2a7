//! Who is written to: what a channel knows of a listening session.

use async_trait::async_trait;

use super::{encoder::Encoding, transport::Transport};
use websocket::{Frame, SendOutcome};

/// A client that listens.
#[async_trait]
pub trait Recipient: Send + Sync {
    /// Returns the way to the client.
    fn transport(&self) -> &Transport;

    /// Returns how its frames are written.
    fn encoding(&self) -> Encoding;

    /// Sends a frame, if there is room for it, and counts it.
    fn send(&self, frame: &Frame) -> SendOutcome;

    /// Sends frames that must not be lost, waiting while the client is slow.
    async fn send_all(&self, frames: &[Frame]);

    /// Waits until a full send queue has drained, or for a moment when it is not full any more.
    async fn drained(&self);
}
