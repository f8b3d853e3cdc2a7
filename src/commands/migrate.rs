//! `fanfare migrate`: brings the database to the current schema.

use runtime::config::{Config, masked_url};
use tokio::time::Instant;

use super::{failure::Failure, output};
use crate::process::{self, LaunchError};

/// Migrates, waiting for the database up to `STARTUP_TIMEOUT_MS`.
pub(crate) async fn run(config: &Config) -> Result<(), Failure> {
    match process::connect_store(config, Instant::now() + config.startup_timeout).await {
        Ok(_) => {
            output::chatter(&format!(
                "{} has the current schema",
                masked_url(&config.database_url)
            ));
            Ok(())
        }
        Err(LaunchError::Unreachable(what)) => Err(Failure::Unreachable(what)),
        Err(LaunchError::Other(error)) => Err(Failure::Refused(format!("{error:#}"))),
    }
}
