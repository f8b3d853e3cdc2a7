//! `fanfare publish`: one event by hand, answered when it is recorded.

use clap::{Args, builder::PossibleValuesParser};
use domain::source::Stream;
use reqwest::Method;
use runtime::config::Config;
use serde_json::{Map, Value};

use super::{
    duration,
    failure::Failure,
    output,
    server_client::{ServerArguments, ServerClient},
};

const HELP: &str = "\
Examples:
  fanfare publish deployments deployment_update d1 '{\"status\":\"building\",\"progress\":50}'
  fanfare publish messages system - '{\"message\":\"Maintenance at noon\"}'
  fanfare publish topics price EUR-USD - < price.json

Exit codes:
  0   recorded (or taken in, when that takes longer than 5 s)
  1   refused: the reason is said
  64  wrong usage
  69  no server answers, or it cannot take anything now";

/// Describes the event to publish.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Publish {
    /// The stream
    #[arg(value_parser = PossibleValuesParser::new(Stream::ALL.map(Stream::name)))]
    stream: String,
    /// The event's type, such as `deployment_update`
    #[arg(value_name = "TYPE")]
    kind: String,
    /// What it is about; `-` for nothing in particular
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    id: String,
    /// The body, a JSON object; `-` reads it from standard input
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    data: Option<String>,
    /// The event also goes to this user's channel
    #[arg(long)]
    user: Option<String>,
    /// The same id is applied once
    #[arg(long)]
    event_id: Option<String>,
    /// Without another event for so long it ends as abandoned: 90s, 30m, 1h
    #[arg(long, value_parser = duration::parse)]
    lease: Option<std::time::Duration>,
    #[command(flatten)]
    server: ServerArguments,
}

impl Publish {
    /// Publishes, and prints each channel with the position there.
    pub(crate) async fn run(self, config: &Config) -> Result<(), Failure> {
        let event = self.event()?;
        let server = ServerClient::connect(config, &self.server).await?;
        let answer = server.expect(Method::POST, &["v1", "publish"], &[], Some(&event)).await?;
        let published = answer["published"].as_array().map(Vec::as_slice).unwrap_or_default();
        for place in published {
            let text = |name: &str| place[name].as_str().unwrap_or_default();
            output::data(&format!("{} {}", text("channel"), text("position")))?;
        }
        if published.is_empty() {
            output::chatter("taken in; not recorded yet");
        }
        Ok(())
    }

    fn event(&self) -> Result<Value, Failure> {
        let mut event = Map::new();
        event.insert("stream".into(), self.stream.as_str().into());
        event.insert("type".into(), self.kind.as_str().into());
        if self.id != "-" {
            event.insert("id".into(), self.id.as_str().into());
        }
        if let Some(data) = &self.data {
            event.insert("data".into(), object(data)?);
        }
        let lease = self.lease.and_then(|lease| u64::try_from(lease.as_millis()).ok());
        let more = [
            ("user", self.user.as_deref().map(Value::from)),
            ("event_id", self.event_id.as_deref().map(Value::from)),
            ("lease_ms", lease.map(Value::from)),
        ];
        for (name, value) in more {
            event.extend(value.map(|value| (name.to_owned(), value)));
        }
        Ok(event.into())
    }
}

fn object(text: &str) -> Result<Value, Failure> {
    let text = match text {
        "-" => std::io::read_to_string(std::io::stdin())?,
        given => given.to_owned(),
    };
    match domain::json::value(text.as_bytes()) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(Failure::Usage("JSON must be an object: '{\"progress\":50}'".into())),
        Err(error) => Err(Failure::Usage(format!("JSON cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(id: &str, data: Option<&str>) -> Result<Value, Failure> {
        let data = data.map(str::to_owned);
        let (stream, kind) = ("messages".to_owned(), "system".to_owned());
        let id = id.to_owned();
        let server = ServerArguments::default();
        Publish { stream, kind, id, data, user: None, event_id: None, lease: None, server }.event()
    }

    #[test]
    fn a_hyphen_stands_for_no_id() {
        assert!(publish("-", None).unwrap().get("id").is_none());
        assert_eq!(publish("x", Some("{}")).unwrap()["id"], "x");
    }

    #[test]
    fn a_body_that_is_no_object_is_wrong_usage() {
        for wrong in ["[1]", "{", "7"] {
            assert!(matches!(publish("x", Some(wrong)), Err(Failure::Usage(_))), "{wrong}");
        }
    }
}
