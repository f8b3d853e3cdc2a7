//! Keys, tokens and origins: who may do what.

use std::time::Duration;

use domain::channel::Pattern;

use super::{
    layers::{Layers, SettingProblem},
    role::{DEVELOPMENT_SECRET, Role},
    web_origin::{AllowedOrigins, WebOrigin},
};

/// Values that everybody knows, refused in production.
const WELL_KNOWN: [&str; 9] = [
    DEVELOPMENT_SECRET,
    "default-token",
    "your-secure-token",
    "secret",
    "changeme",
    "change-me",
    "password",
    "test",
    "development",
];

/// The least length of an HS256 secret in production, in bytes (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;

/// The least length of an API key in production, in bytes.
const API_KEY_BYTES_MIN: usize = 16;

/// Keys and tokens.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// `JWT_SECRET`; in development the well-known one.
    pub jwt_secret: Option<String>,
    /// `JWT_SECRET_PREVIOUS`: verifies, and signs nothing.
    pub jwt_secret_previous: Option<String>,
    /// `JWT_PUBLIC_KEY`
    pub jwt_public_key: Option<String>,
    /// `JWKS_URL`
    pub jwks_url: Option<String>,
    /// `JWKS_REFRESH_MS`
    pub jwks_refresh: Duration,
    /// `JWKS_COOLDOWN_MS`
    pub jwks_cooldown: Duration,
    /// `JWT_ISSUER`
    pub jwt_issuer: Option<String>,
    /// `JWT_AUDIENCE`
    pub jwt_audience: Option<String>,
    /// `API_KEYS`: names and keys.
    pub api_keys: Vec<(String, String)>,
    /// `INTERNAL_API_KEY` and the previous one, those that are set.
    pub internal_keys: Vec<String>,
    /// `QUEUE_API_KEY`, `ASSISTANT_API_KEY` and the previous ones, those that are set.
    pub cockpit_keys: Vec<String>,
    /// `AUTH_TOKEN` and the previous one, those that are set.
    pub auth_tokens: Vec<String>,
    /// `ANONYMOUS_CHANNELS`
    pub anonymous_channels: Vec<Pattern>,
    /// `ALLOWED_ORIGINS`
    pub allowed_origins: AllowedOrigins,
}

impl AccessSettings {
    pub(super) fn build(layers: &mut Layers, production: bool) -> Self {
        let in_development = |name: &str, value: &str, layers: &Layers| {
            layers.optional(name).or_else(|| (!production).then(|| value.to_owned()))
        };
        let patterns = |list: &str| list.split(',').map(Pattern::encoded).collect();
        let verifies = ["jwt_public_key", "jwks_url"].iter().any(|n| layers.optional(n).is_some());
        let jwt_secret = layers.optional("jwt_secret");
        Self {
            jwt_secret: jwt_secret
                .or_else(|| (!production && !verifies).then(|| DEVELOPMENT_SECRET.to_owned())),
            jwt_secret_previous: layers.optional("jwt_secret_previous"),
            jwt_public_key: layers.optional("jwt_public_key"),
            jwks_url: layers.optional("jwks_url"),
            jwks_refresh: layers.duration("jwks_refresh_ms"),
            jwks_cooldown: layers.duration("jwks_cooldown_ms"),
            jwt_issuer: layers.optional("jwt_issuer"),
            jwt_audience: layers.optional("jwt_audience"),
            api_keys: api_keys(layers),
            internal_keys: set(layers, &["internal_api_key", "internal_api_key_previous"]),
            cockpit_keys: set(
                layers,
                &[
                    "queue_api_key",
                    "assistant_api_key",
                    "queue_api_key_previous",
                    "assistant_api_key_previous",
                ],
            ),
            auth_tokens: in_development("auth_token", "default-token", layers)
                .into_iter()
                .chain(layers.optional("auth_token_previous"))
                .collect(),
            anonymous_channels: in_development("anonymous_channels", "deployment:*", layers)
                .map_or_else(Vec::new, |list| patterns(&list)),
            allowed_origins: allowed_origins(layers, production),
        }
    }

    /// Production refuses to start on a missing or well-known secret.
    pub(super) fn check_production(&self, role: Role, problems: &mut Vec<SettingProblem>) {
        let verifies = self.jwt_public_key.is_some() || self.jwks_url.is_some();
        match &self.jwt_secret {
            Some(secret) if secret.len() < SECRET_BYTES_MIN => {
                let reason = format!("production needs at least {SECRET_BYTES_MIN} bytes");
                problems.push(SettingProblem::new("jwt_secret", reason));
            }
            None if !verifies && matches!(role, Role::Whole | Role::Gateway) => {
                let reason = "production needs JWT_SECRET, JWT_PUBLIC_KEY or JWKS_URL";
                problems.push(SettingProblem::new("jwt_secret", reason));
            }
            _ => {}
        }
        let mut named: Vec<(&str, &String)> = Vec::new();
        named.extend(self.jwt_secret.iter().map(|key| ("jwt_secret", key)));
        named.extend(self.jwt_secret_previous.iter().map(|key| ("jwt_secret_previous", key)));
        named.extend(self.internal_keys.iter().map(|key| ("internal_api_key", key)));
        named.extend(self.cockpit_keys.iter().map(|key| ("queue_api_key", key)));
        named.extend(self.auth_tokens.iter().map(|key| ("auth_token", key)));
        named.extend(self.api_keys.iter().map(|(_, key)| ("api_keys", key)));
        for (name, key) in named {
            if WELL_KNOWN.contains(&key.to_lowercase().as_str()) {
                problems.push(SettingProblem::new(
                    name,
                    "is a well-known value: production refuses it",
                ));
            }
        }
        for (name, _) in self.api_keys.iter().filter(|(_, key)| key.len() < API_KEY_BYTES_MIN) {
            let reason = format!("production needs at least {API_KEY_BYTES_MIN} bytes: {name}");
            problems.push(SettingProblem::new("api_keys", reason));
        }
    }
}

/// The values of these settings, those that are set.
fn set(layers: &Layers, names: &[&str]) -> Vec<String> {
    names.iter().filter_map(|name| layers.optional(name)).collect()
}

fn allowed_origins(layers: &mut Layers, production: bool) -> AllowedOrigins {
    let named = layers.list("allowed_origins");
    let mut allowed = AllowedOrigins {
        is_loopback: named.is_empty() && !production,
        ..AllowedOrigins::default()
    };
    for text in named {
        match WebOrigin::parse(&text) {
            _ if text == "*" => allowed.is_any = true,
            Some(origin) => allowed.exact.push(origin),
            None => {
                let reason = format!("{text:?} is no origin such as https://app.example, nor *");
                layers.problems.push(SettingProblem::new("allowed_origins", reason));
            }
        }
    }
    allowed
}

fn api_keys(layers: &mut Layers) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for item in layers.list("api_keys") {
        match item.split_once(':') {
            Some((name, key)) if !name.is_empty() && !key.is_empty() => {
                keys.push((name.to_owned(), key.to_owned()));
            }
            _ => {
                layers
                    .problems
                    .push(SettingProblem::new("api_keys", "must be NAME:KEY,NAME:KEY …"));
            }
        }
    }
    keys
}
