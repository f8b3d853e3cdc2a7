//! `fanfare dead`: what was not accepted; seen, corrected and redriven, forgotten.

use clap::{Args, Subcommand};
use reqwest::Method;
use runtime::config::Config;
use serde_json::{Map, Value, json};

use super::{
    failure::Failure,
    output,
    server_client::{ServerArguments, ServerClient},
};

const HELP: &str = "\
Examples:
  fanfare dead list --stream tasks
  fanfare dead show 17
  fanfare dead redrive 17 --set 'data={\"title\":\"x\"}'
  fanfare dead drop 17 18

Exit codes:
  0   done
  1   refused, or not known
  64  wrong usage
  69  no server answers";

/// Dead letters of a server.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Dead {
    #[command(subcommand)]
    action: DeadAction,
    #[command(flatten)]
    server: ServerArguments,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadAction {
    /// Lists them, newest first: id, stream, entry, time, reason
    #[command(after_help = HELP)]
    List(ListDead),
    /// Shows one with its fields, as JSON
    #[command(after_help = HELP)]
    Show {
        /// Its id
        id: String,
    },
    /// Appends one to its stream again, corrected if asked
    #[command(after_help = HELP)]
    Redrive(Redrive),
    /// Forgets some
    #[command(after_help = HELP)]
    Drop {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

/// Which to list.
#[derive(Debug, Args)]
pub(crate) struct ListDead {
    /// Only those of a stream
    #[arg(long)]
    stream: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// As JSON, one a line
    #[arg(long)]
    json: bool,
}

/// Which to redrive, and what to correct.
#[derive(Debug, Args)]
pub(crate) struct Redrive {
    /// Its id
    id: String,
    /// Sets a field: `--set 'data={"title":"x"}'`
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Removes a field
    #[arg(long, value_name = "FIELD")]
    unset: Vec<String>,
}

impl Dead {
    /// Runs the chosen action.
    pub(crate) async fn run(self, config: &Config) -> Result<(), Failure> {
        let fields = match &self.action {
            DeadAction::Redrive(redrive) => redrive.fields()?,
            DeadAction::List(_) | DeadAction::Show { .. } | DeadAction::Drop { .. } => Map::new(),
        };
        let server = ServerClient::connect(config, &self.server).await?;
        match self.action {
            DeadAction::List(list) => list.run(&server).await,
            DeadAction::Show { id } => {
                let letter = server.get(&["v1", "dead", &id], &[]).await?;
                output::data(&format!("{letter:#}"))?;
                Ok(())
            }
            DeadAction::Redrive(Redrive { id, .. }) => {
                let path = ["v1", "dead", &id, "redrive"];
                let body = json!({ "fields": fields });
                let answer = server.expect(Method::POST, &path, &[], Some(&body)).await?;
                for place in answer["published"].as_array().into_iter().flatten() {
                    let text = |name: &str| place[name].as_str().unwrap_or_default();
                    output::data(&format!("{} {}", text("channel"), text("position")))?;
                }
                Ok(())
            }
            DeadAction::Drop { ids } => {
                for id in ids {
                    server.expect(Method::DELETE, &["v1", "dead", &id], &[], None).await?;
                    output::chatter(&format!("dropped {id}"));
                }
                Ok(())
            }
        }
    }
}

impl ListDead {
    async fn run(&self, server: &ServerClient) -> Result<(), Failure> {
        let mut left = self.limit;
        let mut cursor = String::new();
        while left > 0 {
            let limit = left.min(200).to_string();
            let mut query = vec![("limit", limit.as_str())];
            query.extend(self.stream.as_deref().map(|stream| ("stream", stream)));
            if !cursor.is_empty() {
                query.push(("cursor", cursor.as_str()));
            }
            let page = server.get(&["v1", "dead"], &query).await?;
            for letter in page["dead"].as_array().into_iter().flatten() {
                output::data(&if self.json { letter.to_string() } else { line(letter) })?;
                left -= 1;
            }
            let Some(next) = page["next"].as_str() else { break };
            cursor = next.to_owned();
        }
        if left == self.limit {
            output::chatter("no dead letters");
        }
        Ok(())
    }
}

fn line(letter: &Value) -> String {
    let text = |name: &str| letter[name].as_str().unwrap_or_default();
    let at = letter["at"].as_i64().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let at = at.map(|at| format!("{at:.0}")).unwrap_or_default();
    let (id, stream, entry) = (text("id"), text("stream"), text("entry"));
    format!("{id:<6} {stream:<11} {entry:<17} {at} {}", text("reason"))
}

impl Redrive {
    fn fields(&self) -> Result<Map<String, Value>, Failure> {
        let mut fields = Map::new();
        for pair in &self.set {
            let wrong = || Failure::Usage(format!("--set wants FIELD=VALUE, not {pair:?}"));
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            fields.insert(name.to_owned(), value.into());
        }
        fields.extend(self.unset.iter().map(|name| (name.clone(), Value::Null)));
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_are_given_field_by_field() {
        let set = vec![r#"data={"a":"b=c"}"#.to_owned()];
        let redrive = Redrive { id: "1".into(), set, unset: vec!["x".into()] };
        let fields = redrive.fields().unwrap();
        assert_eq!(fields["data"], r#"{"a":"b=c"}"#);
        assert_eq!(fields["x"], Value::Null);
        let redrive = Redrive { id: "1".into(), set: vec!["data".into()], unset: Vec::new() };
        assert!(matches!(redrive.fields(), Err(Failure::Usage(_))));
    }
}
