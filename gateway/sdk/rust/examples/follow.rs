//! Plays a build and follows it to its end: `cargo run --example follow`.
#![expect(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::env;

use fanfare_client::{Client, Error, Item, Options, Publication, SubscribeOptions};
use serde_json::json;

const STAGES: [(&str, u8); 4] =
    [("building", 10), ("building", 60), ("deploying", 90), ("success", 100)];

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = env::var("FANFARE_URL").unwrap_or_else(|_| "http://127.0.0.1:8080".to_owned());
    let token = env::var("FANFARE_TOKEN").ok().filter(|token| !token.is_empty());
    let client = Client::new(&url, Options { token: token.into(), ..Options::default() });
    let mut deployment = client.subscribe("deployment:example-1", SubscribeOptions::default())?;
    let mut is_begun = false;
    while let Some(item) = deployment.next().await? {
        match item {
            Item::Subscribed(_) if !is_begun => {
                is_begun = true;
                for (status, progress) in STAGES {
                    let data = json!({ "status": status, "progress": progress, "message": status });
                    let id = "example-1";
                    let update = Publication::new("deployments", "deployment_update", id, data);
                    client.publish(&[update]).await?;
                }
            }
            Item::Gap(gap) => println!("no longer kept: {} to {}", gap.from, gap.to),
            Item::Event(event) => println!("{} {}", event.kind, event.data),
            _ => {}
        }
        let status = deployment.state().and_then(|state| state.get("status"));
        if status.is_some_and(|status| status == "success") {
            break;
        }
    }
    client.close().await;
    Ok(())
}
