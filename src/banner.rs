//! What a started server prints: where it is, a token, and three commands to try.
#![expect(clippy::print_stderr, reason = "the greeting of a started process")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth::{Authenticator, Claims};
use domain::channel::Pattern;
use runtime::config::{Config, masked_url};

use crate::listeners::BoundAddresses;

/// How long the development token is good.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Shows the greeting; in production one log line says as much.
pub(crate) fn show(config: &Config, addresses: &BoundAddresses, auth: &Authenticator) {
    if config.production() || config.log_json {
        tracing::info!(?addresses, "ready");
        return;
    }
    let Some(address) = addresses.public.first() else { return };
    let version = env!("CARGO_PKG_VERSION");
    let broker = config
        .redis_url
        .as_deref()
        .map_or_else(|| "in memory (REDIS_URL makes it many nodes)".to_owned(), masked_url);
    let row = |name: &str, value: &str| eprintln!("  {name:<10} {value}");
    eprintln!("\n  Fanfare {version} is ready\n");
    row("WebSocket", &format!("ws://{address}/v1/connect"));
    row("HTTP", &format!("http://{address}"));
    row("Console", &format!("http://{address}/console"));
    row("Metrics", &format!("http://{}/metrics", addresses.admin.unwrap_or(*address)));
    row("Broker", &broker);
    row("Store", &masked_url(&config.database_url));
    for more in &addresses.public[1..] {
        row("Also at", &format!("http://{more}"));
    }
    if let Some(token) = token(auth) {
        row("Token", &token);
    }
    eprintln!("\n  Try it, in another terminal:\n");
    eprintln!("    npx -y wscat@6 -c 'ws://{address}/?deploymentId=demo'");
    eprintln!("    fanfare watch deployment:demo      # or: cargo run -- watch deployment:demo");
    eprintln!(
        "    curl -X POST http://{address}/test/deploy -H 'Content-Type: application/json' \
         -d '{{\"deploymentId\":\"demo\",\"projectName\":\"my-app\"}}'"
    );
    eprintln!("\n  Development mode: everybody on this machine may do everything.\n");
}

/// Signs a token that may do everything, for a day.
fn token(auth: &Authenticator) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    auth.sign(&Claims {
        sub: Some("developer".into()),
        exp: (now + TOKEN_LIFE).as_secs(),
        iat: Some(now.as_secs()),
        channels: Some(vec![Pattern::new("*")]),
        publish: vec![Pattern::new("*")],
        role: Some("admin".into()),
        ..Claims::default()
    })
}
