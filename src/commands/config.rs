//! `fanfare config`: every setting, its value with secrets masked, and where it came from.

use runtime::config::Layers;

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
pub(crate) fn show(layers: &Layers) -> Result<(), Failure> {
    for (name, value, origin) in layers.shown() {
        output::data(&format!("{name}={value}  # {origin}"))?;
    }
    Ok(())
}
