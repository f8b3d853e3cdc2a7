//! Directories and names that nobody else uses.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::watchdog;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A name that no other test uses, in this process or another: for key prefixes and databases.
/// Letters, digits and `_` only, when `name` has only such.
pub fn unique(name: &str) -> String {
    format!("{name}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A temporary directory, removed when it is dropped or when the test process has ended.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the directory. Its path is short, because a Unix socket's may have 107 bytes only.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fanfare_{}", unique(name)));
        std::fs::create_dir_all(&path).expect("make a temporary directory");
        watchdog::tell(&format!("dir {}", path.display()));
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now (a dying child still writes) the watchdog removes at the end.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
