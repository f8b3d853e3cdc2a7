//! Who listens at a port, for the message of the process that wanted it.

/// Names the process that listens at `port`; none where the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn find(port: u16) -> Option<String> {
    use procfs::{
        net::{TcpState, tcp, tcp6},
        process::{FDTarget, all_processes},
    };

    let sockets = [tcp(), tcp6()].into_iter().flatten().flatten();
    let inodes: Vec<_> = sockets
        .filter(|socket| socket.state == TcpState::Listen && socket.local_address.port() == port)
        .map(|socket| socket.inode)
        .collect();
    all_processes().ok()?.flatten().find_map(|process| {
        let mut files = process.fd().ok()?.flatten();
        let holds = |target| matches!(target, FDTarget::Socket(inode) if inodes.contains(&inode));
        if !files.any(|file| holds(file.target)) {
            return None;
        }
        Some(format!("{} (process {})", process.stat().ok()?.comm, process.pid))
    })
}

/// Names the process that listens at `port`; none where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn find(_port: u16) -> Option<String> {
    None
}
