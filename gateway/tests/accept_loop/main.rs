//! The accept loop on real sockets: limits on HTTP connections, upgrades, the drain.

mod accepting;
mod node;
#[expect(dead_code, reason = "shared with the tests of the transport, which use all of it")]
#[path = "../../websocket/tests/transport/wire.rs"]
mod wire;
