//! `GET /v1/overview`: what the whole installation does and holds, and the last hour of it. What is not
//! known is null, never 0.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use domain::{
    activity::{add_counts, quantile},
    event::entity::EntityKind,
    node_report::{NodeReport, NodeRole, SourceLag},
    source::{Source, Stream},
};
use runtime::telemetry::LATENCY_BUCKETS_SECONDS;
use serde_json::{Map, Value, json};
use store::{ActivityRow, ActivitySince, Holdings};

use super::{access::Operator, nodes};
use crate::{
    cluster::{
        installation_figures::{HISTORY_MINUTES, InstallationFigures},
        node_directory::{KnownReports, NodeDirectory},
    },
    session::context::SessionContext,
};

/// A minute, ms.
const MINUTE: i64 = 60_000;

/// `GET /v1/overview`
pub async fn overview(
    State(directory): State<Arc<NodeDirectory>>,
    State(figures): State<Arc<InstallationFigures>>,
    State(context): State<Arc<SessionContext>>,
    _operator: Operator,
) -> Json<Value> {
    let (known, figures) = tokio::join!(directory.reports(), figures.current());
    let own = context.health.degraded();
    let reported = known.reports.iter().map(|heard| heard.report.degraded.as_deref());
    let mut overview = live(&known, context.publisher.partitions());
    let holdings = figures.holdings.as_ref();
    overview["at"] = jiff::Timestamp::now().as_millisecond().into();
    overview["dead"] = holdings.map_or(Value::Null, dead);
    overview["entities"] = holdings.map_or(Value::Null, entities);
    overview["partitions"] = context.publisher.partitions().into();
    overview["degraded"] = nodes::degraded(reported.chain([own])).into();
    overview["history"] = figures.activity.as_ref().map_or(Value::Null, history);
    Json(overview)
}

/// What the processes say, added up: only while all of them are heard.
fn live(known: &KnownReports, partitions: u16) -> Value {
    let of = |role| {
        let reports = known.reports.iter().map(|heard| &heard.report);
        reports.filter(move |report| known.is_current && report.role == role)
    };
    let (gateways, workers) = (|| of(NodeRole::Gateway), || of(NodeRole::Worker));
    let mut deliveries = Vec::new();
    gateways().for_each(|report| add_counts(&mut deliveries, &report.activity.deliveries));
    let open = |report: &NodeReport| {
        report.connections.as_ref().map(|by_dialect| by_dialect.values().sum::<u64>())
    };
    let mut names: Vec<&str> = known.reports.iter().map(|heard| &*heard.report.node).collect();
    names.dedup();
    json!({
        "rates": {
            "recorded": sum(workers().map(|report| report.activity.recorded)).map(rounded),
            "delivered": sum(gateways().map(|report| report.activity.delivered)).map(rounded),
        },
        "delivery_ms": delivery_ms(&deliveries),
        "lag": lag(workers(), partitions),
        "connections": sum(gateways().map(open)),
        "nodes": known.is_current.then_some(names.len()),
    })
}

/// The sum of what everybody knows; none when there is nobody, or one does not know.
fn sum<T: std::ops::Add<Output = T>>(mut all: impl Iterator<Item = Option<T>>) -> Option<T> {
    let first = all.next()??;
    all.try_fold(first, |sum, one| Some(sum + one?))
}

fn delivery_ms(deliveries: &[u64]) -> Value {
    let below = |share| {
        let seconds = quantile(&LATENCY_BUCKETS_SECONDS, deliveries, share);
        seconds.map(|seconds| rounded(seconds * 1000.0))
    };
    json!({ "p50": below(0.5), "p99": below(0.99) })
}

/// How far the owners of a stream's sources are behind; unknown as soon as one has no owner.
fn lag<'a>(workers: impl Iterator<Item = &'a NodeReport>, partitions: u16) -> Value {
    let reported: BTreeMap<&String, &SourceLag> =
        workers.filter_map(|report| report.lag.as_ref()).flatten().collect();
    let streams = Stream::ALL.map(|stream| {
        let sources = Source::all(partitions).filter(|source| source.stream == stream);
        let lags: Option<Vec<&SourceLag>> =
            sources.map(|source| reported.get(&source.to_string()).copied()).collect();
        let entries = lags.as_ref().map(|all| all.iter().map(|lag| lag.entries).sum::<u64>());
        let seconds = lags.map(|all| all.iter().map(|lag| lag.seconds).fold(0.0, f64::max));
        let lag = json!({ "entries": entries, "seconds": seconds.map(rounded) });
        (stream.name().to_owned(), lag)
    });
    Value::Object(streams.into_iter().collect())
}

fn dead(holdings: &Holdings) -> Value {
    let mut by_reason: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, reason, count) in &holdings.dead_letters {
        *by_reason.entry(reason).or_default() += count;
    }
    json!({ "total": by_reason.values().sum::<u64>(), "by_reason": by_reason })
}

fn entities(holdings: &Holdings) -> Value {
    let kinds = holdings.entities.iter().map(|(kind, by_status)| {
        let noun = match kind {
            EntityKind::Deployment => "deployments",
            EntityKind::Task => "tasks",
            EntityKind::Agent => "agents",
            EntityKind::Container => "containers",
            EntityKind::Repo => "repos",
            EntityKind::Alert => "alerts",
        };
        (noun.to_owned(), json!(by_status))
    });
    Value::Object(kinds.collect::<Map<_, _>>())
}

/// One point for each minute since the first of which anything is known; the last one is the present.
fn history(activity: &ActivitySince) -> Value {
    let present = activity.now - activity.now % MINUTE;
    let hour_ago = present - (i64::from(HISTORY_MINUTES) - 1) * MINUTE;
    let first = activity.minutes.keys().next().copied().unwrap_or(present).max(hour_ago);
    let minutes = (0..i64::from(HISTORY_MINUTES)).map(|nth| first + nth * MINUTE);
    let points = minutes.take_while(|at| *at <= present).map(|at| {
        let ms = if at == present { (activity.now - present).max(1000) } else { MINUTE };
        point(at, activity.minutes.get(&at), ms)
    });
    Value::Array(points.collect())
}

fn point(at: i64, row: Option<&ActivityRow>, ms: i64) -> Value {
    let rate = |count: Option<u64>| {
        let count = u32::try_from(count?).map_or(f64::from(u32::MAX), f64::from);
        Some(rounded(count * 1000.0 / u32::try_from(ms).map_or(1.0, f64::from)))
    };
    let totals = row.map(|row| &row.totals);
    json!({
        "at": at,
        "rates": {
            "recorded": rate(totals.and_then(|totals| totals.recorded)),
            "delivered": rate(totals.and_then(|totals| totals.delivered)),
        },
        "delivery_ms": delivery_ms(totals.map_or(&[], |totals| &totals.deliveries)),
        "connections": row.and_then(|row| row.connections),
    })
}

/// Three digits are more than anybody looks at.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use domain::activity::ActivityTotals;

    use super::*;

    #[test]
    fn nothing_is_added_up_while_not_everybody_is_heard() {
        let known = KnownReports { reports: Vec::new(), is_current: false };
        let live = live(&known, 2);
        assert_eq!(live["rates"], json!({ "recorded": null, "delivered": null }));
        assert_eq!(live["delivery_ms"], json!({ "p50": null, "p99": null }));
        assert_eq!(live["lag"]["tasks"], json!({ "entries": null, "seconds": null }));
        assert_eq!((&live["connections"], &live["nodes"]), (&Value::Null, &Value::Null));
        assert_eq!(sum([Some(1), None].into_iter()), None);
        assert_eq!(sum([Some(1), Some(2)].into_iter()), Some(3));
    }

    #[test]
    fn a_minute_of_which_nothing_is_known_is_a_point_of_nulls() {
        let row = |recorded| ActivityRow {
            totals: ActivityTotals { recorded: Some(recorded), ..ActivityTotals::default() },
            connections: Some(2),
        };
        let minutes = BTreeMap::from([(0, row(60)), (2 * MINUTE, row(30))]);
        let history = history(&ActivitySince { now: 2 * MINUTE + 10_000, minutes });
        let recorded: Vec<&Value> =
            history.as_array().unwrap().iter().map(|point| &point["rates"]["recorded"]).collect();
        assert_eq!(recorded, [&json!(1.0), &Value::Null, &json!(3.0)]);
        assert_eq!(history[1]["connections"], Value::Null);
    }
}
