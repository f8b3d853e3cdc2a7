//! The judge of a batch's steps: the tasks that it touches, locked, and what becomes of each step.
//!
//! What it decides is decided by [`domain::work::judge`]; here the rows are held that it looks at,
//! and what it changed is written at the end of the transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{
    event::{Event, EventKind, Rejection, State, Submission, submission::Origin},
    source::{Source, Stream},
    work::{
        AttemptChange, Recording, Ruling, Task, TaskSpec, TaskStep, judge,
        step::{Defaults, Speaker},
    },
};
use serde_json::Value;

use super::{
    agents::{self, AgentSeat},
    rows::{self, BegunAttempt, Ended, Heard, Written},
    signals::{self, SignalKind},
};
use crate::{StoreError, engine::SqlSession};

/// What becomes of a step.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The event is recorded as it was given.
    AsGiven,
    /// These events are recorded instead.
    Events(Vec<Event>),
    /// The same was recorded before.
    Repeated,
    /// The worker's proposal no longer fits.
    Moot,
    /// It is refused.
    Refused(Rejection),
}

/// The tasks that a batch touches, and what it does to them.
#[derive(Debug, Default)]
pub(crate) struct Bench {
    defaults: Option<Defaults>,
    tasks: BTreeMap<Box<str>, Task>,
    /// The groups that are closed.
    closed: BTreeMap<Box<str>, String>,
    seats: HashMap<Box<str>, AgentSeat>,
    /// The tasks that changed; whether what they depend on is to be counted anew.
    changed: BTreeMap<Box<str>, bool>,
    created: BTreeSet<Box<str>>,
    /// Tasks that ended, or (true) that wait again.
    turned: Vec<(Box<str>, bool)>,
    begun: Vec<BegunAttempt>,
    heard: Vec<Heard>,
    ended: Vec<Ended>,
    answered: Vec<(Box<str>, Box<str>)>,
}

impl Bench {
    /// Locks what the steps of a batch are about.
    pub(crate) async fn lock(
        session: &mut SqlSession,
        source: Source,
        steps: &[&Submission],
        defaults: Defaults,
    ) -> Result<Self, StoreError> {
        if source.stream != Stream::Tasks || steps.is_empty() {
            return Ok(Self { defaults: Some(defaults), ..Self::default() });
        }
        let specs: Vec<TaskSpec> = steps
            .iter()
            .filter(|step| step.event.kind == EventKind::TaskCreated)
            .filter_map(|step| TaskSpec::read(step.event.body()).ok().flatten())
            .collect();
        let about = steps.iter().filter_map(|step| step.event.id.as_deref());
        let on = specs.iter().flat_map(|spec| spec.depends_on.iter().map(|on| &**on));
        let tasks = rows::lock(session, &about.chain(on).collect()).await?;
        let retried = |step: &&&Submission| {
            matches!(step.event.kind, EventKind::TaskRetry | EventKind::TaskRetried)
        };
        let again: Vec<&Task> = steps
            .iter()
            .filter(retried)
            .filter_map(|step| tasks.get(step.event.id.as_deref()?))
            .collect();
        let on: BTreeSet<&str> = again
            .iter()
            .flat_map(|task| task.spec.depends_on.iter().map(|on| &**on))
            .filter(|on| !tasks.contains_key(*on))
            .collect();
        rows::lock(session, &on).await?;
        let groups = specs.iter().chain(again.iter().map(|task| &task.spec));
        let groups = groups.filter_map(|spec| spec.group.as_deref()).collect();
        let closed = rows::groups(session, &groups).await?;
        let assigned = |step: &&&Submission| {
            step.origin == Origin::Worker && step.event.kind == EventKind::TaskAssigned
        };
        let wanted: BTreeSet<&str> =
            steps.iter().filter(assigned).filter_map(|step| step.event.text("agent")).collect();
        let seats = agents::lock(session, &wanted).await?;
        Ok(Self { defaults: Some(defaults), tasks, closed, seats, ..Self::default() })
    }

    /// Whether a task is for one.
    pub(crate) fn knows(&self, task: &str) -> bool {
        self.tasks.contains_key(task)
    }

    /// Judges a step. `is_for_all`: whether its task was created, for all.
    pub(crate) fn judge(
        &mut self,
        submission: &Submission,
        is_for_all: bool,
        recorded: i64,
    ) -> Verdict {
        let event = &submission.event;
        let (EventKind::TaskCreated, Some(id)) = (&event.kind, event.id.as_deref()) else {
            return self.step(submission, is_for_all, recorded);
        };
        let spec = TaskSpec::read(event.body()).ok().flatten();
        match spec {
            _ if self.knows(id) => Verdict::Refused(exists()),
            Some(_) if is_for_all => Verdict::Refused(exists()),
            Some(spec) => self.create(submission, id, spec, recorded),
            None => Verdict::AsGiven,
        }
    }

    fn create(
        &mut self,
        submission: &Submission,
        id: &str,
        spec: TaskSpec,
        recorded: i64,
    ) -> Verdict {
        let lease_ms = submission.lease_ms.and_then(|ms| i64::try_from(ms).ok());
        let task = Task::new(spec, lease_ms, recorded);
        let mut events = vec![created(&submission.event)];
        self.tasks.insert(id.into(), task);
        self.created.insert(id.into());
        self.changed.insert(id.into(), true);
        events.extend(self.leave_closed_group(id, &submission.event, recorded));
        Verdict::Events(events)
    }

    /// Cancels a task that begins to wait in a group that is closed.
    fn leave_closed_group(&mut self, id: &str, event: &Event, recorded: i64) -> Option<Event> {
        let group = self.tasks.get(id)?.spec.group.clone()?;
        self.closed.get(&group)?;
        let body = State::from_iter([(String::from("reason"), Value::from("group"))]);
        let recording =
            self.take(id, &EventKind::TaskCancelled, &body, Speaker::Worker, recorded)?;
        self.note(id, &recording, None);
        recording.events.into_iter().next().map(|(kind, data)| derived(event, kind, &data))
    }

    /// Takes a step that must count.
    fn take(
        &mut self,
        id: &str,
        kind: &EventKind,
        body: &State,
        speaker: Speaker<'_>,
        now: i64,
    ) -> Option<Recording> {
        let defaults = self.defaults?;
        let task = self.tasks.get_mut(id)?;
        match judge(task, &TaskStep { kind, body, speaker, now, defaults }) {
            Ruling::Recorded(recording) => Some(recording),
            Ruling::Repeated | Ruling::Moot | Ruling::Refused(_) => None,
        }
    }

    fn step(&mut self, submission: &Submission, is_for_all: bool, recorded: i64) -> Verdict {
        let event = &submission.event;
        let id = event.id.as_deref().unwrap_or_default();
        let holder = submission.holder.as_ref();
        let speaker = match (submission.origin, holder) {
            (Origin::Worker, _) => Speaker::Worker,
            (Origin::Outside, Some(holder)) => Speaker::Agent(&holder.agent),
            (Origin::Outside, None) => Speaker::Outside,
        };
        let (Some(task), Some(defaults)) = (self.tasks.get_mut(id), self.defaults) else {
            return unknown(&event.kind, speaker, is_for_all);
        };
        if speaker == Speaker::Worker
            && event.kind == EventKind::TaskAssigned
            && !event.text("agent").is_some_and(|agent| {
                self.seats.get(agent).is_some_and(|seat| seat.free > 0 && seat.takes_work)
            })
        {
            return Verdict::Moot;
        }
        let step =
            TaskStep { kind: &event.kind, body: event.body(), speaker, now: recorded, defaults };
        let verdict = judge(task, &step);
        if let Speaker::Agent(agent) = speaker
            && !task.is_held()
        {
            self.answered.push((id.into(), agent.into()));
        }
        match verdict {
            Ruling::Recorded(recording) => {
                let connection = holder.map(|holder| &*holder.connection);
                self.note(id, &recording, connection);
                let given = recording.events.into_iter();
                let mut events: Vec<Event> =
                    given.map(|(kind, data)| derived(event, kind, &data)).collect();
                if events.iter().any(|event| event.kind == EventKind::TaskRetried) {
                    events.extend(self.leave_closed_group(id, event, recorded));
                }
                Verdict::Events(events)
            }
            Ruling::Repeated => Verdict::Repeated,
            Ruling::Moot => Verdict::Moot,
            Ruling::Refused(rejection) => Verdict::Refused(rejection),
        }
    }

    /// Notes what a step did, to be written.
    fn note(&mut self, id: &str, recording: &Recording, connection: Option<&str>) {
        let Some(row) = self.tasks.get(id) else { return };
        let (task, number): (Box<str>, u64) = (id.into(), row.attempt);
        let waits = recording.events.iter().any(|(kind, _)| *kind == EventKind::TaskRetried);
        *self.changed.entry(task.clone()).or_default() |= waits;
        if waits || row.status.is_end() {
            self.turned.push((task.clone(), waits));
        }
        match &recording.attempt {
            None => {}
            Some(AttemptChange::Began) => {
                let agent = row.holder.clone().unwrap_or_default();
                let Some(seat) = self.seats.get_mut(&agent) else { return };
                seat.free = seat.free.saturating_sub(1);
                let (connection, accepts) = (seat.connection.clone(), seat.accepts);
                self.begun.push(BegunAttempt { task, number, agent, connection, accepts });
            }
            Some(AttemptChange::Heard { accepted }) => {
                let (connection, accepted) = (connection.map(Into::into), *accepted);
                self.heard.push(Heard { task, number, connection, accepted });
            }
            Some(AttemptChange::Ended { end, keeps_slot }) => {
                let (ending, keeps_slot) = (*end, *keeps_slot);
                self.ended.push(Ended { task, number, ending, keeps_slot });
            }
        }
    }

    /// Writes what the steps changed.
    pub(crate) async fn write(
        &self,
        session: &mut SqlSession,
        source: Source,
        recorded: i64,
    ) -> Result<(), StoreError> {
        let written: Vec<Written<'_>> = self
            .changed
            .iter()
            .filter_map(|(id, recount)| {
                let task = self.tasks.get(id)?;
                // Counted as soon as the owner looks; until then it waits for all of them.
                let all = i64::try_from(task.spec.depends_on.len()).unwrap_or(i64::MAX);
                Some(Written { id, task, waits: recount.then_some(all) })
            })
            .collect();
        rows::write(session, source, recorded, &written).await?;
        let created: Vec<(&str, &Task)> =
            self.created.iter().filter_map(|id| Some((&**id, self.tasks.get(id)?))).collect();
        rows::depend(session, &created).await?;
        rows::begin(session, source, recorded, &self.begun).await?;
        rows::hear(session, recorded, &self.heard).await?;
        rows::end(session, recorded, &self.ended).await?;
        rows::free(session, &self.answered).await?;
        let recounted = self.changed.iter().filter(|(id, recount)| {
            let task = self.tasks.get(*id);
            **recount && task.is_some_and(|task| !task.spec.depends_on.is_empty())
        });
        let recounted: Vec<&str> = recounted.map(|(id, _)| &**id).collect();
        signals::send(session, SignalKind::Check, &recounted).await?;
        let turned: Vec<(&str, bool)> =
            self.turned.iter().map(|(id, again)| (&**id, *again)).collect();
        signals::dependents(session, &turned).await
    }
}

fn exists() -> Rejection {
    Rejection::worded("id", "exists", "is the id of another task")
}

/// What becomes of a step of a task that is not for one.
fn unknown(kind: &EventKind, speaker: Speaker<'_>, is_for_all: bool) -> Verdict {
    match (kind, speaker) {
        (EventKind::TaskCancel | EventKind::TaskRetry, _) if is_for_all => Verdict::Refused(
            Rejection::worded("assign", "assign", "is all: this is for tasks for one alone"),
        ),
        (EventKind::TaskCancel | EventKind::TaskRetry, _) => {
            Verdict::Refused(Rejection::worded("id", "unknown", "is the id of no task"))
        }
        (EventKind::TaskAccepted | EventKind::TaskReleased, Speaker::Agent(_)) => Verdict::Refused(
            Rejection::worded("taskId", "attempt", "is no task that this agent was given alone"),
        ),
        (_, Speaker::Worker) => Verdict::Moot,
        _ => Verdict::AsGiven,
    }
}

/// The event that a task for one begins with: how far it is is not its creator's to say.
fn created(event: &Event) -> Event {
    let is_own = |key: &str| matches!(key, "status" | "attempt" | "result" | "reason");
    if !event.body().keys().any(|key| is_own(key)) {
        return event.clone();
    }
    let mut data = event.body().clone();
    data.retain(|key, _| !is_own(key));
    derived(event, EventKind::TaskCreated, &data)
}

/// The event that a step becomes: with the user, the time and the trace of what was given.
fn derived(given: &Event, kind: EventKind, data: &State) -> Event {
    let text = serde_json::to_string(data).unwrap_or_else(|_| String::from("{}"));
    let mut event = Event::new(kind, given.id.as_deref(), &text);
    (event.user, event.at) = (given.user.clone(), given.at);
    event.traceparent.clone_from(&given.traceparent);
    event
}
