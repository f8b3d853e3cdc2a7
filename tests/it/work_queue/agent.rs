//! An agent on seed 001's door, as a test speaks for it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    client::{Frame, Socket},
    cluster::Cluster,
};

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

    /// The next frame must be of this type; to be asked for its repositories does not count.
    pub(super) async fn hear(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.socket.expect(json!({"type": "<text>", "...": ""})).await;
            if frame["type"] != "status-request" {
                assert_eq!(frame["type"], kind, "{frame}");
                return frame;
            }
        }
    }

    /// Nothing comes for so long; to be asked for its repositories does not count.
    pub(super) async fn silent(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Some(frame) = self.socket.poll(until - Instant::now()).await {
            let is_asked = matches!(&frame, Frame::Json(it) if it["type"] == "status-request");
            assert!(is_asked, "{frame:?}");
        }
    }

    /// Closes its socket.
    pub(super) async fn leave(self) {
        self.socket.leave().await;
    }
}
