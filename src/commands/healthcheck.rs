//! `fanfare healthcheck`: whether the local process is ready, for containers without curl.

use std::time::Duration;

use clap::Args;
use runtime::config::{Config, Layers};

use super::{failure::Failure, http_client, output, server_client::ServerArguments};
use crate::listeners::WORKER_ADMIN;

/// How long the process may take to answer.
const DEADLINE: Duration = Duration::from_secs(3);

const HELP: &str = "\
Examples:
  fanfare healthcheck
  fanfare healthcheck --url http://10.0.0.7:9464

Exit codes:
  0   ready
  1   not ready, or nobody listens
  64  wrong usage";

/// Whom to ask.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Healthcheck {
    #[command(flatten)]
    server: ServerArguments,
}

impl Healthcheck {
    /// Succeeds when the process says that it is ready.
    pub(crate) async fn run(self, config: &Config, layers: &Layers) -> Result<(), Failure> {
        let named = layers.text("fanfare_url");
        let named = self.server.url.or_else(|| (!named.is_empty()).then(|| named.to_owned()));
        match named {
            Some(url) => check(vec![url], false).await,
            None => check(local(config), true).await,
        }
    }
}

/// Asks addresses, one after the other, until one answers. Our own process is asked by its own address,
/// which no certificate names; nothing secret is sent.
async fn check(addresses: Vec<String>, is_own: bool) -> Result<(), Failure> {
    let mut said = Vec::new();
    for address in addresses {
        let url = format!("{}/readyz", address.trim_end_matches('/'));
        let http = http_client::builder(&url, DEADLINE).tls_danger_accept_invalid_certs(is_own);
        let http = http_client::build(http)?;
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

/// Lists where the local process may be: at its operator's address or its own, or where a worker's
/// operator finds it.
fn local(config: &Config) -> Vec<String> {
    let worker = [WORKER_ADMIN.to_owned()];
    let reachable = |scheme: &str, address: &String| {
        let address = address.replacen("0.0.0.0:", "127.0.0.1:", 1).replacen("[::]:", "[::1]:", 1);
        format!("{scheme}://{address}")
    };
    let public = if config.tls.is_some() { "https" } else { "http" };
    let admin = config.admin_listen.iter().map(|address| reachable("http", address));
    let listen = config.listen.iter().map(|address| reachable(public, address));
    admin.chain(listen).chain(worker.iter().map(|address| reachable("http", address))).collect()
}
