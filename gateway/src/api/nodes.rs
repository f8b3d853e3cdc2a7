//! `GET /v1/nodes`: every gateway and worker as it said last, and what it owns.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use domain::node_report::{NodeReport, NodeRole};
use serde_json::{Value, json};
use store::SourceRow;

use super::access::Operator;
use crate::{
    channel::hub::Hub,
    cluster::node_directory::{HeardReport, NodeDirectory},
};

/// `GET /v1/nodes`
pub async fn nodes(
    State(directory): State<Arc<NodeDirectory>>,
    State(hub): State<Arc<Hub>>,
    _operator: Operator,
) -> Json<Value> {
    let known = directory.reports().await;
    let rows = hub.history().source_rows();
    Json(json!({ "nodes": shown(&known.reports, rows.as_deref()) }))
}

/// What is missing, by all of these together: `broker`, `store`, `both` or nothing.
pub(super) fn degraded<'a>(reasons: impl Iterator<Item = Option<&'a str>>) -> Option<&'static str> {
    let (mut broker, mut store) = (false, false);
    for reason in reasons.flatten() {
        broker |= matches!(reason, "broker" | "both");
        store |= matches!(reason, "store" | "both");
    }
    match (broker, store) {
        (true, true) => Some("both"),
        (true, false) => Some("broker"),
        (false, true) => Some("store"),
        (false, false) => None,
    }
}

/// One object for each process, whatever it does.
fn shown(reports: &[HeardReport], rows: Option<&[SourceRow]>) -> Vec<Value> {
    let mut processes: BTreeMap<&str, Vec<&HeardReport>> = BTreeMap::new();
    for heard in reports {
        processes.entry(&heard.report.node).or_default().push(heard);
    }
    processes.into_iter().map(|(name, roles)| process(name, &roles, rows)).collect()
}

fn process(name: &str, roles: &[&HeardReport], rows: Option<&[SourceRow]>) -> Value {
    let all = || roles.iter().map(|heard| &heard.report);
    let of = |role| all().find(|report: &&NodeReport| report.role == role);
    let (gateway, worker) = (of(NodeRole::Gateway), of(NodeRole::Worker));
    let role = match (gateway, worker) {
        (Some(_), Some(_)) => "all",
        (None, Some(_)) => NodeRole::Worker.name(),
        _ => NodeRole::Gateway.name(),
    };
    json!({
        "node": name,
        "role": role,
        "version": all().next().map(|report| &report.version),
        "since": all().map(|report| report.since).min(),
        "heard_at": roles.iter().map(|heard| heard.heard_at).min(),
        "connections": gateway.and_then(|report| report.connections.as_ref()),
        "slow": gateway.and_then(|report| report.slow),
        "leases": rows.map(|rows| leases(name, rows)),
        "lag": worker.and_then(|report| report.lag.as_ref()),
        "degraded": degraded(all().map(|report| report.degraded.as_deref())),
        "draining": all().any(|report| report.draining),
    })
}

/// The sources that a process owns, as the database says.
fn leases(name: &str, rows: &[SourceRow]) -> Vec<String> {
    let owned = rows.iter().filter(|row| row.owner.as_ref().is_some_and(|it| *it.0 == *name));
    let mut names: Vec<_> = owned.map(|row| row.source).collect();
    names.sort_unstable();
    names.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use domain::activity::Activity;

    use super::*;

    fn heard(node: &str, role: NodeRole, degraded: Option<&str>, heard_at: i64) -> HeardReport {
        let report = NodeReport {
            epoch: 1,
            node: node.into(),
            role,
            version: "1".into(),
            since: 5,
            number: 1,
            degraded: degraded.map(str::to_owned),
            draining: false,
            connections: (role == NodeRole::Gateway).then(BTreeMap::new),
            slow: (role == NodeRole::Gateway).then_some(0),
            lag: (role == NodeRole::Worker).then(BTreeMap::new),
            activity: Activity::default(),
        };
        HeardReport { report, heard_at }
    }

    #[test]
    fn a_process_of_both_roles_is_one_node_and_what_nobody_said_is_null() {
        let reports = [
            heard("a", NodeRole::Gateway, None, 8),
            heard("a", NodeRole::Worker, Some("store"), 7),
            heard("b", NodeRole::Worker, Some("broker"), 9),
        ];
        let nodes = shown(&reports, None);
        assert_eq!(nodes.len(), 2);
        assert_eq!((&nodes[0]["role"], &nodes[0]["heard_at"]), (&json!("all"), &json!(7)));
        assert_eq!(nodes[0]["degraded"], "store");
        assert_eq!(nodes[0]["leases"], Value::Null);
        assert_eq!((&nodes[1]["role"], &nodes[1]["connections"]), (&json!("worker"), &Value::Null));
        assert_eq!(nodes[1]["slow"], Value::Null);
        let reasons = reports.iter().map(|heard| heard.report.degraded.as_deref());
        assert_eq!(degraded(reasons), Some("both"));
    }
}
