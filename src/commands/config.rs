//! `fanfare config`: every setting, its value with secrets masked, and where it came from.

use gateway::http::tls::Tls;
use runtime::config::{Config, Layers};

use super::{failure::Failure, output};

/// What `fanfare config --help` says besides.
pub(super) const HELP: &str = "\
Examples:
  fanfare config | grep LIMIT
  ENVIRONMENT=production fanfare config      # what production would refuse

Exit codes:
  0   every setting is right
  78  one is wrong: its name and the reason are said";

/// Prints a line a setting, in the order of the reference.
///
/// # Errors
/// When a file that a setting names cannot be used.
pub(crate) fn show(config: &Config, layers: &Layers) -> Result<(), Failure> {
    config.tls.as_ref().map(Tls::load).transpose()?;
    for (name, value, origin) in layers.shown() {
        output::data(&format!("{name}={value}  # {origin}"))?;
    }
    Ok(())
}
