//! How many connections each address has that speak HTTP: one address must not take the slots of
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

use crate::http::address;

/// The open connections by address.
#[derive(Debug)]
pub(super) struct AddressSlots {
    open: Mutex<HashMap<IpAddr, usize>>,
    each_max: usize,
    spared: Vec<IpNet>,
    /// Whether it was logged that an address has too many: once.
    told: AtomicBool,
}

/// The slot of a connection; dropped, it is free.
#[derive(Debug)]
pub(super) struct Slot {
    addresses: Arc<AddressSlots>,
    address: Option<IpAddr>,
}

impl AddressSlots {
    /// Returns slots: at most so many each, 0 for any number; those of the networks are not counted.
    pub(super) fn new(each_max: usize, spared: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), each_max, spared, told: AtomicBool::new(false) })
    }

    /// Returns a slot for one more connection; none when the address has its number.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let peer = peer.to_canonical();
        let is_counted = self.each_max > 0 && !self.spared.iter().any(|net| net.contains(&peer));
        let address = is_counted.then(|| address::subscriber(peer));
        if let Some(address) = address {
            let mut open = self.lock();
            let count = open.entry(address).or_default();
            if *count >= self.each_max {
                if !self.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%peer, "accept: an address has all its HTTP connections, more are answered 429");
                }
                return None;
            }
            *count += 1;
        }
        Some(Slot { addresses: Arc::clone(self), address })
    }

    /// As many entries as addresses with connections, of which there is a limit.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
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
