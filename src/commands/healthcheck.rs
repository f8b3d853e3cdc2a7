//! `fanfare healthcheck`: whether the local process is ready, for containers without curl.

use std::time::Duration;

use runtime::config::{Config, Layers};

use super::{failure::Failure, output};
use crate::listeners::WORKER_ADMIN;

/// How long the process may take to answer.
const DEADLINE: Duration = Duration::from_secs(3);

/// Succeeds when the process says that it is ready.
pub(crate) async fn run(config: &Config, layers: &Layers) -> Result<(), Failure> {
    let http = reqwest::Client::builder().timeout(DEADLINE).build();
    let http = http.map_err(|error| Failure::Refused(error.to_string()))?;
    let mut said = Vec::new();
    for address in addresses(config, layers.text("fanfare_url").is_empty()) {
        let url = format!("{}/readyz", address.trim_end_matches('/'));
        match http.get(&url).send().await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => {
                let status = response.status();
                let body = response.text().await.unwrap_or_default();
                return Err(Failure::Refused(format!("{url}: {status} {body}")));
            }
            Err(error) if error.is_timeout() => said.push(format!("{url}: no answer in time")),
            Err(_) => said.push(format!("{url}: nobody listens")),
        }
    }
    said.iter().for_each(|line| output::chatter(line));
    Err(Failure::Refused("not ready".into()))
}

/// Lists where the local process may be: at `FANFARE_URL` if that is set, else at its operator's address
/// or its own, or where a worker's operator finds it.
fn addresses(config: &Config, own: bool) -> Vec<String> {
    if !own {
        return vec![config.url.clone()];
    }
    let worker = [WORKER_ADMIN.to_owned()];
    let local = |address: &String| {
        let address = address.replacen("0.0.0.0:", "127.0.0.1:", 1).replacen("[::]:", "[::1]:", 1);
        format!("http://{address}")
    };
    config.admin_listen.iter().chain(&config.listen).chain(&worker).map(local).collect()
}
