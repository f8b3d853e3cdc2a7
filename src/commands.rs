//! The commands that are no server: each in a file of its own.

use std::process::ExitCode;

use clap::Subcommand;
use shared::config::{Config, Layers, Role};

/// What the executable is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Terminates sockets: needs `REDIS_URL` and `DATABASE_URL`
    Gateway,
    /// Consumes streams, records and publishes: needs `REDIS_URL` and `DATABASE_URL`
    Worker,
    /// Shows every setting, its value and where that came from
    Config,
}

impl Command {
    /// The role whose settings must be right.
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Gateway => Role::Gateway,
            Self::Worker => Role::Worker,
            Self::Config => Role::Whole,
        }
    }
}

/// Runs a command that is no server.
pub(crate) async fn run(command: Command, _config: Config, layers: &Layers) -> ExitCode {
    match command {
        Command::Gateway | Command::Worker => {}
        Command::Config => show_config(layers),
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn show_config(layers: &Layers) {
    for (name, value, origin) in layers.shown() {
        println!("{name}={value}  # {origin}");
    }
}
