//! What a process says of itself to all others, again and again: its part of the installation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::activity::Activity;

/// The topic of the registry by which reports travel; the key is the role.
pub const NODE_REPORTS: &str = "nodes";

/// How often a process reports, ms.
pub const REPORT_INTERVAL_MS: u64 = 2_000;

/// What a part of a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// Terminates sockets.
    Gateway,
    /// Consumes streams.
    Worker,
}

impl NodeRole {
    /// Returns the name in reports, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
        }
    }
}

/// How far an owner is behind a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceLag {
    /// Entries that are not recorded yet.
    pub entries: u64,
    /// The age of the oldest of them.
    pub seconds: f64,
}

/// One report of one role of a process; a process that does both reports twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The epoch of its installation, by which a foreign one is told.
    pub epoch: u32,
    /// The name of the process.
    pub node: String,
    /// What it reports of.
    pub role: NodeRole,
    /// The version of the executable.
    pub version: String,
    /// When it started, ms since 1970.
    pub since: i64,
    /// Rises with every report: whoever reads a higher one has heard from it.
    pub number: u64,
    /// What is missing there: `broker`, `store` or `both`.
    #[serde(default)]
    pub degraded: Option<String>,
    /// Whether it lets its clients go.
    pub draining: bool,
    /// Open connections by dialect, on a gateway.
    #[serde(default)]
    pub connections: Option<BTreeMap<String, u64>>,
    /// Listeners that are behind their channels, on a gateway.
    #[serde(default)]
    pub slow: Option<u64>,
    /// How far it is behind each source that it owns, on a worker.
    #[serde(default)]
    pub lag: Option<BTreeMap<String, SourceLag>>,
    /// What it does now.
    pub activity: Activity,
}
