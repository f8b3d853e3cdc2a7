//! The module tree of the workspace: what each module defines, imports and names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Everything that was read.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Root of the repository.
    pub(crate) repo: PathBuf,
    /// Its crates.
    pub(crate) crates: Vec<Crate>,
    /// All modules.
    pub(crate) modules: Vec<Module>,
    /// All files.
    pub(crate) files: Vec<File>,
}

impl Tree {
    /// Turns a path on the disk into one from the root of the repository.
    pub(crate) fn name(&self, path: &Path) -> String {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let short = path.strip_prefix(&self.repo).unwrap_or(&path);
        let parts = short.components().map(|part| part.as_os_str().to_string_lossy());
        parts.collect::<Vec<_>>().join("/")
    }
}

/// A crate: its name as code spells it, and its root module.
#[derive(Debug)]
pub(crate) struct Crate {
    /// Name as code spells it, with `_`.
    pub name: String,
    /// Number of the root module.
    pub root: usize,
    /// Whether it is part of the product; crates of tests are measured for circles only.
    pub product: bool,
}

/// A module: a file, or a block inside one.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Number of its crate.
    pub krate: usize,
    /// Number of the file in which it stands.
    pub file: usize,
    /// Number of its parent; none for a root.
    pub parent: Option<usize>,
    /// Its children by name.
    pub children: BTreeMap<String, usize>,
    /// Names of the items that it defines.
    pub items: BTreeSet<String>,
    /// What its `use` lines bring in.
    pub imports: Vec<Import>,
    /// Paths that its code names.
    pub mentions: BTreeSet<Vec<String>>,
}

/// One leaf of a `use` tree.
#[derive(Debug)]
pub(crate) struct Import {
    /// Path as written, with the heads of its groups.
    pub path: Vec<String>,
    /// The name that it binds here; none for `*`.
    pub alias: Option<String>,
    /// Whether it hands the name on (any `pub`).
    pub exported: bool,
}

/// A source file.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// Path on the disk.
    pub path: PathBuf,
    /// Path from the root of the repository, with `/`.
    pub name: String,
    /// Number of its crate.
    pub krate: usize,
    /// Path of its module in the crate; empty for a root.
    pub module: Vec<String>,
    /// Lines without its tests.
    pub lines: usize,
    /// Functions with a body.
    pub functions: Vec<Function>,
    /// Names of structures, enumerations, traits and unions that it defines.
    pub types: Vec<String>,
    /// Every name that a declaration brings up, with its line.
    pub declared: Vec<(usize, String)>,
    /// Every identifier, with its line.
    pub identifiers: Vec<(usize, String)>,
    /// Every path of more than one segment, with its line.
    pub paths: Vec<(usize, Vec<String>)>,
    /// Every string literal, with its line.
    pub strings: Vec<(usize, String)>,
    /// Lines of documentation.
    pub docs: Vec<DocLine>,
    /// Log lines.
    pub logs: Vec<LogLine>,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name.
    pub name: String,
    /// Lines from its signature to its closing brace.
    pub lines: usize,
}

/// A line of documentation.
#[derive(Debug)]
pub(crate) struct DocLine {
    /// Line in the file.
    pub line: usize,
    /// Whether it speaks of what encloses it (`//!`).
    pub inner: bool,
    /// Text without the marker.
    pub text: String,
}

/// A call of one of tracing's macros.
#[derive(Debug)]
pub(crate) struct LogLine {
    /// Line in the file.
    pub line: usize,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The message; none where the call has fields only.
    pub message: Option<String>,
}
