//! `fanfare doctor`: what is wrong with this installation, as its own settings lead there.

use std::{path::Path, sync::Arc, time::Duration};

use broker::{Broker, StreamInfo};
use domain::{
    activity::ActivityTotals,
    entry::EntryId,
    node::NodeId,
    source::{PARTITIONS_MAX, Source, Stream},
};
use runtime::{config::Config, lifecycle::Lifecycle};
use store::{SourceRow, Store};
use tokio::time::Instant;

use super::{failure::Failure, output};
use crate::{launch_error::LaunchError, process};

/// What `fanfare doctor --help` says besides.
pub(super) const HELP: &str = "\
Examples:
  fanfare doctor
  REDIS_URL=redis://127.0.0.1 DATABASE_URL=postgres://127.0.0.1/fanfare fanfare doctor

Exit codes:
  0   nothing is wrong
  1   something is: a line for each
  64  wrong usage
  78  a setting is wrong";

/// How long a service may take to be reached: a doctor does not wait for one that is to come.
const REACH_MAX: Duration = Duration::from_secs(5);

/// How far two clocks may be apart, ms.
const CLOCKS_APART_MAX: i64 = 2000;

/// From which share of its memory on the broker is nearly full.
const MEMORY_SHARE_MAX: f64 = 0.8;

/// The most keys that are named.
const KEYS_MAX: usize = 10;

/// Examines the installation, and prints a line for each thing that is wrong.
///
/// # Errors
/// [`Failure::Outcome`] when something is.
pub(crate) async fn run(config: &Config) -> Result<(), Failure> {
    let mut findings = config.warnings();
    findings.extend(config.contradictions());
    let life = Lifecycle::new();
    let broker = if config.redis_url.is_some() {
        reach_broker(config, &life, &mut findings).await
    } else {
        output::chatter("REDIS_URL is not set: the broker is in memory");
        None
    };
    let store = reach_store(config, &mut findings).await;
    if let Some(broker) = &broker {
        examine_broker(&**broker, &mut findings).await;
    }
    if let Some(store) = &store {
        examine_store(&**store, &mut findings).await;
    }
    if let (Some(broker), Some(store)) = (&broker, &store) {
        examine_streams(&**broker, &**store, config, &mut findings).await;
    }
    for finding in &findings {
        output::data(finding)?;
    }
    if findings.is_empty() {
        output::chatter("nothing is wrong");
        Ok(())
    } else {
        Err(Failure::Outcome)
    }
}

fn said(error: LaunchError) -> String {
    match error {
        LaunchError::Unreachable(what) | LaunchError::InUse(what) => what,
        LaunchError::Misconfigured(problem) => problem.to_string(),
        LaunchError::Other(error) => format!("{error:#}"),
    }
}

async fn reach_broker(
    config: &Config,
    life: &Lifecycle,
    findings: &mut Vec<String>,
) -> Option<Arc<dyn Broker>> {
    let reached = process::connect_broker(config, life, Instant::now() + REACH_MAX).await;
    reached.map_err(|error| findings.push(format!("redis: {}", said(error)))).ok()
}

async fn reach_store(config: &Config, findings: &mut Vec<String>) -> Option<Arc<dyn Store>> {
    if let Some(file) = config.database_url.strip_prefix("sqlite://")
        && !Path::new(file).exists()
    {
        output::chatter("there is no database yet: the first start makes it");
        return None;
    }
    match process::connect_store(config, Instant::now() + REACH_MAX, false).await {
        Ok(store) => Some(store),
        // That is how a running server looks.
        Err(LaunchError::InUse(what)) => {
            output::chatter(&what);
            None
        }
        Err(LaunchError::Misconfigured(_)) => {
            findings
                .push("sql: the schema is older than this version: `fanfare migrate`".to_owned());
            None
        }
        Err(error) => {
            findings.push(format!("sql: {}", said(error)));
            None
        }
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn compare_clocks(whose: &str, theirs: i64, findings: &mut Vec<String>) {
    let apart = (theirs - now()).abs();
    if apart > CLOCKS_APART_MAX {
        findings.push(format!("{whose}: its clock and that of this machine are {apart} ms apart"));
    }
}

async fn examine_broker(broker: &dyn Broker, findings: &mut Vec<String>) {
    match broker.check().await {
        Ok(warnings) => {
            findings.extend(warnings.into_iter().map(|warning| format!("redis: {warning}")));
        }
        Err(error) => return findings.push(format!("redis: {error}")),
    }
    if let Ok(Some(clock)) = broker.clock().await {
        compare_clocks("redis", clock, findings);
    }
    if let Ok(Some(memory)) = broker.memory().await
        && memory.limit_bytes > 0
    {
        let mib = |bytes: u64| u32::try_from(bytes >> 20).map_or(f64::MAX, f64::from);
        let (used, limit) = (mib(memory.used_bytes), mib(memory.limit_bytes));
        if used > MEMORY_SHARE_MAX * limit {
            findings.push(format!("redis: {used} MiB of {limit} MiB are used (maxmemory)"));
        }
    }
    if let Ok(keys) = broker.unknown_keys(KEYS_MAX).await {
        let unknown = keys.into_iter().map(|key| {
            format!("redis: {key} is no stream of ours and nobody reads it: a misspelled XADD?")
        });
        findings.extend(unknown);
    }
}

async fn examine_store(store: &dyn Store, findings: &mut Vec<String>) {
    match store.activity(1).await {
        Ok(activity) => compare_clocks("sql", activity.now, findings),
        Err(error) => findings.push(format!("sql: {error}")),
    }
    // What every process does all the time; the row goes by itself.
    let doctor = NodeId("doctor".into());
    if let Err(error) = store.write_activity(&doctor, &ActivityTotals::default(), None).await {
        findings.push(format!("sql: a row could not be written: {error}"));
    }
}

/// Looks for entries that wait where nobody reads.
async fn examine_streams(
    broker: &dyn Broker,
    store: &dyn Store,
    config: &Config,
    findings: &mut Vec<String>,
) {
    let rows = match store.sources(&[]).await {
        Ok(rows) => rows,
        Err(error) => return findings.push(format!("sql: {error}")),
    };
    if rows.is_empty() {
        findings.push("no worker has ever run with this database".to_owned());
    }
    for stream in Stream::ALL {
        for partition in 0..u16::try_from(PARTITIONS_MAX).unwrap_or(u16::MAX) {
            let source = Source { stream, partition };
            let Ok(info) = broker.inspect(source).await else { continue };
            let row = rows.iter().find(|row| row.source == source);
            findings.extend(unread(source, row, &info, config.record.partitions));
        }
    }
}

fn unread(
    source: Source,
    row: Option<&SourceRow>,
    info: &StreamInfo,
    partitions: u16,
) -> Option<String> {
    let cursor = row.map_or(EntryId::ZERO, |row| row.cursor);
    if info.length == 0 || cursor >= info.last_generated {
        return None;
    }
    match row {
        Some(row) if row.owner.is_some() => None,
        Some(_) => Some(format!("{source}: entries wait, and no worker owns the stream")),
        None if source.partition >= partitions => Some(format!(
            "{source}: entries wait, and INGEST_PARTITIONS is {partitions}: no worker reads them"
        )),
        None => Some(format!("{source}: entries wait, and no worker has ever read the stream")),
    }
}
