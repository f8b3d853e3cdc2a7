//! What a started server prints: where it is, a token, and commands to try.
#![expect(clippy::print_stderr, reason = "the greeting of a started process")]

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use auth::{Authenticator, Claims};
use domain::channel::Pattern;
use runtime::config::{Config, masked_url};

use crate::{
    embedded_redis::{self, EmbeddedRedisAddress, reachable},
    listeners::BoundAddresses,
};

/// How long the development token is good.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Shows the greeting; in production one log line says as much.
pub(crate) fn show(config: &Config, addresses: &BoundAddresses, auth: &Authenticator) {
    if config.production() || config.log_json {
        let public: Vec<String> = addresses.public.iter().map(ToString::to_string).collect();
        let admin = addresses.admin.map(|address| address.to_string());
        tracing::info!(listen = public.join(","), admin, "process: ready");
        return;
    }
    let Some(address) = addresses.public.first().copied().map(reachable) else { return };
    let version = env!("CARGO_PKG_VERSION");
    let broker = config
        .redis_url
        .as_deref()
        .map_or_else(|| "in memory (REDIS_URL makes it many nodes)".to_owned(), masked_url);
    let (http, ws) = if config.tls.is_some() { ("https", "wss") } else { ("http", "ws") };
    let row = |name: &str, value: &str| eprintln!("  {name:<10} {value}");
    eprintln!("\n  Fanfare {version} is ready\n");
    row("WebSocket", &format!("{ws}://{address}/v1/connect"));
    row("HTTP", &format!("{http}://{address}"));
    row("Console", &format!("{http}://{address}/console"));
    let metrics = addresses
        .admin
        .map_or(format!("{http}://{address}"), |admin| format!("http://{}", reachable(admin)));
    row("Metrics", &format!("{metrics}/metrics"));
    row("Broker", &broker);
    match &addresses.redis {
        Some(EmbeddedRedisAddress::Serving(at)) => {
            row("Redis", &format!("redis://{} (takes XADD from any client)", reachable(*at)));
        }
        Some(EmbeddedRedisAddress::Taken(at, error)) => {
            row("Redis", &format!("nobody takes XADD here, {at}: {error} (EMBEDDED_REDIS_LISTEN)"));
        }
        None => {}
    }
    row("Store", &masked_url(&config.database_url));
    for more in &addresses.public[1..] {
        row("Also at", &format!("{http}://{}", reachable(*more)));
    }
    if let Some(token) = token(auth) {
        row("Token", &token);
    }
    eprintln!("\n  Try it, in another terminal:\n");
    eprintln!("    npx -y wscat@6 -c '{ws}://{address}/?deploymentId=demo'");
    // What a command finds by itself needs no words; brackets mean something to some shells.
    let is_usual = address == SocketAddr::from(([127, 0, 0, 1], 8080)) && config.tls.is_none();
    let url = if is_usual { String::new() } else { format!(" --url '{http}://{address}'") };
    eprintln!(
        "    fanfare watch deployment:demo{url}      # or: cargo run -- watch deployment:demo{url}"
    );
    if let Some(EmbeddedRedisAddress::Serving(at)) = &addresses.redis {
        eprintln!("    {}", embedded_redis::example(*at, &config.key_prefix));
    }
    eprintln!(
        "    curl -X POST '{http}://{address}/test/deploy' -H 'Content-Type: application/json' \
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
