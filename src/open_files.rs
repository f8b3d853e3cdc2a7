//! How many files a process may open, and what that leaves for connections.

use runtime::config::LimitSettings;

/// Files that are kept for what is no connection of a client: probes, Redis, SQL, listeners, logs.
const RESERVE: u64 = 256;

/// What part of the rest plain HTTP may have at most; sockets have the others.
const HTTP_SHARE: u64 = 8;

/// The least of each that a process serves, however few files it may open.
const LEAST: usize = 16;

/// Takes as many files as may be had without asking, and returns how many those are. Each socket is an
/// open file, and many supervisors start programs with room for 1,024 of them, for the sake of programs
/// that use `select(2)`.
pub(crate) fn allow() -> Option<u64> {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => Some(files),
        Err(error) => {
            tracing::warn!(%error, "process: limit of open files not raised, the process runs with the one it has");
            None
        }
    }
}

/// Lowers the limits of connections to what the files allow: a node that is full says so and stays alive,
/// one without files answers no probe and reaches no service.
pub(crate) fn clamp(limits: &mut LimitSettings, files: u64) {
    let left = files.saturating_sub(RESERVE);
    let http = fit(limits.http_connections, left / HTTP_SHARE);
    // Containers are let in up to a twentieth above the limit of connections.
    let sockets = fit(limits.connections, (left - left / HTTP_SHARE) * 20 / 21);
    if http < limits.http_connections || sockets < limits.connections {
        tracing::warn!(
            files,
            max_connections = sockets,
            max_http_connections = http,
            "process: limits lowered to what the open files allow, raise those (ulimit -n) to get more"
        );
    }
    limits.http_connections = http;
    limits.connections = sockets;
}

fn fit(wanted: usize, files: u64) -> usize {
    wanted.min(usize::try_from(files).unwrap_or(usize::MAX).max(LEAST))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use runtime::config::{Config, Role};

    use super::*;

    fn clamped(files: u64) -> (usize, usize) {
        let (config, _) = Config::from_environment(Role::Whole, &HashMap::new()).unwrap();
        let mut limits = config.limits;
        clamp(&mut limits, files);
        (limits.connections, limits.http_connections)
    }

    #[test]
    fn all_connections_together_leave_files_for_probes_and_services() {
        for files in [1024, 20_000, 1_000_000] {
            let (sockets, http) = clamped(files);
            let all = u64::try_from(sockets + sockets / 20 + http).unwrap();
            assert!(all + RESERVE <= files, "{sockets} sockets and {http} of HTTP, {files} files");
        }
        assert_eq!(clamped(1_000_000), (200_000, 20_000), "as the settings say");
        assert_eq!(clamped(0), (LEAST, LEAST));
    }
}
