//! `fanfare config`: every setting, its value with secrets masked, and where it came from.

use runtime::config::Layers;

use super::{failure::Failure, output};

/// Prints a line a setting, in the order of the reference.
pub(crate) fn show(layers: &Layers) -> Result<(), Failure> {
    for (name, value, origin) in layers.shown() {
        output::data(&format!("{name}={value}  # {origin}"))?;
    }
    Ok(())
}
