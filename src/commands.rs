//! The commands of the executable, each in a file of its own; servers are `process.rs`.

mod completions;
mod config;
mod dead;
mod demo;
mod doctor;
mod duration;
mod erase;
mod explain;
mod failure;
mod healthcheck;
mod http_client;
mod migrate;
mod output;
mod publish;
mod server_client;
mod terminal;
mod token;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;
use runtime::config::{Config, Layers, Role};

use self::failure::Failure;

/// What the help of a role of its own says besides.
const ROLE_HELP: &str = "\
Examples:
  export REDIS_URL=redis://r DATABASE_URL=postgres://fanfare@db/fanfare
  fanfare worker
  fanfare gateway

Exit codes:
  0   drained
  69  Redis or SQL cannot be reached (STARTUP_TIMEOUT_MS)
  73  the address is in use
  78  a setting is wrong: its name and the reason are said";

/// What the executable is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Terminates sockets: needs `REDIS_URL` and `DATABASE_URL`
    #[command(after_help = ROLE_HELP)]
    Gateway,
    /// Consumes streams, records and publishes: needs `REDIS_URL` and `DATABASE_URL`
    #[command(after_help = ROLE_HELP)]
    Worker,
    /// Brings the database to the current schema
    Migrate(migrate::Migrate),
    /// Shows every setting, its value and where that came from
    #[command(after_help = config::HELP)]
    Config,
    /// Signs a token with `JWT_SECRET`
    Token(token::Token),
    /// Publishes one event
    Publish(publish::Publish),
    /// Follows a channel: exit code 0 or 1 from the outcome
    Watch(watch::Watch),
    /// Entries that were not accepted
    Dead(dead::Dead),
    /// Shows the hops of one event
    Explain(explain::Explain),
    /// Plays a believable platform into a running server
    Demo(demo::Demo),
    /// Takes a person's or an entity's data out of everything that the server holds
    Erase(erase::Erase),
    /// Says what is wrong with this installation
    #[command(after_help = doctor::HELP)]
    Doctor,
    /// Succeeds when the local process is ready
    Healthcheck(healthcheck::Healthcheck),
    /// Prints a script by which a shell completes commands and flags
    Completions(completions::Completions),
}

impl CliCommand {
    /// Returns the role whose settings must be right.
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Gateway => Role::Gateway,
            Self::Worker => Role::Worker,
            Self::Config => Role::Whole,
            _ => Role::Command,
        }
    }
}

/// Runs a command other than a server, and returns its exit code.
pub(crate) async fn run(command: CliCommand, config: Config, layers: &Layers) -> ExitCode {
    match Box::pin(execute(command, &config, layers)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end(),
    }
}

async fn execute(command: CliCommand, config: &Config, layers: &Layers) -> Result<(), Failure> {
    match command {
        // Servers run in `process.rs`, completions before any setting is read.
        CliCommand::Gateway | CliCommand::Worker | CliCommand::Completions(_) => Ok(()),
        CliCommand::Migrate(wanted) => migrate::run(&wanted, config).await,
        CliCommand::Config => config::show(config, layers),
        CliCommand::Token(token) => token.run(config),
        CliCommand::Publish(publish) => publish.run(config).await,
        CliCommand::Watch(watch) => Box::pin(watch.run(config)).await,
        CliCommand::Dead(dead) => dead.run(config).await,
        CliCommand::Explain(explain) => explain.run(config).await,
        CliCommand::Demo(demo) => demo.run(config).await,
        CliCommand::Erase(erase) => erase.run(config).await,
        CliCommand::Doctor => doctor::run(config).await,
        CliCommand::Healthcheck(healthcheck) => healthcheck.run(config, layers).await,
    }
}
