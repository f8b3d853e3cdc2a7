//! Which servers there are to be heard, and which of them are.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use runtime::lock::LockExt as _;

/// The servers of the map, and whether everything wanted is subscribed at each.
#[derive(Debug, Default)]
pub(super) struct Coverage(Mutex<CoveredServers>);

#[derive(Debug, Default)]
struct CoveredServers {
    announced: BTreeMap<Arc<str>, bool>,
    /// Whether nobody holds a part of the slots.
    has_gaps: bool,
}

impl Coverage {
    /// These are the servers from now on; what is known of those that stay is kept.
    pub(super) fn expect(&self, addresses: &[Arc<str>], has_gaps: bool) {
        let mut servers = self.0.lock_unpoisoned();
        let known = std::mem::take(&mut servers.announced);
        let is_known = |address: &Arc<str>| known.get(address).copied().unwrap_or(false);
        let of = |address: &Arc<str>| (Arc::clone(address), is_known(address));
        servers.announced = addresses.iter().map(of).collect();
        servers.has_gaps = has_gaps;
    }

    /// Everything wanted is subscribed at a server; whether it is at all of them.
    pub(super) fn announce(&self, address: &str) -> bool {
        let mut servers = self.0.lock_unpoisoned();
        if let Some(announced) = servers.announced.get_mut(address) {
            *announced = true;
        }
        !servers.has_gaps && servers.announced.values().all(|announced| *announced)
    }

    /// A server is not heard any more.
    pub(super) fn lose(&self, address: &str) {
        if let Some(announced) = self.0.lock_unpoisoned().announced.get_mut(address) {
            *announced = false;
        }
    }

    /// Whether a server is heard.
    pub(super) fn hears(&self, address: &str) -> bool {
        self.0.lock_unpoisoned().announced.get(address).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_heard_when_every_server_is_and_every_slot_has_one() {
        let [a, b, c]: [Arc<str>; 3] = ["a", "b", "c"].map(Into::into);
        let coverage = Coverage::default();
        coverage.expect(&[a, b.clone()], false);
        assert!(!coverage.announce("a"));
        assert!(coverage.announce("b"));
        coverage.lose("a");
        assert!(!coverage.announce("b") && !coverage.hears("a") && coverage.hears("b"));
        // Its replica takes its place.
        coverage.expect(&[b.clone(), c.clone()], false);
        assert!(!coverage.announce("a"), "nobody waits for it any more, but for another");
        assert!(coverage.announce("c"));
        coverage.expect(&[b, c], true);
        assert!(!coverage.announce("c"));
    }
}
