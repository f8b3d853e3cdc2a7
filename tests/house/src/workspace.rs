//! The workspace as it was read: crates, modules and files.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::manifest::{self, Manifest, Root};
use crate::source;
use crate::tree::{Crate, File, Tree};

/// A workspace, read and parsed.
#[derive(Debug)]
pub struct House {
    /// Its packages.
    pub(crate) manifests: Vec<Manifest>,
    /// Its crates, modules and files.
    pub(crate) tree: Tree,
}

impl House {
    /// Reads the workspace whose manifest lies in `repo`.
    ///
    /// # Errors
    /// Names a manifest or source that cannot be read or parsed.
    pub fn read(repo: &Path) -> Result<Self> {
        let repo = repo.canonicalize()?;
        let manifests = manifest::members(&repo)?;
        let mut tree = Tree { repo, crates: Vec::new(), modules: Vec::new(), files: Vec::new() };
        for package in &manifests {
            for Root { name, path, test } in &package.roots {
                let krate = tree.crates.len();
                let (root, product) = (tree.modules.len(), package.product() && !test);
                tree.crates.push(Crate { name: name.clone(), root, product });
                source::read(&mut tree, krate, path, *test)?;
            }
        }
        Ok(Self { manifests, tree })
    }

    /// Lists the files of the product: what no test crate holds.
    pub(crate) fn product(&self) -> impl Iterator<Item = &File> {
        self.tree.files.iter().filter(|file| self.tree.crates[file.krate].product)
    }

    /// Finds all Rust files under the `src` folders of the product, tests included, as paths from the root.
    pub(crate) fn sources(&self) -> Vec<PathBuf> {
        let packages = self.manifests.iter().filter(|package| package.product());
        packages
            .flat_map(|package| walk(&self.tree.repo.join(&package.folder).join("src"), &["rs"]))
            .collect()
    }
}

/// Finds the files under `folder` with one of the endings, in order.
pub(crate) fn walk(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(walk(&path, endings));
        } else if path.extension().is_some_and(|end| endings.iter().any(|known| end == *known)) {
            found.push(path);
        }
    }
    found
}
