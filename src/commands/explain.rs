//! `fanfare explain`: the hops of one event, from its entry to those who listen.

use clap::Args;
use runtime::config::Config;
use serde_json::Value;

use super::{
    failure::Failure,
    output,
    server_client::{ServerArguments, ServerClient},
};

const HELP: &str = "\
Examples:
  fanfare explain 1700000000000-0
  fanfare explain deployment:d1@5f0c2a91-8 --json

Exit codes:
  0   told
  1   not known, or refused
  64  wrong usage
  69  no server answers";

/// Names the event to explain.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Explain {
    /// An entry's id (1700000000000-0), or `CHANNEL@POSITION`
    #[arg(value_name = "ENTRY|CHANNEL@POSITION")]
    event: String,
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
        let answer = server.get(&["v1", "explain", &self.event], &[]).await?;
        if self.json {
            output::data(&format!("{answer:#}"))?;
            return Ok(());
        }
        for line in hops(&answer) {
            output::data(&line)?;
        }
        Ok(())
    }
}

fn hops(answer: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    };
    let time = |name: &str| answer[name].as_i64().unwrap_or_default();
    let at = jiff::Timestamp::from_millisecond(time("at")).unwrap_or_default();
    let after = time("recorded_at") - time("appended_at");
    let appended = jiff::Timestamp::from_millisecond(time("appended_at")).unwrap_or_default();
    let published = if answer["published"] == true { "yes" } else { "not yet" };
    let mut lines = vec![
        format!("event      {} {}", text(&answer["event"]), text(&answer["id"])),
        format!("happened   {at:.3}, by its publisher"),
        format!(
            "appended   as {} of {}, {appended:.3}",
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
