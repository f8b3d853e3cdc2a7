//! What this worker says of itself, again and again: to all gateways through the registry, and to the
//! record, minute by minute.

use std::time::Duration;

use broker::Registration;
use domain::{
    activity::{ActivityTotals, ActivityWindow},
    node::NodeId,
    node_report::{NODE_REPORTS, NodeReport, NodeRole, REPORT_INTERVAL_MS},
    source::Stream,
};
use runtime::health::Demand;
use store::ActivityLog;

use crate::Worker;

/// After how many reports it is looked up what broker and database hold.
const HOLDINGS_EVERY: u64 = 8;

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
            degraded: worker.health.degraded().map(str::to_owned),
            draining: worker.life.is_draining(),
            connections: None,
            slow: None,
            lag: Some(worker.metrics.lag()),
            activity: window.read(jiff::Timestamp::now().as_millisecond(), totals.clone()),
        };
        let value = serde_json::to_string(&report).ok();
        let key = NodeRole::Worker.name().to_owned();
        let registration = Registration { topic: NODE_REPORTS, key, value };
        // Both are probes as well: what comes of them is told by the health of the services.
        let (broker, store) = (&worker.health.broker, &worker.health.store);
        broker.note(Demand::Write, &worker.broker.register(&name, &[registration]).await);
        store.note(Demand::Write, &log.write(&totals, None).await);
        if number % HOLDINGS_EVERY == 1 {
            measure_holdings(&worker).await;
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

/// Looks up what the broker uses and which dead letters are held; what does not answer keeps its figure.
async fn measure_holdings(worker: &Worker) {
    let metrics = &worker.metrics;
    if let Ok(Some(memory)) = worker.broker.memory().await {
        let bytes = |bytes: u64| u32::try_from(bytes >> 10).map_or(f64::MAX, f64::from) * 1024.0;
        metrics.broker_memory.set(bytes(memory.used_bytes));
        metrics.broker_memory_limit.set(bytes(memory.limit_bytes));
    }
    let Ok(holdings) = worker.store.holdings().await else { return };
    for stream in Stream::ALL {
        let of_stream = holdings.dead_letters.iter().filter(|(of, ..)| *of == Some(stream));
        let count: u64 = of_stream.map(|(.., count)| count).sum();
        let held = metrics.held_dead_letters.with_label_values(&[stream.name()]);
        held.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
