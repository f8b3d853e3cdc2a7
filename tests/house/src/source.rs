//! Reads a crate: its root file and every file that a `mod` line leads to.

use std::path::Path;

use anyhow::{Context, Result};
use syn::visit::Visit as _;

use crate::pending::Pending;
use crate::tree::{File, Module, Tree};
use crate::walk::Walk;

/// Reads the crate whose root file is `root` into `tree`. `tests`: test functions belong to it.
///
/// # Errors
/// Names a file that cannot be read or parsed.
pub(crate) fn read(tree: &mut Tree, krate: usize, root: &Path, tests: bool) -> Result<()> {
    let folder = root.parent().unwrap_or(root).to_owned();
    let first = Pending { path: root.to_owned(), module: Vec::new(), parent: None, folder };
    let mut pending = vec![first];
    while let Some(next) = pending.pop() {
        let path = next.path.display().to_string();
        let text = std::fs::read_to_string(&next.path).with_context(|| path.clone())?;
        let parsed = syn::parse_file(&text).with_context(|| path)?;
        let (file, module) = (tree.files.len(), tree.modules.len());
        tree.modules.push(Module { krate, file, parent: next.parent, ..Module::default() });
        if let (Some(parent), Some(own)) = (next.parent, next.module.last()) {
            tree.modules[parent].children.insert(own.clone(), module);
        }
        let mut measured = File {
            name: tree.name(&next.path),
            path: next.path,
            krate,
            module: next.module,
            lines: text.lines().count(),
            ..File::default()
        };
        let mut walk = Walk::new(&mut tree.modules, &mut measured, module, next.folder, tests);
        walk.visit_file(&parsed);
        pending.append(&mut walk.pending);
        tree.files.push(measured);
    }
    Ok(())
}
