//! An agent on seed 001's door, as a test speaks for it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{client::Socket, cluster::Cluster};

/// A connected agent.
pub(super) struct Agent {
    socket: Socket,
    id: String,
}

impl Agent {
    /// Connects to a gateway and says who it is; `more` is merged into its first `agent-status`.
    pub(super) async fn connect(cluster: &Cluster, node: usize, id: &str, more: Value) -> Self {
        let socket = Socket::connect(&cluster.gateways[node].ws("/api/ws")).await;
        let mut agent = Self { socket, id: id.to_owned() };
        agent.status("idle", more).await;
        // Whoever registers is asked for its repositories.
        agent.hear("status-request").await;
        agent
    }

    /// Says how it is, and waits for the acknowledgement.
    pub(super) async fn status(&mut self, status: &str, more: Value) {
        let mut frame = json!({"agentId": self.id, "status": status});
        for (key, value) in more.as_object().expect("an object") {
            frame[key] = value.clone();
        }
        self.say("agent-status", frame).await;
        self.socket.wait_for(json!({"type": "ack", "...": ""})).await;
    }

    /// Sends a frame of a type.
    pub(super) async fn say(&mut self, kind: &str, mut frame: Value) {
        frame["type"] = kind.into();
        self.socket.send(frame).await;
    }

    /// The next frame must be a task.
    pub(super) async fn task(&mut self) -> Value {
        self.hear("task").await
    }

    /// The next frame must be of this type.
    pub(super) async fn hear(&mut self, kind: &str) -> Value {
        self.socket.expect(json!({"type": kind, "...": ""})).await
    }

    /// Nothing comes for so long.
    pub(super) async fn silent(&mut self, time: Duration) {
        self.socket.expect_silence(time).await;
    }

    /// Closes its socket.
    pub(super) async fn leave(self) {
        self.socket.leave().await;
    }
}
