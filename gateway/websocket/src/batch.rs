//! Many frames to many connections, with one write for each connection.

use std::sync::Arc;

use crate::connection::Connection;
use crate::frame::Frame;
use crate::outbox::SendOutcome;

/// How many connections are written before other tasks get their turn: 10,000 writes in one go
/// would keep this thread from everything else for 65 ms.
const WRITES_PER_TURN: usize = 128;

/// Frames that are staged for many connections and then written together.
///
/// A delivery costs the kernel's time, per write and not per byte. So whoever has many messages to
/// deliver stages every frame of them first and then writes each connection once. A frame that is
/// sent directly meanwhile keeps its place in the order.
#[derive(Debug, Default)]
pub struct WriteBatch {
    staged: Vec<Arc<Connection>>,
}

impl WriteBatch {
    /// Creates a batch with nothing staged. It is meant to be used again, which keeps its memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stages a frame. Returns what [`Connection::send`] does.
    pub fn send(&mut self, connection: &Arc<Connection>, frame: &Frame) -> SendOutcome {
        let (sent, is_first) = connection.stage(frame);
        if is_first {
            self.staged.push(Arc::clone(connection));
        }
        sent
    }

    /// Counts the connections that will be written.
    pub fn connections(&self) -> usize {
        self.staged.len()
    }

    /// Writes each connection once, yielding after each 128.
    pub async fn write(&mut self) {
        let mut writes = 0;
        while let Some(connection) = self.staged.pop() {
            connection.write_staged();
            writes += 1;
            if writes % WRITES_PER_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Drop for WriteBatch {
    /// Writes what is left: a batch that is dropped while it writes has promised its frames.
    fn drop(&mut self) {
        for connection in self.staged.drain(..) {
            connection.write_staged();
        }
    }
}
