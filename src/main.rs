//! The executable: role → parts → signals → drain → exit code.

mod admin;
mod banner;
mod commands;
mod embedded_redis;
mod exit;
mod launch_error;
mod listeners;
mod open_files;
mod port_holder;
mod process;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use runtime::config::{Config, Role};

use self::commands::CliCommand;

/// The memory allocator: small at rest, small again after a burst.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Fanfare, a realtime gateway: backends say what happens with one XADD, everybody who watches sees
/// it. Without a command: gateway and worker in one process.
#[derive(Debug, Parser)]
#[command(name = "fanfare", version, after_help = HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Option<CliCommand>,
}

const HELP: &str = "\
Examples:
  fanfare                                  a server: broker in memory, SQLite in ./fanfare.db
  fanfare watch deployment:demo            follow something to its end
  REDIS_URL=redis://127.0.0.1 fanfare      the same server on a Redis
  fanfare help publish                     what a command takes

Exit codes:
  0   drained, or done
  64  wrong usage
  69  Redis or SQL cannot be reached (STARTUP_TIMEOUT_MS)
  73  the address or the database file is in use
  78  a setting is wrong: its name and the reason are said";

fn main() -> ExitCode {
    crypto::install();
    let arguments = match Arguments::command().try_get_matches() {
        Ok(matches) => match Arguments::from_arg_matches(&matches) {
            Ok(arguments) => arguments,
            Err(error) => return exit::usage(&error),
        },
        Err(error) => return exit::usage(&error),
    };
    if let Some(CliCommand::Completions(completions)) = arguments.command {
        return completions.run(&mut Arguments::command());
    }
    let role = arguments.command.as_ref().map_or(Role::Whole, CliCommand::role);
    let (config, layers) = match Config::load(role) {
        Ok(loaded) => loaded,
        Err(problems) => return exit::configuration(&problems),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::failure(&error.into()),
    };
    runtime.block_on(async {
        match arguments.command {
            None | Some(CliCommand::Gateway | CliCommand::Worker) => {
                process::run(role, config).await
            }
            Some(command) => commands::run(command, config, &layers).await,
        }
    })
}
