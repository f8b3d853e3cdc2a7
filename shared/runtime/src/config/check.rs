//! What must hold among the settings, and what is allowed and most likely not meant.

use std::net::Ipv4Addr;

use super::{Config, Role, SettingProblem};

/// What `LOG_LEVEL` may say.
const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Config {
    /// What is allowed and most likely not meant, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let holds_all = |net: &&ipnet::IpNet| net.prefix_len() == 0;
        let all = self.limits.trusted_proxies.iter().filter(holds_all);
        all.map(|net| {
            format!(
                "TRUSTED_PROXIES: {net} holds everybody, so anybody can claim any address and no \
                 limit by address holds"
            )
        })
        .collect()
    }

    /// Which settings contradict each other, a sentence each.
    pub fn contradictions(&self) -> Vec<String> {
        let (rhythm, limits) = (&self.rhythm, &self.limits);
        let pings = [
            ("COCKPIT_PING_MS", rhythm.cockpit_ping, "COCKPIT_STALE_MS", rhythm.cockpit_stale),
            (
                "CLOUD_AGENTS_PING_MS",
                rhythm.cloud_agents_ping,
                "CLOUD_AGENTS_TIMEOUT_MS",
                rhythm.cloud_agents_timeout,
            ),
            (
                "ZEROSTATE_PING_MS",
                rhythm.zerostate_ping,
                "ZEROSTATE_TIMEOUT_MS",
                rhythm.zerostate_timeout,
            ),
            (
                "HEARTBEAT_INTERVAL",
                rhythm.container_heartbeat,
                "SESSION_TIMEOUT",
                rhythm.container_timeout,
            ),
            ("PING_MS", rhythm.ping, "TIMEOUT_MS", rhythm.timeout),
        ];
        let late = pings.into_iter().filter(|(_, ping, _, timeout)| ping >= timeout);
        let mut found: Vec<String> = late
            .map(|(ping, _, timeout, _)| {
                format!("{ping} is not below {timeout}: who answers every ping counts as silent")
            })
            .collect();
        if limits.connections_per_user > limits.connections {
            found.push("MAX_CONNECTIONS_PER_USER is above MAX_CONNECTIONS".to_owned());
        }
        if limits.send_queue_bytes > limits.send_queues_bytes {
            found.push(
                "SEND_QUEUE_BYTES is above SEND_QUEUES_BYTES: one socket may not have it"
                    .to_owned(),
            );
        }
        found
    }

    /// Names what is wrong with settings that are well-formed each by itself.
    pub(super) fn check(&self, role: Role, problems: &mut Vec<SettingProblem>) {
        let mut problem = |name, reason: &str| problems.push(SettingProblem::new(name, reason));
        let prefix =
            self.key_prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if self.key_prefix.is_empty() || !prefix {
            problem("key_prefix", "must be of letters, digits, '.', '_' and '-'");
        }
        if !["sqlite:", "postgres://", "postgresql://"]
            .iter()
            .any(|s| self.database_url.starts_with(s))
        {
            problem("database_url", "must begin with sqlite:// or postgres://");
        }
        if matches!(role, Role::Gateway | Role::Worker) {
            if self.redis_url.is_none() {
                problem(
                    "redis_url",
                    "is required for this role: several processes need a shared broker",
                );
            }
            if self.database_url.starts_with("sqlite:") {
                problem(
                    "database_url",
                    "is required for this role: postgres://… that all processes share",
                );
            }
        }
        let redis = ["redis://", "rediss://", "valkey://", "valkeys://", "redis+"];
        if self.redis_url.as_ref().is_some_and(|url| !redis.iter().any(|s| url.starts_with(s))) {
            problem(
                "redis_url",
                "must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://",
            );
        }
        if let Some(wrong) = self.log_level.split(',').find(|part| !is_log_filter(part)) {
            let levels = LOG_LEVELS.join(", ");
            problem("log_level", &format!("{wrong:?} is none of {levels}, nor TARGET=LEVEL"));
        }
        if let Some(reason) = self.key_set_problem() {
            problem("jwks_url", reason);
        }
        for address in self.listen.iter().chain(&self.admin_listen) {
            let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(_))) {
                problem("listen", "addresses are HOST:PORT, separated by commas");
            }
        }
        let listen = self.embedded_redis.listen.as_deref();
        if let Some(reason) = listen.and_then(|address| self.embedded_redis_problem(address)) {
            problem("embedded_redis_listen", reason);
        }
        if self.production() {
            self.access.check_production(role, problems);
        } else if role != Role::Command && !self.insecure_allowed() {
            problem(
                "host",
                "development mode on an address that is not loopback: set ENVIRONMENT=production, \
                 or ALLOW_INSECURE=true if everybody on that network may do everything",
            );
        }
    }

    /// What is wrong with where XADD is taken.
    fn embedded_redis_problem(&self, address: &str) -> Option<&'static str> {
        let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) {
            Some("must be HOST:PORT, or `off`")
        } else if self.redis_url.is_some() {
            Some("is for the broker in memory: with REDIS_URL producers XADD there")
        } else if !self.production() && !self.allow_insecure && !is_loopback(address) {
            Some("development mode on an address that is not loopback: see ALLOW_INSECURE")
        } else {
            None
        }
    }

    /// What is wrong with where keys come from: whoever can answer there can sign tokens.
    fn key_set_problem(&self) -> Option<&'static str> {
        let url = self.access.jwks_url.as_deref()?;
        if url.starts_with("https://") {
            return None;
        }
        let Some(rest) = url.strip_prefix("http://") else {
            return Some("must begin with https:// or http://");
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let trusted = !self.production() || self.allow_insecure || is_loopback(authority);
        (!trusted).then_some("must begin with https:// in production, or be on loopback")
    }

    fn insecure_allowed(&self) -> bool {
        self.allow_insecure || self.listen.iter().all(|address| is_loopback(address))
    }
}

/// Whether a part of `LOG_LEVEL` says which lines are logged. Any word would be taken for a target
/// of which everything is logged, and silence the rest.
fn is_log_filter(part: &str) -> bool {
    let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
    LOG_LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level.trim()))
}

/// Whether `HOST:PORT` is on this machine.
pub(super) fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let is_loopback = |ip: Ipv4Addr| ip.is_loopback();
    matches!(host, "localhost" | "[::1]") || host.parse().is_ok_and(is_loopback)
}
