//! `fanfare erase`: asks the server to take a person's or an entity's data out of everything it holds.

use clap::Args;
use reqwest::Method;
use runtime::config::Config;
use serde_json::json;

use super::{
    failure::Failure,
    output,
    server_client::{ServerArguments, ServerClient},
};

const HELP: &str = "\
Examples:
  fanfare erase --user ann
  fanfare erase --deployment d1

Exit codes:
  0   erased: what, is said
  1   refused
  64  wrong usage
  69  no server answers";

/// Whose data is erased.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
#[command(group(clap::ArgGroup::new("whose").required(true)))]
pub(crate) struct Erase {
    /// Of a user: events addressed to it, what they left in states, dead letters
    #[arg(long, value_name = "ID", group = "whose")]
    user: Option<String>,
    /// Of a deployment
    #[arg(long, value_name = "ID", group = "whose")]
    deployment: Option<String>,
    /// Of a task
    #[arg(long, value_name = "ID", group = "whose")]
    task: Option<String>,
    /// Of an agent
    #[arg(long, value_name = "ID", group = "whose")]
    agent: Option<String>,
    /// Of a container
    #[arg(long, value_name = "ID", group = "whose")]
    container: Option<String>,
    /// Of a conversation
    #[arg(long, value_name = "ID", group = "whose")]
    conversation: Option<String>,
    /// Of a topic
    #[arg(long, value_name = "ID", group = "whose")]
    topic: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
}

impl Erase {
    /// Erases all of it, however many calls that takes.
    pub(crate) async fn run(self, config: &Config) -> Result<(), Failure> {
        let server = ServerClient::connect(config, &self.server).await?;
        let whose = [
            ("user", self.user),
            ("deployment", self.deployment),
            ("task", self.task),
            ("agent", self.agent),
            ("container", self.container),
            ("conversation", self.conversation),
            ("topic", self.topic),
        ];
        let whose = whose.into_iter().find_map(|(kind, id)| Some((kind, id?)));
        let (kind, id) =
            whose.ok_or_else(|| Failure::Usage("erase: name whose data".to_owned()))?;
        let body = json!({ kind: id });
        let mut counts = [("events", 0), ("states", 0), ("dead_letters", 0)];
        loop {
            let answer = server.expect(Method::POST, &["v1", "erase"], &[], Some(&body)).await?;
            for (name, count) in &mut counts {
                *count = answer["erased"][*name].as_u64().unwrap_or_default().max(*count);
            }
            if answer["done"] == true {
                break;
            }
        }
        for (name, count) in counts {
            output::data(&format!("{name:<13} {count}"))?;
        }
        Ok(())
    }
}
