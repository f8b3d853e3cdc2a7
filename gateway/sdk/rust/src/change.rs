//! How a connection is made, and how it stands.

use std::time::Duration;

use crate::session::Welcome;

/// How to connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// WebSocket, and server-sent events where no WebSocket ever opens.
    #[default]
    Auto,
    /// WebSocket alone.
    WebSocket,
    /// Server-sent events alone.
    EventStream,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    /// Nobody asked for one, or it ended for good.
    #[default]
    Disconnected,
    /// An attempt is made, or waits.
    Connecting,
    /// Welcomed.
    Connected,
}

/// What is known of the connection.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// How it stands.
    pub state: LinkState,
    /// Why the last connection or attempt ended.
    pub reason: String,
    /// How long until the next attempt.
    pub wait: Duration,
    /// `broker`, `store` or `both`: what the server has lost for now. Connections stay.
    pub degraded: Option<String>,
    /// What the server said when the connection in use began.
    pub welcome: Option<Welcome>,
}
