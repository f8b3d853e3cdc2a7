//! An agent that counts words: `FANFARE_TOKEN=… cargo run --example agent`.

use std::env;

use fanfare_client::{Agent, Error, Job, Options};
use serde_json::{Value, json};

/// Counts the words of each text.
async fn count(job: Job) -> Result<Value, String> {
    let texts = job.payload.get("texts").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut words = 0;
    for (done, text) in texts.iter().enumerate() {
        words += text.as_str().unwrap_or_default().split_whitespace().count();
        job.progress((done + 1) as f64 / texts.len() as f64, "counting");
        tokio::task::yield_now().await; // Where a cancelled job stops.
    }
    Ok(json!({ "words": words }))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = env::var("FANFARE_URL").unwrap_or_else(|_| "http://127.0.0.1:8080".to_owned());
    let token = env::var("FANFARE_TOKEN").ok().filter(|token| !token.is_empty());
    let agent = Agent::new(&url, Options { token: token.into(), ..Options::default() }, count);
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    agent.capabilities(&["count"]).slots(4).run_until(interrupted).await
}
