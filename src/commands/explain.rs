//! `fanfare explain`: the hops of one event, from its entry to those who listen.

use clap::Args;
use reqwest::{Method, StatusCode};
use runtime::config::Config;
use serde_json::Value;

use super::{
    failure::Failure,
    output,
    server_client::{ServerArguments, ServerClient, refused},
};

/// Exit code of an event that waits to be recorded.
const WAITING: u8 = 2;

/// Exit code of an event that was not accepted.
const DEAD: u8 = 3;

/// Exit code of an event that is gone, or was never there.
const GONE: u8 = 4;

/// The most connections that are shown.
const CONNECTIONS_MAX: &str = "1000";

const HELP: &str = "\
Examples:
  fanfare explain 1700000000000-0
  fanfare explain 1700000000000-0 --stream tasks
  fanfare explain deployment:d1@5f0c2a91-8 --json
  fanfare explain --user ann
  fanfare explain --channel deployment:d1

Exit codes:
  0   recorded, or told
  1   refused
  2   waiting to be recorded
  3   dead: it was not accepted
  4   trimmed or unknown
  64  wrong usage
  69  no server answers";

/// Names what to explain.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub(crate) struct Explain {
    /// An entry's id (1700000000000-0), or `CHANNEL@POSITION`
    #[arg(value_name = "ENTRY|CHANNEL@POSITION", group = "what")]
    event: Option<String>,
    /// The stream of the entry, where its id stands in several
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Who is connected as this user, and whether they are kept out
    #[arg(long, value_name = "USER", group = "what")]
    user: Option<String>,
    /// Who listens to this channel, and how far they are behind
    #[arg(long, value_name = "CHANNEL", group = "what")]
    channel: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

impl Explain {
    /// Prints one line a hop.
    pub(crate) async fn run(self, config: &Config) -> Result<(), Failure> {
        let server = ServerClient::connect(config, &self.server).await?;
        let Some(event) = &self.event else { return self.listeners(&server).await };
        let stream = self.stream.as_deref().map(|stream| ("stream", stream));
        let path = ["v1", "explain", event];
        let (status, answer) = server.send(Method::GET, &path, stream.as_slice(), None).await?;
        if status == StatusCode::NOT_FOUND {
            output::chatter(answer["detail"].as_str().unwrap_or("unknown"));
            return Err(Failure::Status(GONE));
        }
        if !status.is_success() {
            return Err(refused(status, &answer));
        }
        if self.json {
            output::data(&format!("{answer:#}"))?;
        } else {
            for line in lines(&answer) {
                output::data(&line)?;
            }
        }
        match answer["status"].as_str() {
            Some("waiting") => Err(Failure::Status(WAITING)),
            Some("dead") => Err(Failure::Status(DEAD)),
            Some("trimmed") => Err(Failure::Status(GONE)),
            _ => Ok(()),
        }
    }

    /// Prints who is connected as a user, or who listens to a channel.
    async fn listeners(&self, server: &ServerClient) -> Result<(), Failure> {
        let mut query = vec![("limit", CONNECTIONS_MAX)];
        query.extend(self.user.as_deref().map(|user| ("user", user)));
        query.extend(self.channel.as_deref().map(|channel| ("channel", channel)));
        let mut answer = server.get(&["v1", "connections"], &query).await?;
        if let Some(user) = &self.user {
            let denied = server.get(&["v1", "denied"], &[]).await?;
            let mut denied = denied["denied"].as_array().into_iter().flatten();
            let until = denied.find(|denied| denied["user"] == **user);
            answer["denied_until"] = until.map_or(Value::Null, |denied| denied["until"].clone());
        }
        if self.json {
            output::data(&format!("{answer:#}"))?;
            return Ok(());
        }
        for connection in answer["connections"].as_array().into_iter().flatten() {
            output::data(&format!(
                "connection {} on {}: {}, user {}, {} channels, {} behind, since {}",
                text(&connection["connection"]),
                text(&connection["node"]),
                text(&connection["dialect"]),
                text(&connection["user"]),
                text(&connection["channels"]),
                text(&connection["behind"]),
                time(&connection["connected_at"]),
            ))?;
        }
        output::data(&format!("connections {}", text(&answer["count"])))?;
        if !answer["denied_until"].is_null() {
            output::data(&format!("denied     until {}", time(&answer["denied_until"])))?;
        }
        Ok(())
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

fn time(value: &Value) -> String {
    let time = value.as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "–".to_owned(), |time| format!("{time:.3}"))
}

/// What is to be said of an event, by what became of it.
fn lines(answer: &Value) -> Vec<String> {
    let entry = format!("{} of {}", text(&answer["entry"]), text(&answer["stream"]));
    let owner = text(&answer["owner"]);
    match answer["status"].as_str() {
        Some("waiting") => vec![
            format!("waiting    {entry}, behind {} others", text(&answer["behind"])),
            format!("appended   {}, owner {owner}", time(&answer["appended_at"])),
        ],
        Some("dead") => vec![
            format!("dead       {entry}, since {}", time(&answer["at"])),
            format!("reason     {}", text(&answer["reason"])),
            format!("letter     {}: fanfare dead show, redrive, drop", text(&answer["letter"])),
        ],
        Some("trimmed") => vec![
            format!("trimmed    {entry}: it is neither in the stream nor in the record"),
            format!("appended   {}, owner {owner}", time(&answer["appended_at"])),
        ],
        _ => hops(answer),
    }
}

fn hops(answer: &Value) -> Vec<String> {
    let ms = |name: &str| answer[name].as_i64().unwrap_or_default();
    let after = ms("recorded_at") - ms("appended_at");
    let (at, appended) = (time(&answer["at"]), time(&answer["appended_at"]));
    let published = if answer["published"] == true { "yes" } else { "not yet" };
    let mut lines = vec![
        format!("event      {} {}", text(&answer["event"]), text(&answer["id"])),
        format!("happened   {at}, by its publisher"),
        format!(
            "appended   as {} of {}, {appended}",
            text(&answer["entry"]),
            text(&answer["stream"])
        ),
        format!("recorded   as number {}, {after} ms later", text(&answer["seq"])),
        format!("published  {published}, owner {}", text(&answer["owner"])),
    ];
    for channel in answer["channels"].as_array().into_iter().flatten() {
        let (name, position) = (text(&channel["channel"]), text(&channel["position"]));
        let head = text(&channel["broker_head"]);
        lines.push(format!("channel    {name} {position}, broker's head {head}"));
        for node in channel["nodes"].as_array().into_iter().flatten() {
            lines.push(format!(
                "node       {} at {}: {} live, {} behind",
                text(&node["node"]),
                text(&node["position"]),
                node["live"],
                node["behind"]
            ));
        }
    }
    if let Some(traceparent) = answer["traceparent"].as_str() {
        lines.push(format!("trace      {traceparent}"));
    }
    lines.push(format!("data       {}", answer["data"]));
    lines
}
