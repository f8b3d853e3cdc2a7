//! Close codes, and what each tells the client about coming back.
//!
//! Those below 4000 are of RFC 6455 §7.4 and its registry; those above are a convention that an
//! application may follow.

/// The purpose is fulfilled; the client has no reason to come back.
pub const DONE: u16 = 1000;
/// This server is going away; the client comes back, to another one.
pub const GOING_AWAY: u16 = 1001;
/// The client broke RFC 6455; coming back is of no use before it is corrected.
pub const PROTOCOL: u16 = 1002;
/// The kind of data, for example binary, is not taken here.
pub const UNSUPPORTED: u16 = 1003;
/// A close frame came without a code. Never on the wire (RFC 6455 §7.4.1).
pub const NO_CODE: u16 = 1005;
/// The socket ended without a close frame. Never on the wire (RFC 6455 §7.4.1).
pub const ABNORMAL: u16 = 1006;
/// A text message was not UTF-8.
pub const INVALID_TEXT: u16 = 1007;
/// A policy was broken: rate or origin; not before something has changed.
pub const POLICY: u16 = 1008;
/// A message over the limit; the same message will be refused again.
pub const TOO_BIG: u16 = 1009;
/// An error on our side; come back after a pause.
pub const INTERNAL: u16 = 1011;
/// This server restarts; come back after the pause that the last frame named.
pub const RESTARTING: u16 = 1012;
/// Over capacity; go to another server.
pub const OVER_CAPACITY: u16 = 1013;
/// The token is missing, invalid or expired; not without a new one.
pub const UNAUTHORIZED: u16 = 4001;
/// The token is good and does not allow this; coming back changes nothing.
pub const FORBIDDEN: u16 = 4003;
/// Nothing was heard for too long; come back at once.
pub const HEARTBEAT_TIMEOUT: u16 = 4008;
/// This user has too many connections; close one first.
pub const TOO_MANY_CONNECTIONS: u16 = 4009;

/// Tells whether a client may put this code on the wire: those that RFC 6455 §7.4 and its registry define
/// for it, and the ranges of libraries (3000) and applications (4000).
pub(crate) fn may_be_received(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
