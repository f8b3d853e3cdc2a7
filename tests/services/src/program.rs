//! Finding the programs of Debian's packages; a missing one is an error that says how to get it.

use std::path::{Path, PathBuf};

/// Where Debian puts programs; `PATH` may lack the `sbin`s.
const FOLDERS: [&str; 6] =
    ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The path of `program` of Debian's `package`.
///
/// # Panics
/// When it is not there: a test that needs it must fail and say what to do, not be left out.
pub(crate) fn find(program: &str, package: &str) -> PathBuf {
    FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{}", advice(program, package)))
}

/// The folder of PostgreSQL's server programs, the newest version that is installed. Debian keeps
/// them out of the `PATH`.
///
/// # Panics
/// When there is none.
pub(crate) fn postgres_folder() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|entry| entry.path().join("bin"))
        .filter(|folder| folder.join("initdb").exists())
        .max_by_key(|folder| version_of(folder))
        .unwrap_or_else(|| panic!("{}", advice("initdb", "postgresql")))
}

fn version_of(folder: &Path) -> u32 {
    let name = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}

fn advice(program: &str, package: &str) -> String {
    format!(
        "{program} is missing and the tests run against the real thing; install it with\n  \
         apt-get install -y {package}\nor let tests/install get everything that the tests need"
    )
}
