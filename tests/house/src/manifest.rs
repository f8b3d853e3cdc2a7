//! Reads Cargo manifests: which crates there are, where their roots lie, what they depend on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::{Table, Value};

/// One package of the workspace.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// Name of the package.
    pub name: String,
    /// Its folder, from the root of the repository; empty for the root's own package.
    pub folder: PathBuf,
    /// Packages that its code depends on; not those of its tests alone.
    pub dependencies: BTreeSet<String>,
    /// Roots of its library, programs and named tests.
    pub roots: Vec<Root>,
}

/// The root file of a crate.
#[derive(Debug)]
pub(crate) struct Root {
    /// The crate's name as code spells it.
    pub name: String,
    /// The file on the disk.
    pub path: PathBuf,
    /// Whether it is a test, whose functions marked as tests belong to it.
    pub test: bool,
}

impl Manifest {
    /// Whether the package is part of the product: everything but what lies under `tests/`.
    pub(crate) fn product(&self) -> bool {
        !self.folder.starts_with("tests")
    }
}

/// Reads the manifests of all members of the workspace at `repo`.
///
/// # Errors
/// Names a manifest that cannot be read.
pub(crate) fn members(repo: &Path) -> Result<Vec<Manifest>> {
    let root = read(&repo.join("Cargo.toml"))?;
    let mut folders = Vec::new();
    if root.contains_key("package") {
        folders.push(PathBuf::new());
    }
    let listed = root.get("workspace").and_then(|workspace| workspace.get("members"));
    for member in listed.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        match member.strip_suffix("/*") {
            None => folders.push(PathBuf::from(member)),
            Some(parent) => folders.extend(children(repo, parent)?),
        }
    }
    folders.into_iter().map(|folder| package(repo, folder)).collect()
}

/// Lists the packages directly under `parent`, for a member that ends in `/*`.
fn children(repo: &Path, parent: &str) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(repo.join(parent))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            found.insert(Path::new(parent).join(entry.file_name()));
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| path.display().to_string())
}

fn package(repo: &Path, folder: PathBuf) -> Result<Manifest> {
    let path = repo.join(&folder).join("Cargo.toml");
    let manifest = read(&path)?;
    let name = manifest.get("package").and_then(|package| package.get("name"));
    let name =
        name.and_then(Value::as_str).with_context(|| format!("{}: no name", path.display()))?;
    let mut dependencies = BTreeSet::new();
    collect(&manifest, &mut dependencies);
    for target in
        manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values)
    {
        target.as_table().into_iter().for_each(|target| collect(target, &mut dependencies));
    }
    let roots = roots(repo, &folder, name, &manifest);
    Ok(Manifest { name: name.to_owned(), folder, dependencies, roots })
}

fn collect(table: &Table, dependencies: &mut BTreeSet<String>) {
    for section in ["dependencies", "build-dependencies"] {
        for (key, value) in table.get(section).and_then(Value::as_table).into_iter().flatten() {
            let renamed = value.get("package").and_then(Value::as_str);
            dependencies.insert(renamed.unwrap_or(key).to_owned());
        }
    }
}

/// Finds the roots of a package's library, programs and named tests.
fn roots(repo: &Path, folder: &Path, name: &str, manifest: &Table) -> Vec<Root> {
    let source = repo.join(folder).join("src");
    let code_name = name.replace('-', "_");
    let mut roots = Vec::new();
    if source.join("lib.rs").is_file() {
        roots.push(Root { name: code_name.clone(), path: source.join("lib.rs"), test: false });
    }
    if source.join("main.rs").is_file() {
        let name = if roots.is_empty() { code_name } else { format!("{code_name} program") };
        roots.push(Root { name, path: source.join("main.rs"), test: false });
    }
    for test in manifest.get("test").and_then(Value::as_array).into_iter().flatten() {
        if let Some(path) = test.get("path").and_then(Value::as_str) {
            let name = format!("{name} test {path}");
            roots.push(Root { name, path: repo.join(folder).join(path), test: true });
        }
    }
    roots
}
