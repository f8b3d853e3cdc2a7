//! The port to work, on a database.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{source::Source, work::matching::WaitingTask};

use super::{
    agents::{self, AgentSocket, Attempts, Beat, ConnectedAgent, Said},
    due::{self, DueTask, Spans},
    handover::{self, Claimed, Handover},
    lanes,
    port::WorkStore,
    rows,
    signals::{self, Dependent, Signal, SignalKind},
    view::{self, GroupView, QueueView, TaskView},
};
use crate::{StoreError, database::Database, sql::SessionKind};

#[async_trait]
impl WorkStore for Database {
    async fn clock(&self) -> Result<i64, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            due::clock(&mut session).await
        };
        self.within(asked).await
    }

    async fn has_open_tasks(&self, source: Source) -> Result<bool, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            rows::has_open(&mut session, source).await
        };
        self.within(asked).await
    }

    async fn due(
        &self,
        source: Source,
        at: i64,
        spans: Spans,
        limit: i64,
    ) -> Result<Vec<DueTask>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            due::read(&mut session, source, at, spans, limit).await
        };
        self.within(asked).await
    }

    async fn stand_still(&self, source: Source, ms: i64) -> Result<(), StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            due::stand_still(&mut session, source, ms).await
        };
        self.within(asked).await
    }

    async fn connected_agents(&self) -> Result<Vec<ConnectedAgent>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            agents::all(&mut session).await
        };
        self.within(asked).await
    }

    async fn lanes(&self, source: Source) -> Result<Vec<String>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            lanes::all(&mut session, source).await
        };
        self.within(asked).await
    }

    async fn waiting_in(
        &self,
        source: Source,
        lane: &str,
        limit: usize,
    ) -> Result<Vec<WaitingTask>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            lanes::waiting_in(&mut session, source, lane, limit).await
        };
        self.within(asked).await
    }

    async fn rejected_tasks(
        &self,
        source: Source,
        limit: i64,
    ) -> Result<Vec<WaitingTask>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            lanes::rejected(&mut session, source, limit).await
        };
        self.within(asked).await
    }

    async fn signals(&self, source: Source, limit: i64) -> Result<Vec<Signal>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            signals::read(&mut session, source, limit).await
        };
        self.within(asked).await
    }

    async fn settle(&self, signals: &[Signal]) -> Result<(), StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let answer = signals::settle(&mut session, signals).await?;
            Ok((session, answer))
        };
        self.committed(asked).await
    }

    async fn signal(&self, kind: SignalKind, tasks: &[&str]) -> Result<(), StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            signals::send(&mut session, kind, tasks).await
        };
        self.within(asked).await
    }

    async fn dependencies(&self, tasks: &[&str]) -> Result<Vec<(Box<str>, Dependent)>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            signals::dependencies(&mut session, tasks).await
        };
        self.within(asked).await
    }

    async fn reach(&self, tasks: &[&str]) -> Result<Vec<(Box<str>, Box<str>)>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            signals::reach(&mut session, tasks).await
        };
        self.within(asked).await
    }

    async fn group_members(
        &self,
        source: Source,
        group: &str,
        limit: i64,
    ) -> Result<Vec<Box<str>>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            view::members(&mut session, source, group, limit).await
        };
        self.within(asked).await
    }

    async fn reap_agents(&self) -> Result<(), StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let answer = agents::reap(&mut session).await?;
            Ok((session, answer))
        };
        self.committed(asked).await
    }

    async fn beat(&self, node: &str) -> Result<Beat, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            agents::beat(&mut session, node).await
        };
        self.within(asked).await
    }

    async fn seat_agent(
        &self,
        node: &str,
        socket: &AgentSocket,
        said: &Said,
    ) -> Result<Attempts, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let answer = agents::seat(&mut session, node, socket, said).await?;
            Ok((session, answer))
        };
        self.committed(asked).await
    }

    async fn unseat_agent(&self, connection: &str) -> Result<(), StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let answer = agents::unseat(&mut session, connection).await?;
            Ok((session, answer))
        };
        self.committed(asked).await
    }

    async fn handovers(&self, node: &str) -> Result<Vec<Handover>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            handover::of(&mut session, node).await
        };
        self.within(asked).await
    }

    async fn claim_attempt(&self, handover: &Handover) -> Result<Option<Claimed>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let answer = handover::claim(&mut session, handover).await?;
            Ok((session, answer))
        };
        self.committed(asked).await
    }

    async fn unclaim_attempt(&self, handover: &Handover) -> Result<(), StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            handover::unclaim(&mut session, handover).await
        };
        self.within(asked).await
    }

    async fn cancellation_written(&self, handover: &Handover) -> Result<bool, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            handover::cancellation_written(&mut session, handover).await
        };
        self.within(asked).await
    }

    async fn task(&self, id: &str) -> Result<Option<TaskView>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            view::one(&mut session, id).await
        };
        self.within(asked).await
    }

    async fn queue(&self) -> Result<QueueView, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            view::queue(&mut session).await
        };
        self.within(asked).await
    }

    async fn task_counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            view::counts(&mut session).await
        };
        self.within(asked).await
    }

    async fn group(&self, id: &str) -> Result<Option<GroupView>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            view::group(&mut session, id).await
        };
        self.within(asked).await
    }

    async fn close_group(&self, id: &str, asked: &str) -> Result<u64, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let answer = view::close_group(&mut session, id, asked).await?;
            Ok((session, answer))
        };
        self.committed(asked).await
    }
}
