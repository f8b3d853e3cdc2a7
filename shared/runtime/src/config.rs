//! Settings: read once at the start from the layers, checked whole, then plain data.
//!
//! The only module that looks at the environment. Every problem is found in one go, named by its
//! setting; a process with a problem ends with exit code 78 before it binds a port.

mod access;
mod alert_routes;
mod check;
mod embedded_redis;
mod escalation;
mod layers;
mod role;
mod sections;
mod shown_url;
mod tls;
mod web_origin;

use std::{collections::HashMap, time::Duration};

pub use self::{
    access::AccessSettings,
    alert_routes::{AlertDestination, AlertRoute, SecretText},
    embedded_redis::EmbeddedRedis,
    escalation::{AllowedHost, EscalationSettings, HealthSettings},
    layers::{Layers, Origin, REFERENCE, SettingProblem, masked_url},
    role::{DEVELOPMENT_SECRET, Environment, Role},
    sections::{HeartbeatSettings, LimitSettings, Record, Traces, WorkSettings},
    tls::TlsFiles,
    web_origin::{AllowedOrigins, WebOrigin, is_local_host},
};

/// The most characters of a node's name that is given.
const NODE_NAME_CHARS_MAX: usize = 63;

/// The wire protocols that can be served.
const DIALECTS: [&str; 6] =
    ["native", "deployments", "cockpit", "cloud_agents", "zerostate", "containers"];

/// Every setting, parsed and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ENVIRONMENT`
    pub environment: Environment,
    /// `LISTEN`, or `HOST` and `PORT`.
    pub listen: Vec<String>,
    /// `ADMIN_LISTEN`; none: like `listen` on a gateway.
    pub admin_listen: Option<String>,
    /// TLS on `listen`; none: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// `ALLOW_INSECURE`
    pub allow_insecure: bool,
    /// `NODE_NAME`, or the host name.
    pub node_name: String,
    /// `STARTUP_TIMEOUT_MS`
    pub startup_timeout: Duration,
    /// `FANFARE_URL`, or from `HOST` and `PORT`.
    pub url: String,
    /// `FANFARE_TOKEN`
    pub token: Option<String>,
    /// `REDIS_URL`
    pub redis_url: Option<String>,
    /// `DATABASE_URL`
    pub database_url: String,
    /// `MIGRATE`: whether the roles change the schema.
    pub migrate: bool,
    /// `KEY_PREFIX`
    pub key_prefix: String,
    /// `DIALECTS`: names of those that are served.
    pub dialects: Vec<String>,
    /// Where the process takes XADD itself.
    pub embedded_redis: EmbeddedRedis,
    /// Keys and tokens.
    pub access: AccessSettings,
    /// `HeartbeatSettings` of the dialects.
    pub rhythm: HeartbeatSettings,
    /// `LimitSettings` of connections.
    pub limits: LimitSettings,
    /// `LimitSettings` of the record.
    pub record: Record,
    /// Health of agents.
    pub health: HealthSettings,
    /// Where alerts go.
    pub escalation: EscalationSettings,
    /// Spans of the queue of tasks.
    pub work: WorkSettings,
    /// `LOG_LEVEL`
    pub log_level: String,
    /// Whether logs are JSON: `LOG_FORMAT`.
    pub log_json: bool,
    /// Where traces go.
    pub traces: Traces,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// Every problem found, each naming its setting.
    pub fn load(role: Role) -> Result<(Self, Layers), Vec<SettingProblem>> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::from_environment(role, &environment)
    }

    /// Reads a given environment.
    ///
    /// # Errors
    /// Every problem found, each naming its setting.
    pub fn from_environment(
        role: Role,
        environment: &HashMap<String, String>,
    ) -> Result<(Self, Layers), Vec<SettingProblem>> {
        let mut layers = Layers::read(environment);
        let config = Self::build(&mut layers, role, environment);
        layers.check_urls();
        config.check(role, &mut layers.problems);
        if layers.problems.is_empty() { Ok((config, layers)) } else { Err(layers.problems) }
    }

    /// Whether the process runs in production mode.
    pub fn production(&self) -> bool {
        self.environment == Environment::Production
    }

    /// Whether a dialect is served.
    pub fn serves(&self, dialect: &str) -> bool {
        self.dialects.iter().any(|served| served == dialect)
    }

    /// Whether only this machine may come: development that nobody opened on purpose.
    pub fn is_local(&self) -> bool {
        !self.production() && !self.allow_insecure
    }

    fn build(layers: &mut Layers, role: Role, variables: &HashMap<String, String>) -> Self {
        let environment = match layers.text("environment") {
            "development" => Environment::Development,
            "production" => Environment::Production,
            other => {
                let reason = format!("{other:?} is neither development nor production");
                layers.problems.push(SettingProblem::new("environment", reason));
                Environment::Production
            }
        };
        let production = environment == Environment::Production;
        let port: u16 = layers.number("port", 0..=65535);
        let host = layers
            .optional("host")
            .unwrap_or_else(|| if production { "0.0.0.0" } else { "127.0.0.1" }.into());
        let own =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let listen = Some(layers.list("listen")).filter(|list| !list.is_empty());
        let tls = TlsFiles::build(layers);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let log_format = layers.optional("log_format");
        if let Some(other) = log_format.as_deref().filter(|f| !matches!(*f, "text" | "json")) {
            let reason = format!("{other:?} is neither text nor json");
            layers.problems.push(SettingProblem::new("log_format", reason));
        }
        Self {
            environment,
            listen: listen.unwrap_or_else(|| vec![own.clone()]),
            admin_listen: layers.optional("admin_listen"),
            tls,
            allow_insecure: layers.flag("allow_insecure"),
            node_name: node_name(layers.optional("node_name")),
            startup_timeout: layers.duration("startup_timeout_ms"),
            url: layers.optional("fanfare_url").unwrap_or_else(|| {
                let own = own.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]");
                format!("{scheme}://{own}")
            }),
            token: layers.optional("fanfare_token"),
            redis_url: layers.optional("redis_url"),
            database_url: layers.text("database_url").to_owned(),
            migrate: migrate(layers),
            key_prefix: layers.text("key_prefix").to_owned(),
            dialects: dialects(layers),
            embedded_redis: EmbeddedRedis::build(layers, production),
            access: AccessSettings::build(layers, production),
            rhythm: HeartbeatSettings::build(layers),
            limits: LimitSettings::build(layers),
            record: Record::build(layers),
            health: HealthSettings::build(layers),
            escalation: EscalationSettings::build(layers, role, variables),
            work: WorkSettings::build(layers),
            log_level: layers.text("log_level").to_owned(),
            log_json: log_format.map_or(production, |format| format == "json"),
            traces: Traces::build(layers),
        }
    }
}

/// The first part of the node's name: letters, digits and `-`, as it stands in entries, keys and labels.
fn node_name(given: Option<String>) -> String {
    let name = given.unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned());
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().take(NODE_NAME_CHARS_MAX).map(plain).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "node".to_owned() } else { name.to_owned() }
}

/// Whether `MIGRATE` is `on`.
fn migrate(layers: &mut Layers) -> bool {
    let given = layers.text("migrate").to_owned();
    if given != "on" && given != "off" {
        let reason = format!("{given:?} is neither on nor off");
        layers.problems.push(SettingProblem::new("migrate", reason));
    }
    given != "off"
}

/// The dialects that the setting names.
fn dialects(layers: &mut Layers) -> Vec<String> {
    let named = layers.list("dialects");
    for other in named.iter().filter(|name| !DIALECTS.contains(&name.as_str())) {
        let reason = format!("{other:?} is none of {}", DIALECTS.join(", "));
        layers.problems.push(SettingProblem::new("dialects", reason));
    }
    if named.is_empty() { DIALECTS.map(str::to_owned).to_vec() } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(role: Role, pairs: &[(&str, &str)]) -> Result<Config, Vec<SettingProblem>> {
        let environment =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::from_environment(role, &environment).map(|(config, _)| config)
    }

    fn refused(role: Role, pairs: &[(&str, &str)]) -> Vec<String> {
        load(role, pairs).unwrap_err().into_iter().map(|problem| problem.name).collect()
    }

    #[test]
    fn a_laptop_needs_no_setting_at_all() {
        let config = load(Role::Whole, &[]).unwrap();
        assert_eq!(config.listen, ["127.0.0.1:8080"]);
        assert_eq!(config.access.auth_tokens, ["default-token"]);
        assert_eq!(config.access.anonymous_channels.len(), 1);
    }

    #[test]
    fn every_wrong_setting_is_named_at_once() {
        let wrong =
            refused(Role::Whole, &[("PORT", "x"), ("DRAIN_MS", "-1"), ("MOCK_STEP_MS", "9")]);
        assert_eq!(wrong, ["PORT", "MOCK_STEP_MS", "DRAIN_MS"]);
    }

    #[test]
    fn production_refuses_missing_and_well_known_secrets() {
        let production = ("ENVIRONMENT", "production");
        assert_eq!(refused(Role::Whole, &[production]), ["JWT_SECRET"]);
        assert_eq!(
            refused(Role::Whole, &[production, ("JWT_SECRET", DEVELOPMENT_SECRET)]),
            ["JWT_SECRET"]
        );
        let good = ("JWT_SECRET", "0123456789abcdef0123456789abcdef");
        assert_eq!(
            refused(Role::Whole, &[production, good, ("AUTH_TOKEN", "default-token")]),
            ["AUTH_TOKEN"]
        );
        let config = load(Role::Whole, &[production, good]).unwrap();
        assert_eq!(config.listen, ["0.0.0.0:8080"]);
        assert!(config.access.auth_tokens.is_empty());
        assert!(config.access.anonymous_channels.is_empty());
    }

    #[test]
    fn development_mode_stays_on_loopback_unless_told_otherwise() {
        assert_eq!(refused(Role::Whole, &[("HOST", "0.0.0.0")]), ["HOST"]);
        assert!(load(Role::Whole, &[("HOST", "0.0.0.0"), ("ALLOW_INSECURE", "true")]).is_ok());
        assert!(load(Role::Whole, &[("LISTEN", "[::1]:1,localhost:2")]).is_ok());
    }

    #[test]
    fn xadd_is_taken_in_development_while_the_broker_is_in_memory() {
        let listens = |pairs: &[_]| load(Role::Whole, pairs).unwrap().embedded_redis.listen;
        assert_eq!(listens(&[]).as_deref(), Some("127.0.0.1:6380"));
        assert_eq!(listens(&[("EMBEDDED_REDIS_LISTEN", "off")]), None);
        assert_eq!(listens(&[("REDIS_URL", "redis://h")]), None);
        let production = ("ENVIRONMENT", "production");
        let good = ("JWT_SECRET", "0123456789abcdef0123456789abcdef");
        assert_eq!(listens(&[production, good]), None);
        let anywhere = ("EMBEDDED_REDIS_LISTEN", "0.0.0.0:6380");
        assert_eq!(listens(&[production, good, anywhere]).as_deref(), Some("0.0.0.0:6380"));
        for wrong in [
            &[anywhere][..],
            &[("EMBEDDED_REDIS_LISTEN", "6380")],
            &[("EMBEDDED_REDIS_LISTEN", "127.0.0.1:1"), ("REDIS_URL", "redis://h")],
        ] {
            assert_eq!(refused(Role::Whole, wrong), ["EMBEDDED_REDIS_LISTEN"], "{wrong:?}");
        }
    }

    #[test]
    fn keys_come_over_tls_in_production() {
        let production = ("ENVIRONMENT", "production");
        let load = |url, more| load(Role::Whole, &[("JWKS_URL", url), more]);
        for good in ["https://id.example/keys", "http://127.0.0.1:9/keys", "http://localhost/k"] {
            assert!(load(good, production).is_ok(), "{good}");
        }
        for bad in ["http://id.example/keys", "http://127.id.example/keys", "ftp://127.0.0.1/k"] {
            assert_eq!(load(bad, production).unwrap_err()[0].name, "JWKS_URL", "{bad}");
        }
        assert!(load("http://id.example/keys", ("ENVIRONMENT", "development")).is_ok());
    }

    #[test]
    fn a_log_level_that_is_none_silences_nothing() {
        for good in ["info", "DEBUG", "info,gateway=debug", "warn,gateway::channel=trace"] {
            assert!(load(Role::Whole, &[("LOG_LEVEL", good)]).is_ok(), "{good}");
        }
        for wrong in ["WARNING", "info,gateway", "gateway=verbose", ""] {
            let refused = load(Role::Whole, &[("LOG_LEVEL", wrong)]).map(|config| config.log_level);
            assert!(refused.is_err() || refused.is_ok_and(|level| level == "info"), "{wrong}");
        }
    }

    #[test]
    fn the_name_of_a_node_fits_into_an_entry_and_a_key() {
        let name = |given| load(Role::Whole, &[("NODE_NAME", given)]).unwrap().node_name;
        assert_eq!(name("gateway-7d9f"), "gateway-7d9f");
        assert_eq!(name("pod.1:a b"), "pod-1-a-b");
        assert_eq!(name("ü"), "node");
        assert!(!name("").is_empty(), "the host's");
    }

    #[test]
    fn tls_needs_both_files_and_names_the_missing_one() {
        assert_eq!(refused(Role::Whole, &[("TLS_CERT", "cert.pem")]), ["TLS_KEY"]);
        assert_eq!(refused(Role::Whole, &[("TLS_KEY", "key.pem")]), ["TLS_CERT"]);
        let both = [("TLS_CERT", "cert.pem"), ("TLS_KEY", "key.pem")];
        assert_eq!(load(Role::Whole, &both).unwrap().url, "https://127.0.0.1:8080");
    }

    #[test]
    fn a_role_of_its_own_needs_a_shared_broker_and_database() {
        assert_eq!(refused(Role::Worker, &[]), ["REDIS_URL", "DATABASE_URL"]);
    }

    #[test]
    fn what_is_no_origin_no_dialect_and_no_url_names_its_setting() {
        for (name, wrong) in [
            ("ALLOWED_ORIGINS", "app.example"),
            ("ALLOWED_ORIGINS", "https://app.example/page"),
            ("DIALECTS", "native,telnet"),
            ("REDIS_URL", "redis://:p/ss+w0rd==@host"),
            ("DATABASE_URL", "postgres://u:p/ss@h"),
        ] {
            let problems = load(Role::Whole, &[(name, wrong)]).unwrap_err();
            assert_eq!(problems[0].name, name, "{wrong}");
            assert!(!problems[0].reason.contains("p/ss"), "{problems:?}");
        }
    }

    #[test]
    fn a_short_api_key_is_refused_in_production_only() {
        let good = ("JWT_SECRET", "0123456789abcdef0123456789abcdef");
        let short = ("API_KEYS", "ops:x");
        assert_eq!(
            refused(Role::Whole, &[("ENVIRONMENT", "production"), good, short]),
            ["API_KEYS"]
        );
        assert!(load(Role::Whole, &[short]).is_ok());
    }

    #[test]
    fn proxies_that_hold_everybody_are_warned_of() {
        let config = load(Role::Whole, &[("TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/0")]).unwrap();
        assert_eq!(config.warnings().len(), 1);
        assert!(config.warnings()[0].contains("0.0.0.0/0"));
    }

    #[test]
    fn the_documentation_lists_every_setting_with_its_default() {
        let page = include_str!("../../../docs/settings.md");
        for line in REFERENCE.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, default)) = line.split_once(" = ") else { continue };
            let default = match default.trim_matches('"') {
                "" => "–".to_owned(),
                default => format!("`{default}`"),
            };
            let row = format!("| `{}` | {default} |", name.to_uppercase());
            assert!(page.contains(&row), "docs/settings.md lacks the row {row}");
        }
    }
}
