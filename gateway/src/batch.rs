//! Many frames to many connections, with one write for each connection.

use std::sync::Arc;

use crate::connection::{Connection, Sent};
use crate::frame::Frame;

/// How many connections are written before other tasks get their turn: 10,000 writes in one go
/// would keep this thread from everything else for 65 ms.
const WRITES_PER_TURN: usize = 128;

/// The frames of one batch of publications on their way to their listeners.
///
/// The cost of a delivery is the kernel's, per write and not per byte. So whoever reads a batch
/// from the broker stages every frame of it first and then writes each connection once. What is
/// sent otherwise meanwhile keeps its place in the order.
#[derive(Debug, Default)]
pub struct Batch {
    staged: Vec<Arc<Connection>>,
}

impl Batch {
    /// Nothing staged. A batch is meant to be used again, which keeps its memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stages a frame. Answers as [`Connection::send`] does.
    pub fn send(&mut self, connection: &Arc<Connection>, frame: &Frame) -> Sent {
        let (sent, is_first) = connection.stage(frame);
        if is_first {
            self.staged.push(Arc::clone(connection));
        }
        sent
    }

    /// How many connections will be written.
    pub fn connections(&self) -> usize {
        self.staged.len()
    }

    /// Writes each connection once, yielding now and then.
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

impl Drop for Batch {
    /// A batch that is given up amid writing has promised its frames.
    fn drop(&mut self) {
        for connection in self.staged.drain(..) {
            connection.write_staged();
        }
    }
}
