//! The probe: a message to ourselves by the path that every publication takes.
//!
//! A connection can answer PING without end and still receive nothing, after a fail-over that left it
//! at the wrong server. Only what comes back shows that it hears.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::super::link::Link;

/// After so many probes in a row that were published and not received we are deaf.
const MISSES_MAX: u32 = 2;

/// After so many in a row that could not be published there is no primary that we know of.
const UNSENT_MAX: u32 = 3;

/// As many probes are remembered, for the delay of late ones.
const REMEMBERED_MAX: usize = 60;

/// The probes of one connection.
pub(super) struct Probe {
    /// The pub/sub channel.
    pub(super) name: String,
    /// Whether the channel is subscribed.
    pub(super) subscribed: bool,
    /// PUBLISH or SPUBLISH.
    publish: &'static str,
    link: Arc<Link>,
    number: u64,
    sent: VecDeque<SentProbe>,
    under_way: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    misses: u32,
    unsent: u32,
}

struct SentProbe {
    number: u64,
    at: Instant,
    accepted: bool,
}

impl Probe {
    pub(super) fn new(name: String, publish: &'static str, link: Arc<Link>) -> Self {
        Self {
            name,
            publish,
            subscribed: false,
            link,
            number: 0,
            sent: VecDeque::new(),
            under_way: None,
            misses: 0,
            unsent: 0,
        }
    }

    /// Begins to publish the next one, unless the last is still under way.
    pub(super) fn send(&mut self) {
        if self.under_way.is_some() {
            return;
        }
        self.number += 1;
        if self.sent.len() == REMEMBERED_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back(SentProbe { number: self.number, at: Instant::now(), accepted: false });
        let (link, name, number) = (Arc::clone(&self.link), self.name.clone(), self.number);
        let publish = self.publish;
        let publishing = async move { link.probe(publish, &name, number).await.is_ok() };
        self.under_way = Some(Box::pin(publishing));
    }

    /// Resolves when one was published, or could not be; pending without end when none is under way.
    /// May be cancelled and called again.
    pub(super) async fn published(&mut self) -> bool {
        let Some(publishing) = self.under_way.as_mut() else { return std::future::pending().await };
        let accepted = publishing.await;
        self.under_way = None;
        accepted
    }

    /// Notes the outcome of [`Probe::published`]: only what was accepted can be missed.
    pub(super) fn note(&mut self, accepted: bool) {
        self.unsent = if accepted { 0 } else { self.unsent + 1 };
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.number == self.number) {
            sent.accepted = accepted;
        }
    }

    /// One came back; after how long, if it is one of this connection.
    pub(super) fn received(&mut self, payload: &[u8]) -> Option<Duration> {
        let number: u64 = std::str::from_utf8(payload).ok()?.parse().ok()?;
        let delay = self.sent.iter().find(|sent| sent.number == number)?.at.elapsed();
        self.sent.retain(|sent| sent.number > number);
        self.misses = 0;
        Some(delay)
    }

    /// What the probes say against this connection. To be asked once per tick, before the next one
    /// is sent, and only when everything that arrived was read.
    pub(super) fn verdict(&mut self) -> Result<(), &'static str> {
        if self.sent.back().is_some_and(|sent| sent.accepted) {
            self.misses += 1;
        }
        if self.misses >= MISSES_MAX {
            return Err("deaf: what is published does not come back");
        }
        if self.unsent >= UNSENT_MAX {
            return Err("no primary takes the probe");
        }
        Ok(())
    }
}
