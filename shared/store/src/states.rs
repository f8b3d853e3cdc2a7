//! The states that a batch touches: read, folded forward within their bound, written again.
//!
//! Pure: what is read comes in by [`States::hold`], what is to be written goes out by
//! [`States::changed`].

use std::collections::{BTreeMap, HashMap};

use domain::event::{
    Event, State,
    bound::{bound, growth_bound, json_bytes},
    entity::{Entity, EntityKind, ended},
    fold::fold,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The most characters of a status that are kept beside the state, for lists.
pub(super) const STATUS_CHARS_MAX: usize = 64;

/// What an entity's row says besides its state.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    /// When the entity was first heard of.
    pub(super) created: i64,
    /// Since when it is at its end.
    pub(super) ended: Option<i64>,
    /// Rises with every change; 0 before the first.
    pub(super) version: i64,
    /// Without another event for so long it ends as abandoned.
    pub(super) lease_ms: Option<i64>,
    /// The fingerprint of a repository's path.
    pub(super) path: Option<i64>,
}

/// An entity's row to be written.
#[derive(Clone, Debug)]
pub(super) struct Changed {
    /// Which entity.
    pub(super) entity: Entity,
    /// The state as JSON.
    pub(super) state: String,
    /// Its `status`, if that is a text.
    pub(super) status: Option<String>,
    /// What else the row says, with the version it gets.
    pub(super) row: Stored,
    /// When it ends if nothing more is heard.
    pub(super) lease_until: Option<i64>,
}

#[derive(Clone, Debug, Default)]
struct Held {
    row: Stored,
    state: Option<State>,
    /// At least as many bytes as the state has as JSON.
    bytes_bound: usize,
    changed: bool,
}

/// The states of a batch.
#[derive(Debug, Default)]
pub(super) struct States {
    held: BTreeMap<Entity, Held>,
    /// Which repository has a path, by the path's fingerprint.
    paths: HashMap<i64, Box<str>>,
}

impl States {
    /// Takes in a state that was read, which has so many bytes as JSON.
    pub(super) fn hold(&mut self, entity: Entity, row: Stored, state: State, bytes: usize) {
        if let Some(path) = row.path {
            self.paths.insert(path, entity.id.clone());
        }
        let held = Held { row, state: Some(state), bytes_bound: bytes, changed: false };
        self.held.insert(entity, held);
    }

    /// Takes in that a repository has a path.
    pub(super) fn hold_path(&mut self, path: i64, id: &str) {
        self.paths.insert(path, id.into());
    }

    /// Folds an event into the states of its entities. What becomes larger than `bytes_max` is cut.
    pub(super) fn fold(
        &mut self,
        event: &Event,
        lease_ms: Option<i64>,
        recorded: i64,
        bytes_max: usize,
    ) {
        let entities = event.entities();
        let growth = growth_bound(event);
        for entity in &entities {
            let held = self.held.entry(entity.clone()).or_default();
            fold_one(held, entity, event, lease_ms, recorded);
            match entity.kind {
                // An event of many repositories says little of each.
                EntityKind::Repo => held.bytes_bound = held.state.as_ref().map_or(0, json_bytes),
                _ => held.bytes_bound += growth,
            }
            held.cut(bytes_max);
        }
        for entity in entities.iter().filter(|entity| entity.kind == EntityKind::Repo) {
            self.claim_path(entity);
        }
    }

    /// A repository that nobody knew must not have the path of another (`protocols.md` §2): then
    /// it is dropped.
    fn claim_path(&mut self, entity: &Entity) {
        let Some(held) = self.held.get_mut(entity) else { return };
        let path = held.state.as_ref().and_then(|state| state.get("path")).and_then(Value::as_str);
        let (None, Some(path)) = (held.row.path, path.map(path_digest)) else { return };
        let id = self.paths.entry(path).or_insert_with(|| entity.id.clone());
        if *id == entity.id {
            held.row.path = Some(path);
        } else {
            *held = Held::default();
        }
    }

    /// Whether a task was created; a task for one has a row of its own beside this.
    pub(super) fn has_created(&self, task: &str) -> bool {
        let held = self.held.get(&Entity::new(EntityKind::Task, task));
        let state = held.and_then(|held| held.state.as_ref());
        state.is_some_and(|state| state.contains_key("created_at"))
    }

    /// The rows that changed, in the order of their entities.
    pub(super) fn changed(self, recorded: i64) -> Vec<Changed> {
        let changed = self.held.into_iter().filter(|(_, held)| held.changed);
        changed.filter_map(|(entity, held)| held.into_row(entity, recorded)).collect()
    }
}

fn fold_one(held: &mut Held, entity: &Entity, event: &Event, lease_ms: Option<i64>, recorded: i64) {
    let state = fold(entity, held.state.take(), event, recorded);
    held.changed |= state.is_some();
    held.state = state;
    if matches!(entity.kind, EntityKind::Task | EntityKind::Deployment) {
        held.row.lease_ms = lease_ms.or(held.row.lease_ms);
    }
}

impl Held {
    /// Cuts the state to its bound; looks at it only when the estimate does not answer.
    fn cut(&mut self, bytes_max: usize) {
        if self.bytes_bound <= bytes_max {
            return;
        }
        if let Some(state) = &mut self.state {
            bound(state, bytes_max);
            self.bytes_bound = json_bytes(state);
        }
    }

    fn into_row(self, entity: Entity, recorded: i64) -> Option<Changed> {
        let (state, mut row) = (self.state?, self.row);
        let json = serde_json::to_string(&state).ok()?;
        let status = state.get("status").and_then(Value::as_str);
        let status = status.map(|status| status.chars().take(STATUS_CHARS_MAX).collect());
        if row.version == 0 {
            row.created = recorded;
        }
        row.version += 1;
        row.ended = ended(entity.kind, &state).then(|| row.ended.unwrap_or(recorded));
        // An ending uses the lease up: whoever goes on after it has to ask for another one.
        row.lease_ms = row.lease_ms.filter(|_| row.ended.is_none());
        let lease_until = row.lease_ms.map(|ms| recorded.saturating_add(ms));
        Some(Changed { entity, state: json, status, row, lease_until })
    }
}

/// The paths of the repositories that an event speaks of, as fingerprints.
pub(super) fn paths(event: &Event) -> Vec<i64> {
    let repos = event.body().get("repos").and_then(Value::as_array);
    let path = |repo: &Value| repo.get("path").and_then(Value::as_str).map(path_digest);
    repos.into_iter().flatten().filter_map(path).collect()
}

/// The fingerprint of a path: paths may be longer than what an index takes.
fn path_digest(path: &str) -> i64 {
    let bytes = Sha256::digest(path.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    i64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::event::EventKind;

    const MAX: usize = 256 * 1024;

    fn update(id: &str, data: &str) -> Event {
        Event::new(EventKind::DeploymentUpdate, Some(id), data)
    }

    #[test]
    fn a_state_that_would_become_too_large_is_cut_and_counts() {
        let mut states = States::default();
        states.fold(&update("d", r#"{"a":1}"#), None, 5, 400);
        let large =
            update("d", &format!("{{\"b\":\"{}\",\"status\":\"success\"}}", "x".repeat(500)));
        states.fold(&large, None, 6, 400);
        states.fold(&update("d", r#"{"c":2}"#), None, 7, 400);
        let [changed] = states.changed(7).try_into().unwrap();
        assert!(changed.state.contains(r#""a":1"#) && changed.state.contains(r#""c":2"#));
        assert!(changed.state.contains(r#""truncated":true"#), "{}", changed.state);
        assert!(changed.state.len() <= 400 && changed.state.len() > 300, "{}", changed.state.len());
        assert_eq!(changed.status.as_deref(), Some("success"));
    }

    #[test]
    fn an_event_of_many_repositories_costs_what_it_weighs() {
        let repo = |n: usize| format!(r#"{{"id":"r{n}","path":"/p{n}","name":"n"}}"#);
        let repos: Vec<String> = (0..5000).map(repo).collect();
        let data = format!(r#"{{"repos":[{}]}}"#, repos.join(","));
        let event = Event::new(EventKind::GitStatus, Some("a"), &data);
        let mut states = States::default();
        let begun = std::time::Instant::now();
        for recorded in 1..=10 {
            states.fold(&event, None, recorded, MAX);
        }
        assert_eq!(states.changed(10).len(), 5000);
        let ms = begun.elapsed().as_millis();
        // Quadratic it would be many minutes, on any machine.
        assert!(ms < 120_000, "{ms} ms for 50,000 folds");
    }

    #[test]
    fn a_repository_with_the_path_of_another_is_dropped() {
        let repos = |id: &str| {
            let data = format!(r#"{{"repos":[{{"id":"{id}","path":"/p","name":"n"}}]}}"#);
            Event::new(EventKind::GitStatus, Some("agent"), &data)
        };
        let mut states = States::default();
        for id in ["r1", "r2", "r1"] {
            states.fold(&repos(id), None, 5, MAX);
        }
        let changed = states.changed(5);
        assert_eq!(changed.len(), 1);
        assert_eq!(&*changed[0].entity.id, "r1");
    }

    #[test]
    fn the_end_of_an_entity_is_dated_once_and_ends_its_lease() {
        let mut states = States::default();
        states.fold(&update("d", "{}"), Some(60_000), 1000, MAX);
        let changed = states.changed(1000).remove(0);
        assert_eq!((changed.lease_until, changed.row.ended), (Some(61_000), None));
        for recorded in [2000, 3000] {
            let mut states = States::default();
            let row = Stored { ended: (recorded == 3000).then_some(2000), ..changed.row.clone() };
            let state = serde_json::from_str(&changed.state).unwrap();
            states.hold(changed.entity.clone(), row, state, changed.state.len());
            states.fold(&update("d", r#"{"status":"success"}"#), None, recorded, MAX);
            let changed = states.changed(recorded).remove(0);
            assert_eq!((changed.lease_until, changed.row.ended), (None, Some(2000)));
            assert_eq!((changed.row.created, changed.row.version), (1000, 2));
        }
    }

    #[test]
    fn a_nul_is_not_kept_in_a_state() {
        let mut states = States::default();
        states.fold(&update("d", r#"{"a\u0000":"\u0000","b":"\\u0000"}"#), None, 1, MAX);
        let state = states.changed(1).remove(0).state;
        assert!(state.contains("\"a\u{fffd}\":\"\u{fffd}\""), "{state}");
        assert!(state.contains(r#""b":"\\u0000""#), "{state}");
    }
}
