//! The issuer's public keys (`JWKS_URL`), fetched now and then and kept when the issuer is away.
//!
//! One task fetches. A token that names a key which is not here asks for a fetch and waits for it;
//! however many ask, there is one fetch at a time and a pause after each, in which an unknown key
//! is simply unknown. So neither a new key of the issuer nor made-up names cost it more than one
//! request per `JWKS_COOLDOWN_MS` and node.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use jsonwebtoken::jwk::Jwk;
use runtime::{
    config::{AccessSettings, SettingProblem, masked_url},
    lock::LockExt as _,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::key::{Key, Rules};

/// How long a fetch may take.
const FETCH_MAX: Duration = Duration::from_secs(5);

/// The largest answer: a hundred keys with their certificates.
const BODY_BYTES_MAX: usize = 512 * 1024;

/// The most keys of a set.
const KEYS_MAX: usize = 100;

/// Why a key set could not be had. Says nothing of the URL: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Nobody answers, or not in time.
    #[error("no answer: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// Something else than 200, a redirection included.
    #[error("the answer is {0}")]
    Status(u16),
    /// More than is read.
    #[error("the answer is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// The answer is not a JSON object `{"keys":[…]}`.
    #[error("the answer is no key set: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Nothing that could verify a token.
    #[error("the key set holds no public key for signatures")]
    Empty,
}

/// What the fetching task is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FetchPhase {
    /// Whoever asks is served at once.
    Ready,
    /// A fetch was a moment ago.
    Resting,
}

/// The keys of an issuer.
pub(super) struct KeySet {
    url: String,
    http: reqwest::Client,
    rules: Rules,
    refresh: Duration,
    cooldown: Duration,
    keys: ArcSwap<Vec<Key>>,
    fetched: Mutex<Option<Instant>>,
    wanted: Notify,
    phase: watch::Sender<FetchPhase>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// The key set at `JWKS_URL`, empty until it is fetched; none when the setting is unset.
    ///
    /// # Errors
    /// [`SettingProblem`] when no request can be made of it.
    pub(super) fn new(
        access: &AccessSettings,
        rules: &Rules,
    ) -> Result<Option<Self>, SettingProblem> {
        let Some(url) = &access.jwks_url else { return Ok(None) };
        let http = reqwest::Client::builder()
            .timeout(FETCH_MAX)
            // Where keys come from is for the settings to say, not for whoever answers there.
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| SettingProblem::new("jwks_url", error.to_string()))?;
        Ok(Some(Self {
            url: url.clone(),
            http,
            rules: rules.clone(),
            refresh: access.jwks_refresh,
            cooldown: access.jwks_cooldown,
            keys: ArcSwap::default(),
            fetched: Mutex::default(),
            wanted: Notify::new(),
            phase: watch::Sender::new(FetchPhase::Ready),
        }))
    }

    /// The keys that were fetched last.
    pub(super) fn keys(&self) -> Arc<Vec<Key>> {
        self.keys.load_full()
    }

    /// Waits for a fetch if there is no key of this name and one may be made now.
    pub(super) async fn look_for(&self, id: &str) {
        if self.keys.load().iter().any(|key| key.is_named(id)) {
            return;
        }
        let mut phase = self.phase.subscribe();
        let is_resting = *phase.borrow_and_update() == FetchPhase::Resting;
        // Asked for while resting, it is fetched after the rest: the next one may find it.
        self.wanted.notify_one();
        if !is_resting {
            let _late = tokio::time::timeout(FETCH_MAX, phase.changed()).await;
        }
    }

    /// Fetches whenever it is due or somebody asks. Never returns.
    pub(super) async fn keep(&self) {
        let mut is_stale = false;
        loop {
            let _due = tokio::time::timeout(self.refresh, self.wanted.notified()).await;
            match self.fetch().await {
                Ok(()) if std::mem::take(&mut is_stale) => tracing::info!("the key set is back"),
                Ok(()) => {}
                // Said once: the keys that are there go on being good.
                Err(error) if !std::mem::replace(&mut is_stale, true) => {
                    let url = masked_url(&self.url);
                    tracing::warn!(url, %error, "auth: key set not fetched, the old one stays in use");
                }
                Err(error) => tracing::debug!(%error, "the key set is not fetched"),
            }
            // Who asked until now is answered by this fetch.
            let _served = self.wanted.notified().now_or_never();
            self.phase.send_replace(FetchPhase::Resting);
            tokio::time::sleep(self.cooldown).await;
            self.phase.send_replace(FetchPhase::Ready);
        }
    }

    /// Replaces the keys by those that the issuer has now.
    ///
    /// # Errors
    /// [`KeySetError`]; the old keys stay.
    pub(super) async fn fetch(&self) -> Result<(), KeySetError> {
        let document: Document = serde_json::from_slice(&self.body().await?)?;
        // One by one: a key of a kind that nobody here knows must not cost the others.
        let jwks = document.keys.into_iter().take(KEYS_MAX);
        let jwks = jwks.filter_map(|jwk| serde_json::from_value::<Jwk>(jwk).ok());
        let keys: Vec<Key> = jwks.filter_map(|jwk| Key::jwk(&jwk, &self.rules)).collect();
        if keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        tracing::debug!(keys = keys.len(), "the key set is fetched");
        self.keys.store(Arc::new(keys));
        *self.fetched.lock_unpoisoned() = Some(Instant::now());
        Ok(())
    }

    /// How long ago the keys were fetched, and whether the next fetch is not overdue.
    pub(super) fn age(&self) -> (Duration, bool) {
        let fetched = *self.fetched.lock_unpoisoned();
        let age = fetched.map_or(Duration::MAX, |at| at.elapsed());
        (age, age <= self.refresh + self.cooldown + FETCH_MAX)
    }

    async fn body(&self) -> Result<Vec<u8>, KeySetError> {
        let unreachable = |error: reqwest::Error| KeySetError::Unreachable(error.without_url());
        let mut response = self.http.get(&self.url).send().await.map_err(unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(KeySetError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(KeySetError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}
