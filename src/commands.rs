//! The commands that are no server: each in a file of its own.

mod config;
mod dead;
mod demo;
mod explain;
mod failure;
mod healthcheck;
mod migrate;
mod output;
mod publish;
mod server;
mod token;
mod watch;

use std::{process::ExitCode, time::Duration};

use clap::Subcommand;
use shared::config::{Config, Layers, Role};

use self::failure::Failure;

/// What the executable is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Terminates sockets: needs `REDIS_URL` and `DATABASE_URL`
    Gateway,
    /// Consumes streams, records and publishes: needs `REDIS_URL` and `DATABASE_URL`
    Worker,
    /// Brings the database to the current schema
    Migrate,
    /// Shows every setting, its value and where that came from
    Config,
    /// Signs a token with `JWT_SECRET`
    Token(token::Token),
    /// Publishes one event
    Publish(publish::Publish),
    /// Follows a channel: exit code 0 or 1 from the outcome
    Watch(watch::Watch),
    /// Entries that were not accepted
    #[command(subcommand)]
    Dead(dead::Dead),
    /// Shows the hops of one event
    Explain(explain::Explain),
    /// Plays a believable platform into a running server
    Demo(demo::Demo),
    /// Succeeds when the local process is ready
    Healthcheck,
}

impl Command {
    /// The role whose settings must be right.
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Gateway => Role::Gateway,
            Self::Worker => Role::Worker,
            Self::Config => Role::Whole,
            _ => Role::Command,
        }
    }
}

/// Runs a command that is no server.
pub(crate) async fn run(command: Command, config: Config, layers: &Layers) -> ExitCode {
    match Box::pin(carry_out(command, &config, layers)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end(),
    }
}

async fn carry_out(command: Command, config: &Config, layers: &Layers) -> Result<(), Failure> {
    match command {
        // These are the process's own.
        Command::Gateway | Command::Worker => Ok(()),
        Command::Migrate => migrate::run(config).await,
        Command::Config => config::show(layers),
        Command::Token(token) => token.run(config),
        Command::Publish(publish) => publish.run(config).await,
        Command::Watch(watch) => watch.run(config).await,
        Command::Dead(dead) => dead.run(config).await,
        Command::Explain(explain) => explain.run(config).await,
        Command::Demo(demo) => demo.run(config).await,
        Command::Healthcheck => healthcheck::run(config, layers).await,
    }
}

/// A duration as people write it: `90s`, `30m`, `1h`, `7d`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration such as 90s, 30m, 1h or 7d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number.checked_mul(seconds).filter(|seconds| (1..=315_360_000).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800), ("5", 5)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in ["", "h", "1w", "-1s", "0", "99999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
