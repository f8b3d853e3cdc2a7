//! The layers that settings come from: compiled-in defaults, a file, the environment.

use std::{collections::HashMap, fmt, path::Path, str::FromStr, time::Duration};

use super::shown_url;

/// The compiled-in reference of all settings.
pub const REFERENCE: &str = include_str!("settings.toml");

/// Settings whose values never appear anywhere.
const SECRETS: [&str; 13] = [
    "jwt_secret",
    "jwt_secret_previous",
    "jwt_public_key",
    "api_keys",
    "internal_api_key",
    "internal_api_key_previous",
    "queue_api_key",
    "queue_api_key_previous",
    "assistant_api_key",
    "assistant_api_key_previous",
    "auth_token",
    "auth_token_previous",
    "fanfare_token",
];

/// Settings that are URLs, whose passwords never appear anywhere.
const URLS: [&str; 6] = [
    "redis_url",
    "database_url",
    "jwks_url",
    "fanfare_url",
    "otel_exporter_otlp_endpoint",
    "otel_exporter_otlp_traces_endpoint",
];

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The compiled-in file.
    Default,
    /// The file that `FANFARE_CONFIG` names.
    File,
    /// A variable of the process's environment.
    Environment,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
        })
    }
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct SettingProblem {
    /// The setting, as in the environment.
    pub name: String,
    /// What is wrong and what would be right. Never the value of a secret.
    pub reason: String,
}

impl SettingProblem {
    /// A problem with a setting, named in either case.
    pub fn new(name: &str, reason: impl Into<String>) -> Self {
        Self { name: name.to_uppercase(), reason: reason.into() }
    }
}

/// All settings as texts, in the order of the reference, with the problems met while reading them.
#[derive(Clone, Debug)]
pub struct Layers {
    settings: Vec<(String, String, Origin)>,
    /// What was wrong so far.
    pub problems: Vec<SettingProblem>,
}

impl Layers {
    /// Reads all layers. `environment` is the process's.
    pub fn read(environment: &HashMap<String, String>) -> Self {
        let mut layers = Self { settings: Vec::new(), problems: Vec::new() };
        layers.overlay(REFERENCE, "the reference", Origin::Default);
        if let Some(path) = environment.get("FANFARE_CONFIG").filter(|path| !path.is_empty()) {
            match std::fs::read_to_string(Path::new(path)) {
                Ok(text) => layers.overlay(&text, path, Origin::File),
                Err(error) => {
                    layers
                        .problems
                        .push(SettingProblem::new("FANFARE_CONFIG", format!("{path}: {error}")));
                }
            }
        }
        for (name, value, origin) in &mut layers.settings {
            if let Some(given) = environment.get(&name.to_uppercase()) {
                given.trim().clone_into(value);
                *origin = Origin::Environment;
            }
        }
        layers
    }

    fn overlay(&mut self, text: &str, file: &str, origin: Origin) {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let line = error.message().to_owned();
                self.problems
                    .push(SettingProblem::new("FANFARE_CONFIG", format!("{file}: {line}")));
                return;
            }
        };
        if origin == Origin::Default {
            // The order of the file is the order in which `fanfare config` shows the settings.
            let names = text.lines().filter_map(|line| line.split_once(" = "));
            let names = names.filter(|(name, _)| !name.starts_with('#'));
            self.settings = names.map(|(n, _)| (n.to_owned(), String::new(), origin)).collect();
        }
        for (name, value) in table {
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                toml::Value::Boolean(flag) => flag.to_string(),
                _ => {
                    self.problems
                        .push(SettingProblem::new(&name, "must be a text, a number or a flag"));
                    continue;
                }
            };
            match self.settings.iter_mut().find(|(known, _, _)| *known == name) {
                Some(setting) => (setting.1, setting.2) = (value, origin),
                None => {
                    self.problems.push(SettingProblem::new(
                        &name,
                        format!("{file}: there is no setting {name}"),
                    ));
                }
            }
        }
    }

    /// The text of a setting; empty when unset.
    pub fn text(&self, name: &str) -> &str {
        self.settings.iter().find(|(known, _, _)| known == name).map_or("", |(_, value, _)| value)
    }

    /// The text of a setting, none when unset.
    pub fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The items of a comma-separated setting.
    pub fn list(&self, name: &str) -> Vec<String> {
        let items = self.text(name).split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    }

    /// A number within bounds; on a wrong one the problem is noted and the lower bound taken.
    pub fn number<N>(&mut self, name: &str, range: std::ops::RangeInclusive<N>) -> N
    where
        N: FromStr + PartialOrd + Copy + fmt::Display,
    {
        let text = self.text(name).to_owned();
        let number = text.parse::<N>().ok().filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            let (from, to) = (range.start(), range.end());
            let reason = format!("{text:?} is not a whole number from {from} to {to}");
            self.problems.push(SettingProblem::new(name, reason));
            *range.start()
        })
    }

    /// A share from 0 to 1; none when unset.
    pub fn share(&mut self, name: &str) -> Option<f64> {
        let text = self.optional(name)?;
        let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            let reason = format!("{text:?} is not a number from 0 to 1");
            self.problems.push(SettingProblem::new(name, reason));
        }
        share
    }

    /// A duration in milliseconds, from 1 ms to 10 years.
    pub fn duration(&mut self, name: &str) -> Duration {
        Duration::from_millis(self.number(name, 1..=315_360_000_000_u64))
    }

    /// Reads a flag: `true`, `1`, `yes`, `false`, `0`, `no` or unset.
    pub fn flag(&mut self, name: &str) -> bool {
        match self.text(name) {
            "true" | "1" | "yes" => true,
            "false" | "0" | "no" | "" => false,
            other => {
                let reason = format!("{other:?} is neither true nor false");
                self.problems.push(SettingProblem::new(name, reason));
                false
            }
        }
    }

    /// Notes each URL of the settings that cannot be understood.
    pub(super) fn check_urls(&mut self) {
        for name in URLS {
            let is_wrong = self.optional(name).is_some_and(|url| shown_url::shown(&url).is_none());
            if is_wrong {
                let reason = "is no URL; '/', '?', '#', '@' and ':' in a password are written as \
                              %2F, %3F, %23, %40 and %3A";
                self.problems.push(SettingProblem::new(name, reason));
            }
        }
    }

    /// Every setting with its value, secrets masked, and its origin.
    pub fn shown(&self) -> impl Iterator<Item = (String, String, Origin)> + '_ {
        self.settings
            .iter()
            .map(|(name, value, origin)| (name.to_uppercase(), masked(name, value), *origin))
    }
}

/// A value as it may be shown.
pub(super) fn masked(name: &str, value: &str) -> String {
    if value.is_empty() {
        String::new()
    } else if SECRETS.contains(&name) {
        "********".into()
    } else if URLS.contains(&name) {
        masked_url(value)
    } else {
        value.to_owned()
    }
}

/// A URL without its secrets; nothing of one that cannot be understood.
pub fn masked_url(url: &str) -> String {
    shown_url::shown(url).unwrap_or_else(|| "********".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_and_origins_are_told() {
        let environment = HashMap::from([("PORT".to_owned(), "1".to_owned())]);
        let mut layers = Layers::read(&environment);
        assert_eq!(layers.problems, []);
        assert_eq!(layers.number::<u16>("port", 0..=65535), 1);
        let port = layers.shown().find(|(name, _, _)| name == "PORT").unwrap();
        assert_eq!(port.2, Origin::Environment);
    }

    #[test]
    fn secrets_and_passwords_are_never_shown() {
        assert_eq!(masked("jwt_secret", "x"), "********");
        assert_eq!(masked("redis_url", "redis://:pass@h:1/0?x=secret"), "redis://********@h:1/0");
        assert_eq!(masked("database_url", "sqlite://fanfare.db"), "sqlite://fanfare.db");
    }
}
