//! A fresh database of either engine, an owner that records into it, and the words of the scenarios.

use std::{sync::Arc, time::Duration};

use domain::{
    channel::Channel,
    entry::{EntryId, Fields},
    event::{Submission, submission::Origin},
    node::NodeId,
    position::Offsets,
    source::{Source, Stream},
};
use services::{Postgres, Scratch};
use store::{
    Committed, DeadReason, EntryBatch, EntryVerdict, Judged, Options, Outcome, Page, SourceRow,
    Store, StoreError, connect,
};

pub(crate) const LEASE: Duration = Duration::from_secs(3);
pub(crate) const STATE_BYTES: usize = 256 * 1024;
pub(crate) const DEPLOYMENTS: Source = Source::first(Stream::Deployments);
pub(crate) const TASKS: Source = Source::first(Stream::Tasks);
pub(crate) const AGENTS: Source = Source::first(Stream::Agents);

/// Makes a test of each scenario for each engine.
macro_rules! on_both_engines {
    ($($scenario:ident,)+) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(crate::bench::Bench::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(crate::bench::Bench::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_both_engines;

/// A migrated database and its store.
pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) url: String,
    _scratch: Option<Scratch>,
}

impl Bench {
    pub(crate) async fn sqlite() -> Self {
        let scratch = Scratch::new("store");
        let url = format!("sqlite://{}", scratch.path().join("fanfare.db").display());
        Self::at(url, Some(scratch)).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::at(Postgres::shared().url("store"), None).await
    }

    pub(crate) async fn at(url: String, scratch: Option<Scratch>) -> Self {
        let store = connect(&url, &Options::default()).await.unwrap();
        store.migrate().await.unwrap();
        Self { store, url, _scratch: scratch }
    }

    /// Runs SQL past the store: what time or another program would have done.
    pub(crate) async fn sql(&self, sql: &'static str) {
        use sqlx::Connection as _;

        if self.url.starts_with("sqlite") {
            let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        } else {
            let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
    }

    /// One text of the database.
    pub(crate) async fn ask(&self, sql: &'static str) -> Option<String> {
        use sqlx::Connection as _;

        if self.url.starts_with("sqlite") {
            let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_optional(&mut connection).await.unwrap()
        } else {
            let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_optional(&mut connection).await.unwrap()
        }
    }

    pub(crate) async fn owner(&self, source: Source) -> Owner<'_> {
        self.owner_named(source, "worker-1").await.unwrap()
    }

    pub(crate) async fn owner_named(&self, source: Source, name: &str) -> Option<Owner<'_>> {
        self.store.sources(&[source]).await.unwrap();
        let row = self.store.claim(source, &node(name), LEASE).await.unwrap()?;
        Some(Owner { bench: self, source, fence: row.fence, cursor: row.cursor, published: 0 })
    }

    pub(crate) async fn row(&self, source: Source) -> SourceRow {
        let rows = self.store.sources(&[source]).await.unwrap();
        rows.into_iter().find(|row| row.source == source).unwrap()
    }

    /// All of a channel.
    pub(crate) async fn all(&self, channel: &str) -> Page {
        let channel = Channel::parse(channel).unwrap();
        self.store.page(&channel, &Offsets::default(), 10_000, usize::MAX).await.unwrap()
    }
}

/// An owner of a source, as its lease row sees it.
#[derive(Clone)]
pub(crate) struct Owner<'b> {
    pub(crate) bench: &'b Bench,
    pub(crate) source: Source,
    pub(crate) fence: u64,
    pub(crate) cursor: EntryId,
    pub(crate) published: u64,
}

impl Owner<'_> {
    pub(crate) async fn try_record(
        &mut self,
        entries: Vec<Judged>,
    ) -> Result<Committed, StoreError> {
        let cursor = entries.iter().map(|judged| judged.entry).max().unwrap_or(self.cursor);
        let batch = EntryBatch { before: self.cursor, cursor, entries, published: self.published };
        let store = &self.bench.store;
        let committed = store.record(self.source, self.fence, &batch, STATE_BYTES).await?;
        self.cursor = cursor;
        Ok(committed)
    }

    pub(crate) async fn record(&mut self, entries: Vec<Judged>) -> Committed {
        self.try_record(entries).await.unwrap()
    }

    /// Goes back to an earlier cursor, as after a loss at the broker.
    pub(crate) async fn set_back(&mut self, cursor: EntryId) {
        let generation = self.bench.row(self.source).await.generation + 1;
        let store = &self.bench.store;
        let row = store.regenerate(self.source, self.fence, generation, "r", cursor).await.unwrap();
        self.cursor = row.cursor;
    }
}

pub(crate) fn node(name: &str) -> NodeId {
    NodeId(name.into())
}

pub(crate) fn id(ms: u64) -> EntryId {
    EntryId { ms, number: 0 }
}

/// An entry as a worker judges it.
pub(crate) fn entry(source: Source, ms: u64, fields: &[(&str, &str)]) -> Judged {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
    let fields = Fields(fields.collect());
    let verdict = match Submission::parse(source.stream, id(ms), &fields, Origin::Outside, 0) {
        Ok(submission) => EntryVerdict::Accepted(Box::new(submission)),
        Err(rejection) => {
            let text = rejection.to_string();
            EntryVerdict::Dead(DeadReason { label: rejection.label(), text })
        }
    };
    Judged { entry: id(ms), digest: fields.digest(), verdict, fields, deliveries: Vec::new() }
}

/// An update of a deployment.
pub(crate) fn update(ms: u64, deployment: &str, data: &str) -> Judged {
    let fields = [("type", "deployment_update"), ("id", deployment), ("data", data)];
    entry(DEPLOYMENTS, ms, &fields)
}

/// Channels and offsets of an outcome that was recorded or repeated.
pub(crate) fn placed(outcome: &Outcome) -> Vec<(String, u64)> {
    match outcome {
        Outcome::Recorded(placed) | Outcome::Repeated(placed) => {
            placed.iter().map(|(channel, offset)| (channel.to_string(), *offset)).collect()
        }
        other => panic!("{other:?} has no place"),
    }
}

/// The offsets of a page.
pub(crate) fn offsets(page: &Page) -> Vec<u64> {
    page.publications.iter().map(|publication| publication.offset).collect()
}
