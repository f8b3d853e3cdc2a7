//! Bodies of requests: read whole, bounded each, of one address and of all, within a deadline.
//!
//! A handler that takes one as a request has to judge whose it is before it reads a byte: what nobody
//! vouches for costs no memory.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use axum::{
    body::Bytes,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use runtime::{config::LimitSettings, lock::LockExt as _};

use super::{
    accept::BodyLate,
    address::{self, ClientAddress},
};

/// Bounds what bodies take together, in bytes.
pub struct BodyLimits {
    each_max: usize,
    all_max: usize,
    address_max: usize,
    held: Mutex<HeldBodies>,
}

#[derive(Default)]
struct HeldBodies {
    all: usize,
    addresses: HashMap<IpAddr, usize>,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than one may be.
    #[error("the body is larger than HTTP_BODY_BYTES")]
    TooLarge,
    /// Those of everybody take what they may.
    #[error("too many bodies are on their way at once: HTTP_BODIES_BYTES")]
    NodeFull,
    /// Those of its address take what they may.
    #[error("this address sends too much at once: ADDRESS_HTTP_BODIES_BYTES")]
    AddressFull,
    /// It was not there in time.
    #[error("the body did not arrive in time")]
    Late,
    /// The connection ended, or what came is no body.
    #[error("the body did not arrive whole")]
    Broken,
}

impl BodyError {
    /// Returns the status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NodeFull => StatusCode::SERVICE_UNAVAILABLE,
            Self::AddressFull => StatusCode::TOO_MANY_REQUESTS,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns after how many seconds it may fit.
    pub const fn retry_after(self) -> Option<u64> {
        match self {
            Self::NodeFull | Self::AddressFull => Some(1),
            Self::TooLarge | Self::Late | Self::Broken => None,
        }
    }
}

impl BodyLimits {
    /// Returns the limits of the settings.
    pub fn new(limits: &LimitSettings) -> Self {
        Self {
            each_max: limits.http_body_bytes,
            all_max: limits.http_bodies_bytes,
            address_max: limits.address_http_bodies_bytes,
            held: Mutex::default(),
        }
    }

    /// Returns what the body of one request is counted by. Nothing is counted as an address on this
    /// machine, where a proxy speaks for all.
    pub fn allowance(self: &Arc<Self>, client: ClientAddress) -> BodyAllowance {
        let address = client.0.map(|address| address.to_canonical());
        let address = address.filter(|address| !address.is_loopback()).map(address::subscriber);
        let (limits, held) = (Arc::clone(self), Mutex::default());
        BodyAllowance(Arc::new(Allowance { limits, address, held }))
    }

    fn take(&self, address: Option<IpAddr>, more: usize) -> Result<(), BodyError> {
        let mut held = self.held.lock_unpoisoned();
        if held.all + more > self.all_max {
            return Err(BodyError::NodeFull);
        }
        if let Some(address) = address {
            let of_address = held.addresses.get(&address).copied().unwrap_or_default();
            if of_address + more > self.address_max {
                return Err(BodyError::AddressFull);
            }
            held.addresses.insert(address, of_address + more);
        }
        held.all += more;
        Ok(())
    }

    fn give_back(&self, address: Option<IpAddr>, bytes: usize) {
        let mut held = self.held.lock_unpoisoned();
        held.all -= bytes;
        if let Some(address) = address
            && let Some(of_address) = held.addresses.get_mut(&address)
        {
            *of_address -= bytes;
            if *of_address == 0 {
                held.addresses.remove(&address);
            }
        }
    }
}

/// What the body of one request is counted by, until the last handle is gone: the request carries one,
/// and whoever serves it keeps one until it is answered.
#[derive(Clone)]
pub struct BodyAllowance(Arc<Allowance>);

struct Allowance {
    limits: Arc<BodyLimits>,
    address: Option<IpAddr>,
    held: Mutex<usize>,
}

impl BodyAllowance {
    /// Counts that the body has so many bytes, or fails without counting more than before.
    fn grow_to(&self, bytes: usize) -> Result<(), BodyError> {
        let allowance = &*self.0;
        if bytes > allowance.limits.each_max {
            return Err(BodyError::TooLarge);
        }
        let mut held = allowance.held.lock_unpoisoned();
        if bytes > *held {
            allowance.limits.take(allowance.address, bytes - *held)?;
            *held = bytes;
        }
        Ok(())
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        let held = std::mem::take(&mut *self.held.lock_unpoisoned());
        if held > 0 {
            self.limits.give_back(self.address, held);
        }
    }
}

/// Reads the body of a request whole.
///
/// # Errors
/// What does not fit is refused before it is read where its length is said, and at the byte that does
/// not fit where it is not.
pub async fn receive(request: Request) -> Result<Bytes, BodyError> {
    let announced = length(request.headers());
    let allowance = request.extensions().get::<BodyAllowance>().cloned();
    let grow_to = |bytes| allowance.as_ref().map_or(Ok(()), |of| of.grow_to(bytes));
    grow_to(announced)?;
    let mut chunks = request.into_body().into_data_stream();
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            if error.into_inner().is::<BodyLate>() { BodyError::Late } else { BodyError::Broken }
        })?;
        grow_to(body.len() + chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The length that a request says its body has; 0 where it says none.
fn length(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use axum::body::Body;
    use runtime::config::{Config, Role};

    use super::*;

    fn limits() -> Arc<BodyLimits> {
        let settings = [
            ("HTTP_BODY_BYTES", "1024"),
            ("HTTP_BODIES_BYTES", "4096"),
            ("ADDRESS_HTTP_BODIES_BYTES", "2048"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (config, _) = Config::from_environment(Role::Whole, &HashMap::from(settings)).unwrap();
        Arc::new(BodyLimits::new(&config.limits))
    }

    fn client(address: &str) -> ClientAddress {
        ClientAddress(Some(address.parse().unwrap()))
    }

    async fn send(allowance: &BodyAllowance, bytes: usize) -> Result<usize, BodyError> {
        let mut request = Request::new(Body::from(vec![b'x'; bytes]));
        request.extensions_mut().insert(allowance.clone());
        receive(request).await.map(|body| body.len())
    }

    #[tokio::test]
    async fn a_body_counts_until_its_request_is_answered() {
        let limits = limits();
        let one = limits.allowance(client("192.0.2.1"));
        assert_eq!(send(&one, 1024).await, Ok(1024));
        assert_eq!(
            send(&limits.allowance(client("192.0.2.1")), 1025).await,
            Err(BodyError::TooLarge)
        );
        let other = limits.allowance(client("192.0.2.1"));
        assert_eq!(send(&other, 1024).await, Ok(1024));
        let third = limits.allowance(client("192.0.2.1"));
        assert_eq!(send(&third, 1).await, Err(BodyError::AddressFull));
        drop(one);
        assert_eq!(send(&third, 1).await, Ok(1));
    }

    #[tokio::test]
    async fn what_all_send_is_bounded_and_a_length_that_is_said_is_refused_before_it_is_read() {
        let limits = limits();
        let all: Vec<_> =
            (1..=4).map(|n| limits.allowance(client(&format!("192.0.2.{n}")))).collect();
        for allowance in &all {
            assert_eq!(send(allowance, 1024).await, Ok(1024));
        }
        let more = limits.allowance(client("127.0.0.1"));
        assert_eq!(send(&more, 1).await, Err(BodyError::NodeFull));
        drop(all);
        let pending = Body::from_stream(futures_util::stream::pending::<Result<Bytes, BodyLate>>());
        let mut request = Request::new(pending);
        request.headers_mut().insert(header::CONTENT_LENGTH, 1025.into());
        request.extensions_mut().insert(more);
        assert_eq!(receive(request).await, Err(BodyError::TooLarge));
        assert_eq!(limits.held.lock_unpoisoned().all, 0);
        assert!(limits.held.lock_unpoisoned().addresses.is_empty());
    }
}
