//! What this worker says of itself, again and again: to all gateways through the registry, and to the
//! record, minute by minute.

use std::time::Duration;

use broker::Registration;
use domain::{
    activity::{ActivityTotals, ActivityWindow},
    node::NodeId,
    node_report::{NODE_REPORTS, NodeReport, NodeRole, REPORT_INTERVAL_MS},
};
use store::ActivityLog;

use crate::Worker;

/// Reports again and again until the process stops; then takes the worker off the registry.
pub async fn run(worker: Worker) {
    // A name of its own: in a process that is a gateway too, that one writes under the node's.
    let name = NodeId(format!("{}-{}", worker.node, NodeRole::Worker.name()).into());
    let mut log = ActivityLog::new(worker.store.clone(), name.clone());
    let mut window = ActivityWindow::default();
    let since = jiff::Timestamp::now().as_millisecond();
    let mut number = 0;
    while !worker.life.is_stopping() {
        number += 1;
        let recorded = Some(worker.metrics.recorded());
        let totals = ActivityTotals { recorded, ..ActivityTotals::default() };
        let report = NodeReport {
            epoch: worker.store.epoch().0,
            node: worker.node.to_string(),
            role: NodeRole::Worker,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since,
            number,
            degraded: None,
            draining: worker.life.is_draining(),
            connections: None,
            slow: None,
            lag: Some(worker.metrics.lag()),
            activity: window.read(jiff::Timestamp::now().as_millisecond(), totals.clone()),
        };
        let value = serde_json::to_string(&report).ok();
        let key = NodeRole::Worker.name().to_owned();
        let registration = Registration { topic: NODE_REPORTS, key, value };
        if let Err(error) = worker.broker.register(&name, &[registration]).await {
            tracing::debug!(%error, "status reporter: report not sent, again in two seconds");
        }
        if let Err(error) = log.write(&totals, None).await {
            tracing::debug!(%error, "status reporter: activity not written, again in two seconds");
        }
        tokio::select! {
            () = worker.life.stopping() => {}
            () = tokio::time::sleep(Duration::from_millis(REPORT_INTERVAL_MS)) => {}
        }
    }
    if let Err(error) = worker.broker.deregister(&name).await {
        tracing::debug!(%error, "status reporter: worker not deregistered, its lease runs out");
    }
}
