//! `GET /v1/analytics/tasks`: how tasks went, counted by what they have in common.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Store, TaskRun};

use super::{access::Operator, body::Params, problem::Problem};

/// The most tasks that are counted, the newest ones.
const TASKS_MAX: usize = 200_000;

/// How far back is looked when the client does not say.
const DAY_MS: i64 = 86_400_000;

const HOUR_MS: i64 = 3_600_000;

/// What may be asked.
#[derive(Debug, Deserialize)]
pub struct AnalyticsQuery {
    since: Option<i64>,
    by: Option<String>,
}

/// What tasks are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Executor,
    Agent,
    Capability,
    Status,
    Hour,
}

impl By {
    const ALL: [(&str, Self); 5] = [
        ("executor", Self::Executor),
        ("agent", Self::Agent),
        ("capability", Self::Capability),
        ("status", Self::Status),
        ("hour", Self::Hour),
    ];

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, by)| *by)
    }

    /// The keys that a task is counted under: several where it needs several capabilities.
    fn keys(self, run: &TaskRun) -> Vec<GroupKey> {
        match self {
            Self::Executor => vec![GroupKey::Text(run.executor.clone())],
            Self::Agent => vec![GroupKey::Text(run.agent.clone())],
            Self::Capability if run.capabilities.is_empty() => vec![GroupKey::Text(None)],
            Self::Capability => {
                run.capabilities.iter().cloned().map(Some).map(GroupKey::Text).collect()
            }
            Self::Status => {
                vec![GroupKey::Text(Some(run.status.clone()).filter(|it| !it.is_empty()))]
            }
            Self::Hour => vec![GroupKey::Hour(run.created.div_euclid(HOUR_MS) * HOUR_MS)],
        }
    }
}

/// What the tasks of a row have in common; none where nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum GroupKey {
    Hour(i64),
    Text(Option<String>),
}

/// Counts tasks.
pub async fn tasks(
    State(store): State<Arc<dyn Store>>,
    _operator: Operator,
    Params(asked): Params<AnalyticsQuery>,
) -> Result<Json<Value>, Problem> {
    let name = asked.by.as_deref().filter(|name| !name.is_empty()).unwrap_or("status");
    let by = By::parse(name).ok_or_else(|| {
        let names = By::ALL.map(|(name, _)| name).join(", ");
        Problem::new(StatusCode::BAD_REQUEST, format!("by is one of {names}"))
            .with("parameter", "by".into())
    })?;
    let now = jiff::Timestamp::now().as_millisecond();
    let since = asked.since.unwrap_or(now - DAY_MS);
    let runs = store.task_runs(since, TASKS_MAX).await;
    let runs = runs.map_err(|error| Problem::store(&error))?;
    Ok(Json(json!({ "since": since, "by": name, "rows": rows(by, &runs) })))
}

/// The rows: hours in their order, everything else by how many tasks there are.
fn rows(by: By, runs: &[TaskRun]) -> Vec<Value> {
    let mut groups: BTreeMap<GroupKey, Vec<&TaskRun>> = BTreeMap::new();
    for run in runs {
        for key in by.keys(run) {
            groups.entry(key).or_default().push(run);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    if by != By::Hour {
        groups.sort_by_key(|(_, runs)| std::cmp::Reverse(runs.len()));
    }
    groups.iter().map(|(key, runs)| row(key, runs)).collect()
}

fn row(key: &GroupKey, runs: &[&TaskRun]) -> Value {
    let count = |statuses: &[&str]| {
        runs.iter().filter(|run| statuses.contains(&run.status.as_str())).count()
    };
    let (completed, failed) = (count(&["completed"]), count(&["failed", "abandoned"]));
    let judged = completed + failed;
    #[expect(clippy::cast_precision_loss, reason = "a rate of at most a few hundred thousand")]
    let failure_rate = (judged > 0).then(|| failed as f64 / judged as f64);
    let key = match key {
        GroupKey::Hour(ms) => Value::from(*ms),
        GroupKey::Text(text) => Value::from(text.clone()),
    };
    json!({
        "key": key,
        "count": runs.len(),
        "completed": completed,
        "failed": failed,
        "cancelled": count(&["cancelled"]),
        "expired": count(&["expired"]),
        "retries": runs.iter().map(|run| run.retries).sum::<u64>(),
        "failure_rate": failure_rate,
        "wait_ms": percentiles(runs.iter().filter_map(|run| run.wait_ms).collect()),
        "run_ms": percentiles(runs.iter().filter_map(|run| run.run_ms).collect()),
    })
}

/// The median and the 95th percentile, by the nearest rank; null where there is nothing to know.
fn percentiles(mut times: Vec<i64>) -> Value {
    times.sort_unstable();
    let rank = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).max(1);
        times.get(rank - 1).copied()
    };
    json!({ "p50": rank(50), "p95": rank(95) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: &str, wait_ms: Option<i64>, capabilities: &[&str]) -> TaskRun {
        TaskRun {
            status: status.into(),
            created: 7_200_005,
            wait_ms,
            capabilities: capabilities.iter().map(|&it| it.to_owned()).collect(),
            retries: 1,
            ..TaskRun::default()
        }
    }

    #[test]
    fn tasks_are_counted_by_how_they_ended_and_how_long_they_waited() {
        let runs = [
            run("completed", Some(10), &["gpu", "docs"]),
            run("abandoned", Some(30), &["gpu"]),
            run("running", None, &[]),
            run("cancelled", Some(20), &[]),
        ];
        let [row] = rows(By::Hour, &runs).try_into().unwrap();
        let expected = json!({
            "key": 7_200_000, "count": 4, "completed": 1, "failed": 1, "cancelled": 1, "expired": 0,
            "retries": 4, "failure_rate": 0.5, "wait_ms": {"p50": 20, "p95": 30},
            "run_ms": {"p50": null, "p95": null},
        });
        assert_eq!(row, expected);
        let keys: Vec<Value> =
            rows(By::Capability, &runs).iter().map(|row| row["key"].clone()).collect();
        assert_eq!(keys, [Value::Null, "gpu".into(), "docs".into()]);
        assert_eq!(rows(By::Agent, &runs[2..3])[0]["failure_rate"], Value::Null);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!(percentiles((1..=100).collect()), json!({"p50": 50, "p95": 95}));
        assert_eq!(percentiles(vec![7]), json!({"p50": 7, "p95": 7}));
    }
}
