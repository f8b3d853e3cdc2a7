//! How many connections each address has that speak HTTP: one address must not take the places of
//! all by asking slowly.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use ipnet::IpNet;

use crate::address;

/// The open connections by address.
#[derive(Debug)]
pub(super) struct Addresses {
    open: Mutex<HashMap<IpAddr, usize>>,
    each_max: usize,
    spared: Vec<IpNet>,
    /// Whether it was logged that an address has too many: once.
    told: AtomicBool,
}

/// A connection's place; dropped, it is free.
#[derive(Debug)]
pub(super) struct Place {
    addresses: Arc<Addresses>,
    address: Option<IpAddr>,
}

impl Addresses {
    /// At most so many each, 0 for any number; those of the networks are not counted.
    pub(super) fn new(each_max: usize, spared: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), each_max, spared, told: AtomicBool::new(false) })
    }

    /// A place for one more connection; none when the address has its number.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let is_counted = self.each_max > 0 && !self.spared.iter().any(|net| net.contains(&peer));
        let address = is_counted.then(|| address::subscriber(peer));
        if let Some(address) = address {
            let mut open = self.lock();
            let count = open.entry(address).or_default();
            if *count >= self.each_max {
                if !self.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%peer, "an address has all its HTTP connections; more get 429");
                }
                return None;
            }
            *count += 1;
        }
        Some(Place { addresses: Arc::clone(self), address })
    }

    /// As many entries as addresses with connections, of which there is a limit.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut open = self.addresses.lock();
        if let Some(count) = open.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&address);
            }
        }
    }
}
