//! How often one address may come, and how often it may be refused.
//!
//! Requests of this machine are not counted: a proxy here is one that `TRUSTED_PROXIES` names. The
//! tables are bounded; addresses that come when they are full are not counted either, because a
//! limit that protects everybody must not become the way to keep everybody out.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _};
use runtime::config::LimitSettings;

use super::address;

/// The most addresses that are remembered.
const ADDRESSES_MAX: usize = 100_000;

/// How many seconds' worth of connections may come at once.
const BURST_SECONDS: u32 = 4;

/// How often addresses whose allowance is whole again are forgotten.
const SWEEP: Duration = Duration::from_secs(10);

/// Allowances by address.
pub struct AddressLimits {
    connections: Option<AddressAllowance>,
    failures: Option<AddressAllowance>,
    warned: AtomicBool,
}

/// An allowance for each address.
struct AddressAllowance(DefaultKeyedRateLimiter<IpAddr>);

impl AddressAllowance {
    /// Takes one.
    ///
    /// # Errors
    /// How long to wait for the next one.
    fn take(&self, address: &IpAddr) -> Result<(), Duration> {
        if self.0.len() >= ADDRESSES_MAX {
            return Ok(());
        }
        self.0.check_key(address).map_err(|until| until.wait_time_from(self.0.clock().now()))
    }
}

impl AddressLimits {
    /// The limits of the settings; 0 is none.
    pub fn new(limits: &LimitSettings) -> Self {
        let per_second = NonZeroU32::new(limits.address_connections_per_second);
        let connections = per_second.map(|per_second| {
            let burst =
                per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
            AddressAllowance(DefaultKeyedRateLimiter::keyed(
                Quota::per_second(per_second).allow_burst(burst),
            ))
        });
        let per_minute = NonZeroU32::new(limits.address_failures_per_minute);
        let failures = per_minute.map(|per_minute| {
            AddressAllowance(DefaultKeyedRateLimiter::keyed(Quota::per_minute(per_minute)))
        });
        Self { connections, failures, warned: AtomicBool::new(false) }
    }

    /// One more connection of an address.
    ///
    /// # Errors
    /// How long to wait, when it has made too many.
    pub fn connect(&self, address: IpAddr) -> Result<(), Duration> {
        match (&self.connections, counted(address)) {
            (Some(allowance), Some(address)) => allowance.take(&address),
            _ => Ok(()),
        }
    }

    /// A credential of an address was refused.
    ///
    /// # Errors
    /// How long to wait, when too many were.
    pub fn refuse(&self, address: IpAddr) -> Result<(), Duration> {
        match (&self.failures, counted(address)) {
            (Some(allowance), Some(address)) => allowance.take(&address),
            _ => Ok(()),
        }
    }

    /// Warns once that a proxy is not trusted: all its clients count as one address.
    pub fn warn_of_proxy(&self, proxy: IpAddr) {
        let limits = self.connections.is_some() || self.failures.is_some();
        let limits = limits && counted(proxy).is_some();
        if limits && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %proxy,
                "address limits: X-Forwarded-For of a proxy that TRUSTED_PROXIES does not name, all its \
                 clients count as one address"
            );
        }
    }

    /// Forgets addresses whose allowance is whole again, until the process stops.
    pub async fn run(&self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            for allowance in [&self.connections, &self.failures].into_iter().flatten() {
                allowance.0.retain_recent();
                allowance.0.shrink_to_fit();
            }
        }
    }
}

/// What an address is counted as; none on this machine.
fn counted(address: IpAddr) -> Option<IpAddr> {
    let address = address::subscriber(address);
    let is_loopback = match address {
        IpAddr::V4(address) => address.is_loopback(),
        // What the first 64 bits of ::1 leave.
        IpAddr::V6(address) => address.is_unspecified(),
    };
    (!is_loopback).then_some(address)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use runtime::config::{Config, Role};

    use super::*;

    fn limits(connections: &str, failures: &str) -> AddressLimits {
        let settings = [
            ("ADDRESS_CONNECTIONS_PER_SECOND", connections),
            ("ADDRESS_FAILURES_PER_MINUTE", failures),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (config, _) = Config::from_environment(Role::Whole, &HashMap::from(settings)).unwrap();
        AddressLimits::new(&config.limits)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn four_seconds_worth_of_connections_may_come_at_once_from_each_address() {
        let limits = limits("2", "60");
        let (one, other) = (address("192.0.2.1"), address("2001:db8::1"));
        for _ in 0..8 {
            assert!(limits.connect(one).is_ok());
        }
        let wait = limits.connect(one).unwrap_err();
        assert!(wait <= Duration::from_millis(500), "{wait:?}");
        assert!(limits.connect(other).is_ok());
    }

    #[test]
    fn who_is_refused_too_often_has_to_wait_and_others_do_not() {
        let limits = limits("0", "3");
        let (guesser, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..3 {
            assert!(limits.refuse(guesser).is_ok());
        }
        let wait = limits.refuse(guesser).unwrap_err();
        assert!(wait <= Duration::from_secs(20), "{wait:?}");
        assert!(limits.refuse(other).is_ok());
    }

    #[test]
    fn this_machine_and_a_limit_of_zero_count_nothing() {
        let tight = limits("1", "1");
        for local in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            for _ in 0..100 {
                assert!(tight.connect(address(local)).is_ok());
                assert!(tight.refuse(address(local)).is_ok());
            }
        }
        let none = limits("0", "0");
        for _ in 0..100 {
            assert!(none.connect(address("192.0.2.1")).is_ok());
            assert!(none.refuse(address("192.0.2.1")).is_ok());
        }
    }
}
