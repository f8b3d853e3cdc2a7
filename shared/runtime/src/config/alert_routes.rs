//! The file of `ALERT_ROUTES`: which alerts go where. URLs and secrets are named there and held by
//! the environment, so that the file can lie beside the other settings.

use std::{collections::HashMap, fmt, time::Duration};

use domain::{channel::Pattern, event::catalog::SEVERITIES};
use serde::Deserialize;
use url::Url;

/// The most routes of a file: each is served on its own.
const ROUTES_MAX: usize = 100;

/// The longest name of a route, in bytes: it is a label of metrics.
const NAME_BYTES_MAX: usize = 100;

/// The longest time without an acknowledgement.
const AFTER_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

/// What understands the message at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertDestination {
    /// An incoming webhook of Slack.
    Slack,
    /// A webhook of Discord.
    Discord,
    /// Anything that takes Standard Webhooks.
    Webhook,
}

/// One way for alerts to leave.
#[derive(Clone, Debug)]
pub struct AlertRoute {
    /// Its name, unlike any other's.
    pub name: String,
    /// The severities that it is for; empty: all.
    pub severities: Vec<String>,
    /// What the alert's source has to match.
    pub source: Option<Pattern>,
    /// What the agent that the alert is about has to match.
    pub agent: Option<Pattern>,
    /// How old an alert becomes without an acknowledgement before it goes this way; none: it goes at
    /// once, acknowledged or not.
    pub after: Option<Duration>,
    /// What understands the message.
    pub destination: AlertDestination,
    /// Where it is posted.
    pub url: SecretText,
    /// What signs it.
    pub secret: Option<SecretText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteFile {
    #[serde(default)]
    route: Vec<RouteTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteTable {
    name: String,
    #[serde(default)]
    severity: Vec<String>,
    source: Option<String>,
    agent: Option<String>,
    after_ms: Option<u64>,
    slack: Option<String>,
    discord: Option<String>,
    webhook: Option<String>,
    secret: Option<String>,
}

/// Reads the file.
///
/// # Errors
/// Everything that is wrong, a sentence each, without the value of any variable.
pub(super) fn read(
    path: &str,
    variables: &HashMap<String, String>,
) -> Result<Vec<AlertRoute>, Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|error| vec![format!("{path}: {error}")])?;
    parse(&text, variables)
        .map_err(|reasons| reasons.into_iter().map(|why| format!("{path}: {why}")).collect())
}

fn parse(text: &str, variables: &HashMap<String, String>) -> Result<Vec<AlertRoute>, Vec<String>> {
    let file: RouteFile = toml::from_str(text).map_err(|error| vec![error.message().to_owned()])?;
    let (mut routes, mut wrong) = (Vec::<AlertRoute>::new(), Vec::new());
    if file.route.len() > ROUTES_MAX {
        wrong.push(format!("there are more than {ROUTES_MAX} routes"));
    }
    for table in file.route.into_iter().take(ROUTES_MAX) {
        let name = table.name.clone();
        match route(table, variables) {
            _ if routes.iter().any(|route| route.name == name) => {
                wrong.push(format!("there are two routes named {name:?}"));
            }
            Ok(route) => routes.push(route),
            Err(why) => wrong.push(format!("route {name:?}: {why}")),
        }
    }
    if wrong.is_empty() { Ok(routes) } else { Err(wrong) }
}

fn route(table: RouteTable, variables: &HashMap<String, String>) -> Result<AlertRoute, String> {
    let RouteTable { name, severity, source, agent, after_ms, .. } = table;
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        return Err(format!("a name has 1 to {NAME_BYTES_MAX} bytes without control characters"));
    }
    if let Some(other) = severity.iter().find(|given| !SEVERITIES.contains(&given.as_str())) {
        return Err(format!("severity {other:?} is none of {}", SEVERITIES.join(", ")));
    }
    if after_ms.is_some_and(|ms| !(1..=AFTER_MS_MAX).contains(&ms)) {
        return Err(format!("after_ms is from 1 to {AFTER_MS_MAX}"));
    }
    let given = [
        (AlertDestination::Slack, "slack", table.slack),
        (AlertDestination::Discord, "discord", table.discord),
        (AlertDestination::Webhook, "webhook", table.webhook),
    ];
    let mut given = given.into_iter().filter_map(|(to, key, named)| Some((to, key, named?)));
    let (Some((destination, key, variable)), None) = (given.next(), given.next()) else {
        return Err(String::from("one of slack, discord and webhook is needed, and no second"));
    };
    let url = variable_text(key, &variable, variables)?;
    let parsed = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    if parsed.is_none_or(|url| url.host().is_none()) {
        return Err(format!("{key}: the variable {variable} holds no URL of https:// or http://"));
    }
    let secret =
        table.secret.map(|named| variable_text("secret", &named, variables)).transpose()?;
    Ok(AlertRoute {
        name,
        severities: severity,
        source: source.as_deref().map(Pattern::new),
        agent: agent.as_deref().map(Pattern::new),
        after: after_ms.map(Duration::from_millis),
        destination,
        url: SecretText::new(url),
        secret: secret.map(SecretText::new),
    })
}

/// The value of the variable that a key of a route names.
fn variable_text(
    key: &str,
    variable: &str,
    variables: &HashMap<String, String>,
) -> Result<String, String> {
    let value = variables.get(variable).map(|value| value.trim());
    match value.filter(|value| !value.is_empty()) {
        Some(value) => Ok(value.to_owned()),
        None if is_variable(variable) => {
            Err(format!("{key}: the variable {variable} of the environment is unset"))
        }
        // Most likely the URL itself, which is a secret.
        None => Err(format!("{key} is the name of a variable of the environment, not its value")),
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> HashMap<String, String> {
        [("SLACK_URL", "https://hooks.example/T/B/secret"), ("KEY", "whsec_MfKQ9r8GKYqrTwjU")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn a_route_says_what_it_is_for_and_where_it_leads() {
        let text = r#"
            [[route]]
            name = "now"
            slack = "SLACK_URL"
            [[route]]
            name = "later"
            severity = ["critical", "warning"]
            source = "agent:*"
            agent = "gpu-*"
            after_ms = 300000
            webhook = "SLACK_URL"
            secret = "KEY"
        "#;
        let routes = parse(text, &variables()).unwrap();
        assert_eq!(routes[0].destination, AlertDestination::Slack);
        assert_eq!((routes[0].after, routes[0].severities.len()), (None, 0));
        assert_eq!(routes[1].after, Some(Duration::from_mins(5)));
        assert!(routes[1].agent.as_ref().unwrap().matches("gpu-1"));
        assert_eq!(routes[1].secret.as_ref().unwrap().reveal(), "whsec_MfKQ9r8GKYqrTwjU");
        let shown = format!("{routes:?}");
        assert!(!shown.contains("hooks.example") && !shown.contains("MfKQ"), "{shown}");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (text, said) in [
            ("name = \"a\"\nslack = \"UNSET\"", "UNSET of the environment is unset"),
            ("name = \"a\"", "one of slack, discord and webhook"),
            ("name = \"a\"\nslack = \"KEY\"\ndiscord = \"KEY\"", "and no second"),
            ("name = \"a\"\nslack = \"https://hooks.example/T/B/secret\"", "not its value"),
            ("name = \"a\"\nslack = \"KEY\"", "KEY holds no URL"),
            ("name = \"\"\nslack = \"SLACK_URL\"", "a name has"),
            ("name = \"a\"\nslack = \"SLACK_URL\"\nseverity = [\"mild\"]", "\"mild\""),
            ("name = \"a\"\nslack = \"SLACK_URL\"\nafter_ms = 0", "after_ms"),
            ("name = \"a\"\nslack = \"SLACK_URL\"\nsevrity = []", "sevrity"),
            ("slack = \"SLACK_URL\"", "name"),
        ] {
            let wrong = parse(&format!("[[route]]\n{text}"), &variables()).unwrap_err().join(" ");
            assert!(wrong.contains(said), "{text}: {wrong}");
            assert!(!wrong.contains("hooks.example") && !wrong.contains("MfKQ"), "{wrong}");
        }
        let twice = "[[route]]\nname = \"a\"\nslack = \"SLACK_URL\"\n".repeat(2);
        assert!(parse(&twice, &variables()).unwrap_err()[0].contains("two routes"));
    }
}
