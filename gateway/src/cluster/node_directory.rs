//! What every process of the installation says of itself: reports travel through the registry, and the
//! last ones are kept, so that a broker that is away makes them old, not absent.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use broker::Registration;
use domain::node_report::{NODE_REPORTS, NodeReport, NodeRole};
use store::Store;
use tokio::{sync::Mutex, time::Instant};

use super::registry::ClusterRegistry;

/// Reports are read at most this often, however many ask.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// How often they are read when nobody asks, so that those of before an outage are known in it.
const KEEP_INTERVAL: Duration = Duration::from_secs(10);

/// How long reading them may take.
const READ_MAX: Duration = Duration::from_secs(1);

/// How old the last reading may be for what it says to count as the whole installation.
const CURRENT_MAX: Duration = Duration::from_secs(5);

/// A report, and when it came.
#[derive(Clone, Debug)]
pub struct HeardReport {
    /// What was reported.
    pub report: NodeReport,
    /// When this node first read it, ms since 1970.
    pub heard_at: i64,
}

/// What is known of all processes.
#[derive(Clone, Debug)]
pub struct KnownReports {
    /// The last report of each role of each process, by name.
    pub reports: Vec<HeardReport>,
    /// Whether that is the whole installation as it is now; not while the broker does not answer.
    pub is_current: bool,
}

/// Reads and keeps the reports of all processes.
pub struct NodeDirectory {
    registry: Arc<ClusterRegistry>,
    store: Arc<dyn Store>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    reports: BTreeMap<(String, NodeRole), HeardReport>,
    asked_at: Option<Instant>,
    read_at: Option<Instant>,
}

impl NodeDirectory {
    /// Returns a directory that has read nothing yet.
    pub fn new(registry: Arc<ClusterRegistry>, store: Arc<dyn Store>) -> Self {
        Self { registry, store, known: Mutex::default() }
    }

    /// Tells all others what this node does.
    pub fn announce(&self, report: &NodeReport) {
        let key = report.role.name().to_owned();
        let value = serde_json::to_string(report).ok();
        self.registry.register(Registration { topic: NODE_REPORTS, key, value });
    }

    /// Returns what is known of all processes, read a second ago or now.
    pub async fn reports(&self) -> KnownReports {
        let mut known = self.known.lock().await;
        if known.asked_at.is_none_or(|asked| asked.elapsed() >= READ_INTERVAL) {
            self.read(&mut known).await;
        }
        let is_current = known.read_at.is_some_and(|read| read.elapsed() < CURRENT_MAX);
        KnownReports { reports: known.reports.values().cloned().collect(), is_current }
    }

    /// Reads them now and then, until the process stops.
    pub async fn run(&self) {
        loop {
            drop(self.reports().await);
            tokio::time::sleep(KEEP_INTERVAL).await;
        }
    }

    async fn read(&self, known: &mut Known) {
        known.asked_at = Some(Instant::now());
        let read = tokio::time::timeout(READ_MAX, self.registry.members(NODE_REPORTS)).await;
        let (members, is_whole) = match read {
            Ok(Ok(members)) => (members, true),
            // What this node does it knows by itself.
            Ok(Err(_)) | Err(_) => (self.registry.own(NODE_REPORTS), false),
        };
        let epoch = self.store.epoch().0;
        let now = jiff::Timestamp::now().as_millisecond();
        let mut reports = BTreeMap::new();
        for member in members {
            let Ok(report) = serde_json::from_str::<NodeReport>(&member.value) else { continue };
            if report.epoch != epoch {
                continue;
            }
            let key = (report.node.clone(), report.role);
            let before = known.reports.get(&key);
            let same = before.filter(|before| before.report.number == report.number);
            let heard_at = same.map_or(now, |before| before.heard_at);
            reports.insert(key, HeardReport { report, heard_at });
        }
        if is_whole {
            known.read_at = Some(Instant::now());
            known.reports = reports;
        } else {
            known.reports.append(&mut reports);
        }
    }
}
