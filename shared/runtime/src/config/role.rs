//! What a process is started as, and where: the two things that decide which settings it needs.

/// The HS256 secret of every development server, so that `fanfare token` fits any of them.
pub const DEVELOPMENT_SECRET: &str = "fanfare-development-secret-not-for-production";

/// Whether things are open for trying out or closed for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Open, on loopback.
    Development,
    /// Closed: secrets are required, development's are refused.
    Production,
}

/// What a process is started as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Gateway and worker in one process.
    Whole,
    /// A gateway that needs workers elsewhere.
    Gateway,
    /// A worker that needs gateways elsewhere.
    Worker,
    /// A command that talks to a running server, or to nobody.
    Command,
}
