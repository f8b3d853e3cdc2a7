//! What this node says of itself, again and again: to all others through the registry, and to the
//! record, minute by minute.

use std::time::Duration;

use domain::{
    activity::ActivityWindow,
    node_report::{NodeReport, NodeRole, REPORT_INTERVAL_MS},
};
use runtime::health::Demand;
use store::ActivityLog;

use super::services::Services;

/// Reports again and again, until the process stops.
pub async fn run(services: Services) {
    let context = &services.context;
    let mut log = ActivityLog::new(services.store.clone(), context.node.clone());
    let mut window = ActivityWindow::default();
    let since = jiff::Timestamp::now().as_millisecond();
    for number in 1.. {
        if let Some((age, _)) = context.auth.keys_age() {
            context.metrics.jwks_age_seconds.set(age.as_secs_f64());
        }
        let totals = context.metrics.activity();
        let now = jiff::Timestamp::now().as_millisecond();
        let names = services.dialects.iter().map(|dialect| dialect.name());
        services.node_directory.announce(&NodeReport {
            epoch: services.store.epoch().0,
            node: context.node.to_string(),
            role: NodeRole::Gateway,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since,
            number,
            degraded: context.degraded.reason().map(str::to_owned),
            draining: context.life.is_draining(),
            connections: Some(context.metrics.open_connections(names)),
            slow: Some(context.hub.slow_listeners()),
            lag: None,
            activity: window.read(now, totals.clone()),
        });
        let connections = u64::try_from(services.sessions.count()).ok();
        // A probe as well: what comes of it is told by the health of the database.
        context.health.store.note(Demand::Write, &log.write(&totals, connections).await);
        tokio::time::sleep(Duration::from_millis(REPORT_INTERVAL_MS)).await;
    }
}
