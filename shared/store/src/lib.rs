//! The port to SQL: the record of what happened. SQLite for one process, PostgreSQL for many.
//!
//! The only crate that imports `sqlx`. Never in it: Redis, a client's protocol, a task of its own, or
//! a time of this machine: the database's clock counts.

mod activity;
mod activity_log;
mod analytics;
mod answers;
mod audit;
mod batch;
mod channel;
mod connect;
mod database;
mod dead_letter;
mod delivery;
mod denial;
mod engine;
mod entity;
mod erase;
mod error;
mod event;
mod file_owner;
mod known;
mod migrations;
mod options;
mod page;
mod partitions;
mod plan;
mod port;
mod postgres;
mod postgres_hosts;
mod record;
mod retention;
mod schema;
mod source;
mod sql;
mod sqlite;
mod states;
mod work;
mod worker;

pub use self::{
    activity_log::ActivityLog,
    answers::{
        ActivityRow, ActivitySince, AuditEntry, AuditRecord, DeadLetter, DeadLetterFilter,
        DeadLetterOrigin, DeliveryEnd, EntityFilter, ErasePoint, ErasedEvents, Holdings, Lapsed,
        ListCursor, Listed, Page, Partitions, Snapshot, SourceRow, TaskRun, Traced,
        WebhookDelivery,
    },
    batch::{Committed, DeadReason, EntryBatch, EntryVerdict, Judged, NewDelivery, Outcome},
    connect::connect,
    error::{StoreError, StoreRefusal},
    file_owner::FileOwner,
    options::Options,
    port::Store,
    work::{
        NODE_DEAD_MS,
        agents::{AgentSocket, Attempts, Beat, ConnectedAgent, Said},
        due::{DueTask, DueWhy, Spans},
        handover::{Claimed, Handover},
        port::WorkStore,
        signals::{Dependent, Signal, SignalKind},
        view::{AttemptView, GroupView, QueueView, TaskView, WaitingView},
    },
};
