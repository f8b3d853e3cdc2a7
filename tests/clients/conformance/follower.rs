//! Follows the channels of its arguments and writes what is delivered, a line each.
#![expect(clippy::print_stdout, reason = "what it writes is what it is for")]

use std::{collections::BTreeMap, env, io, time::Duration};

use fanfare_client::{
    Backoff, Client, Error, Item, Json, Options, SubscribeOptions, Subscription, Token,
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// Who waits for the state of a channel.
type Asked = oneshot::Sender<Option<Json>>;

fn say(line: &Value) {
    println!("{line}");
}

fn described(channel: &str, item: Item) -> Option<Value> {
    Some(match item {
        Item::Subscribed(_) => json!({ "kind": "subscribed", "channel": channel }),
        Item::Event(event) => {
            json!({ "kind": "event", "channel": channel, "position": event.position })
        }
        Item::Gap(gap) => json!({
            "kind": "gap", "channel": channel, "from": gap.from, "to": gap.to, "cause": gap.cause,
        }),
        Item::Interrupted(interrupted) => {
            json!({ "kind": "error", "channel": channel, "code": interrupted.code })
        }
        Item::State(_) | Item::Presence(_) => return None,
    })
}

async fn follow(mut sub: Subscription, mut asked: mpsc::Receiver<Asked>) {
    let channel = sub.channel().to_owned();
    let mut is_over = false;
    loop {
        tokio::select! {
            item = sub.next(), if !is_over => match item {
                Ok(Some(item)) => {
                    if let Some(line) = described(&channel, item) {
                        say(&line);
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    let code = match error {
                        Error::Closed { code, .. } => json!(code),
                        Error::Refused { code, .. } => json!(code),
                        other => json!(other.to_string()),
                    };
                    say(&json!({ "kind": "error", "channel": channel, "code": code }));
                    is_over = true;
                }
            },
            Some(answer) = asked.recv() => {
                let _gone = answer.send(sub.state().cloned());
            }
            else => return,
        }
    }
}

async fn token() -> Result<Option<String>, String> {
    let url = env::var("TOKEN_URL").map_err(|error| error.to_string())?;
    let answer = reqwest::get(url).await.map_err(|error| error.to_string())?;
    answer.text().await.map(Some).map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = env::var("FANFARE_URL").unwrap_or_default();
    let backoff = Backoff { least: Duration::from_millis(50), most: Duration::from_millis(500) };
    let token = env::var("TOKEN_URL").map_or(Token::None, |_| Token::source(token));
    let client = Client::new(&url, Options { token, backoff, ..Options::default() });
    let since = env::var("SINCE").ok();
    let mut readers = Vec::new();
    let mut tasks = JoinSet::new();
    for channel in env::args().skip(1) {
        let sub = client.subscribe(
            &channel,
            SubscribeOptions { since: since.clone(), ..SubscribeOptions::default() },
        )?;
        let (ask, asked) = mpsc::channel(1);
        tasks.spawn(follow(sub, asked));
        readers.push((channel, ask));
    }
    let mut changes = client.changes();
    tasks.spawn(async move {
        while changes.changed().await.is_ok() {
            let is_degraded = changes.borrow().degraded.is_some();
            say(&json!({ "kind": "degraded", "degraded": is_degraded }));
        }
    });
    let read = || {
        let mut line = String::new();
        io::stdin().read_line(&mut line).is_ok_and(|bytes| bytes > 0)
    };
    while tokio::task::spawn_blocking(read).await.unwrap_or_default() {
        let mut states = BTreeMap::new();
        for (channel, ask) in &readers {
            let (answer, state) = oneshot::channel();
            let _over = ask.send(answer).await;
            states.insert(channel.clone(), state.await.ok().flatten());
        }
        say(&json!({ "kind": "states", "states": states }));
    }
    client.close().await;
    Ok(())
}
