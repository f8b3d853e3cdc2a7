//! Files that are still to be read.

use std::path::{Path, PathBuf};

/// A file that a `mod` line names and that is still to be read.
pub(crate) struct Pending {
    /// Its path on the disk.
    pub path: PathBuf,
    /// Its module's path in the crate.
    pub module: Vec<String>,
    /// Number of the module that names it; none for a root.
    pub parent: Option<usize>,
    /// Folder in which its children lie.
    pub folder: PathBuf,
}

/// Finds the file of `mod name;` whose declaring module keeps its children in `folder`.
pub(crate) fn locate(folder: &Path, name: &str) -> Option<PathBuf> {
    let flat = folder.join(format!("{name}.rs"));
    let nested = folder.join(name).join("mod.rs");
    [flat, nested].into_iter().find(|path| path.is_file())
}
