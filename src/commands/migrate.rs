//! `fanfare migrate`: brings the database to the current schema.

use runtime::config::{Config, masked_url};
use tokio::time::Instant;

use super::{failure::Failure, output};
use crate::{launch_error::LaunchError, process};

const HELP: &str = "\
Examples:
  DATABASE_URL=postgres://fanfare@db/fanfare fanfare migrate

Exit codes:
  0   the schema is current
  64  wrong usage
  69  the database cannot be reached (STARTUP_TIMEOUT_MS)
  73  another process has the file
  78  a setting is wrong: its name and the reason are said";

/// What `fanfare migrate` is asked to do besides.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Migrate {
    /// Begins a new epoch: the database is an older copy of itself, put back in a way that nothing
    /// inside it can tell. Clients are told and start from its state
    #[arg(long)]
    new_epoch: bool,
}

/// Migrates, waiting for the database up to `STARTUP_TIMEOUT_MS`.
pub(crate) async fn run(wanted: &Migrate, config: &Config) -> Result<(), Failure> {
    match process::connect_store(config, Instant::now() + config.startup_timeout, true).await {
        Ok(store) => {
            if wanted.new_epoch {
                let begun = store.begin_epoch(store.epoch()).await;
                begun.map_err(|error| Failure::Unreachable(error.to_string()))?;
                output::chatter("positions begin a new epoch");
            }
            output::chatter(&format!(
                "{} has the current schema",
                masked_url(&config.database_url)
            ));
            Ok(())
        }
        Err(LaunchError::Unreachable(what)) => Err(Failure::Unreachable(what)),
        Err(LaunchError::InUse(what)) => Err(Failure::InUse(what)),
        Err(LaunchError::Misconfigured(problem)) => Err(problem.into()),
        Err(LaunchError::Other(error)) => Err(Failure::Refused(format!("{error:#}"))),
    }
}
