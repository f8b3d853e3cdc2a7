//! Reduces frames to the state of the watched entity, with the folds of the record.

use domain::{
    channel::Channel,
    event::{
        Event, EventKind, State,
        entity::{Entity, EntityKind, ended},
        fold::fold,
    },
};
use serde_json::Value;

/// Holds the state of what is watched, as far as its frames give it.
pub(super) struct Reducer {
    /// None for feeds, users and conversations, which never end.
    entity: Option<Entity>,
    state: Option<State>,
}

impl Reducer {
    /// Begins with nothing known of the channel.
    pub(super) fn of(channel: &Channel) -> Self {
        Self { entity: Entity::of(channel), state: None }
    }

    /// Replaces the state by a whole one; returns its log lines.
    pub(super) fn begin(&mut self, state: &Value) -> Vec<String> {
        self.state = state.as_object().cloned();
        texts(&state["logs"])
    }

    /// Folds an event; returns its log lines.
    pub(super) fn apply(&mut self, frame: &Value) -> Vec<String> {
        let data = &frame["data"];
        if let (Some(entity), true) = (&self.entity, data.is_object()) {
            let kind = EventKind::from_name(frame["event"].as_str().unwrap_or_default());
            let event = Event::new(kind, frame["id"].as_str(), &data.to_string());
            // A server of before says no time of recording; a free message changes nothing.
            let recorded = frame["recorded"].as_i64().or(frame["at"].as_i64()).unwrap_or_default();
            if frame["free"] != true {
                self.state = fold(entity, self.state.take(), &event, recorded);
            }
        }
        let mut lines = texts(&data["lines"]);
        lines.extend(data["message"].as_str().map(str::to_owned));
        lines
    }

    /// Returns whether it ended well; none while it has not ended.
    pub(super) fn outcome(&self) -> Option<bool> {
        let (entity, state) = (self.entity.as_ref()?, self.state.as_ref()?);
        let over = matches!(
            entity.kind,
            EntityKind::Deployment | EntityKind::Task | EntityKind::Container
        );
        (over && ended(entity.kind, state))
            .then(|| matches!(self.text("status"), "success" | "completed"))
    }

    /// Returns a string of the state; empty when it is missing.
    pub(super) fn text(&self, key: &str) -> &str {
        let value = self.state.as_ref().and_then(|state| state.get(key));
        value.and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns its progress, in percent.
    pub(super) fn progress(&self) -> Option<f64> {
        self.state.as_ref()?.get("progress")?.as_f64()
    }

    /// Returns what it is doing: its stage, else its title or query.
    pub(super) fn stage(&self) -> &str {
        let words = ["stage", "title", "query"].map(|key| self.text(key));
        words.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }
}

fn texts(value: &Value) -> Vec<String> {
    let lines = value.as_array().into_iter().flatten();
    lines.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The vectors of the fold whose entities a channel shows.
    #[test]
    fn the_terminal_folds_as_the_record_does() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/fold");
        let mut count = 0;
        for kind in ["deployment", "task", "agent", "container"] {
            let text = std::fs::read(format!("{folder}/{kind}.json")).unwrap();
            for vector in domain::json::value(&text).unwrap().as_array().unwrap() {
                let id = vector["id"].as_str().unwrap();
                let channel = Channel::parse(&format!("{kind}:{id}")).unwrap();
                let mut reducer = Reducer::of(&channel);
                reducer.begin(&vector["state"]);
                let event = &vector["event"];
                reducer.apply(&json!({
                    "type": "event", "event": event["type"], "id": event["id"],
                    "data": event["data"], "at": event["at"], "recorded": vector["recorded"],
                }));
                let state = reducer.state.map_or(Value::Null, Value::Object);
                assert_eq!(state, vector["result"], "{}", vector["name"]);
                count += 1;
            }
        }
        assert!(count >= 80, "{count} vectors");
    }

    fn reducer(channel: &str) -> Reducer {
        Reducer::of(&Channel::parse(channel).unwrap())
    }

    #[test]
    fn a_deployment_ends_well_or_badly() {
        for (status, good) in [("success", true), ("error", false), ("abandoned", false)] {
            let mut reducer = reducer("deployment:d");
            let update = |data| json!({"event": "deployment_update", "id": "d", "data": data});
            let lines = reducer.apply(&update(json!({"progress": 50, "message": "half"})));
            assert_eq!((reducer.outcome(), reducer.progress()), (None, Some(50.0)));
            assert_eq!(lines, ["half"]);
            reducer.apply(&update(json!({ "status": status })));
            assert_eq!(reducer.outcome(), Some(good));
        }
    }

    #[test]
    fn a_container_ends_with_its_exit_code_and_a_feed_never() {
        let complete = |code| json!({"event": "complete", "id": "c", "data": {"exitCode": code}});
        let mut one = reducer("container:c");
        one.apply(&complete(0));
        assert_eq!(one.outcome(), Some(true));
        let mut other = reducer("container:c");
        other.apply(&complete(2));
        assert_eq!(other.outcome(), Some(false));
        let mut feed = reducer("deployments");
        feed.apply(&json!({"event": "deployment_update", "id": "d", "data": {"status": "error"}}));
        assert_eq!(feed.outcome(), None);
    }
}
