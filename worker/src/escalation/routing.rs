//! Which routes an alert takes. A pure function of the alert and the routes.

use domain::event::{Event, EventKind};
use runtime::config::AlertRoute;
use store::{EntryVerdict, Judged, NewDelivery};

/// What an alert's source begins with when it is an agent.
const AGENT: &str = "agent:";

/// Notes where an alert goes, to be written when it is recorded.
pub fn route(routes: &[AlertRoute], judged: &mut Judged) {
    let EntryVerdict::Accepted(submission) = &judged.verdict else { return };
    if submission.event.kind != EventKind::Alert {
        return;
    }
    let taken = routes.iter().filter(|route| takes(route, &submission.event));
    judged.deliveries =
        taken.map(|route| NewDelivery { route: route.name.clone(), after: route.after }).collect();
}

fn takes(route: &AlertRoute, alert: &Event) -> bool {
    let source = alert.text("source").unwrap_or_default();
    // An agent's own name counts, else the source where that names one.
    let agent = ["agent", "agentId"].into_iter().find_map(|key| alert.text(key));
    let agent = agent.or_else(|| source.strip_prefix(AGENT));
    let severity = alert.text("severity").unwrap_or_default();
    (route.severities.is_empty() || route.severities.iter().any(|wanted| wanted == severity))
        && route.source.as_ref().is_none_or(|pattern| pattern.matches(source))
        && route.agent.as_ref().is_none_or(|pattern| agent.is_some_and(|it| pattern.matches(it)))
}

#[cfg(test)]
mod tests {
    use domain::{
        channel::Pattern,
        entry::{Entry, EntryId, Fields},
        source::{Source, Stream},
    };
    use runtime::config::{AlertDestination, SecretText};
    use std::time::Duration;

    use super::*;
    use crate::validation::validate;

    fn routes() -> Vec<AlertRoute> {
        let any = AlertRoute {
            name: "any".into(),
            severities: Vec::new(),
            source: None,
            agent: None,
            after: None,
            destination: AlertDestination::Webhook,
            url: SecretText::new("https://example.com"),
            secret: None,
        };
        vec![
            AlertRoute { name: "grave".into(), severities: vec!["critical".into()], ..any.clone() },
            AlertRoute { name: "ci".into(), source: Some(Pattern::new("ci:*")), ..any.clone() },
            AlertRoute { name: "gpu".into(), agent: Some(Pattern::new("gpu-*")), ..any.clone() },
            AlertRoute { after: Some(Duration::from_secs(60)), ..any },
        ]
    }

    fn taken(kind: &str, data: &str) -> Vec<String> {
        let fields = [("type", kind), ("id", "a"), ("data", data)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
        let entry = Entry { id: EntryId::ZERO, fields: Fields(fields.into()) };
        let mut judged = validate(Source::first(Stream::Agents), entry, 0);
        route(&routes(), &mut judged);
        judged.deliveries.into_iter().map(|delivery| delivery.route).collect()
    }

    #[test]
    fn an_alert_takes_every_route_that_is_for_it() {
        for (data, names) in [
            (r#"{"severity":"critical","title":"t"}"#, &["grave", "any"][..]),
            (r#"{"severity":"info","title":"t","source":"ci:main"}"#, &["ci", "any"]),
            (r#"{"severity":"info","title":"t","source":"agent:gpu-1"}"#, &["gpu", "any"]),
            (r#"{"severity":"info","title":"t","source":"x","agent":"gpu-1"}"#, &["gpu", "any"]),
            (r#"{"severity":"info","title":"t","source":"agent:cpu-1"}"#, &["any"]),
        ] {
            assert_eq!(taken("alert", data), names, "{data}");
        }
    }

    #[test]
    fn nothing_else_takes_any() {
        assert!(taken("alert_acknowledged", "{}").is_empty());
        assert!(taken("alert", "{}").is_empty(), "a dead letter");
        assert!(taken("agent_status", r#"{"status":"idle"}"#).is_empty());
    }
}
