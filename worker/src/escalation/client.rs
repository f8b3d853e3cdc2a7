//! Posts webhooks: one try, without following redirects, to allowed addresses only.

use std::{error::Error, fmt::Write as _, net::IpAddr, sync::Arc};

use jiff::Timestamp;
use reqwest::{
    Url,
    dns::Resolve,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT},
    redirect,
};
use runtime::config::{AlertRoute, EscalationSettings};
use store::DeadReason;

use super::{
    addresses::{AddressPolicy, AddressRefused, CheckedResolver, SystemResolver},
    answer::{self, TryOutcome},
    signature,
};

/// Posts webhooks.
pub struct WebhookClient {
    http: reqwest::Client,
    policy: AddressPolicy,
}

/// One webhook to post.
#[derive(Debug)]
pub struct WebhookRequest<'a> {
    /// Where it goes.
    pub route: &'a AlertRoute,
    /// What the receiver knows it by.
    pub id: &'a str,
    /// The body, JSON.
    pub body: String,
    /// The time of the try.
    pub now: Timestamp,
}

impl WebhookClient {
    /// Makes a client for these settings.
    ///
    /// # Errors
    /// When there is no TLS on this machine.
    pub fn new(settings: &EscalationSettings) -> reqwest::Result<Self> {
        Self::with_resolver(settings, Arc::new(SystemResolver))
    }

    /// Makes a client that resolves names in another way.
    ///
    /// # Errors
    /// When there is no TLS on this machine.
    pub fn with_resolver(
        settings: &EscalationSettings,
        resolver: Arc<dyn Resolve>,
    ) -> reqwest::Result<Self> {
        let policy = AddressPolicy::new(&settings.allowed);
        let http = reqwest::Client::builder()
            .timeout(settings.timeout)
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name once more, where nobody checks what it finds.
            .no_proxy()
            .dns_resolver(Arc::new(CheckedResolver::new(policy.clone(), resolver)))
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { http, policy })
    }

    /// Makes one try.
    pub async fn post(&self, request: WebhookRequest<'_>) -> TryOutcome {
        // It was parsed at the start.
        let Ok(url) = request.route.url.reveal().parse::<Url>() else {
            return TryOutcome::Final(DeadReason {
                label: "url",
                text: "the URL is none".to_owned(),
            });
        };
        // An address in the URL is not resolved, so no resolver sees it.
        if literal(&url).is_some_and(|address| !self.policy.allows(address)) {
            return refused();
        }
        let now = request.now;
        let sending = self.http.post(url).headers(headers(&request)).body(request.body).send();
        match sending.await {
            Ok(response) => {
                let header = response.headers().get(RETRY_AFTER);
                let retry_after = header.and_then(|value| value.to_str().ok());
                answer::of_status(response.status().as_u16(), retry_after, now)
            }
            Err(error) if is_refusal(&error) => refused(),
            Err(error) => TryOutcome::Again { why: description(error), after: None },
        }
    }
}

fn refused() -> TryOutcome {
    TryOutcome::Final(DeadReason { label: "address", text: AddressRefused.to_string() })
}

/// The address that a URL holds in the place of a name.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn headers(request: &WebhookRequest<'_>) -> HeaderMap {
    let timestamp = request.now.as_second();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let agent = concat!("fanfare/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert("webhook-timestamp", timestamp.into());
    let mut text = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    text("webhook-id", request.id);
    if let Some(secret) = &request.route.secret {
        let signed = signature::sign(secret.reveal(), request.id, timestamp, &request.body);
        text("webhook-signature", &signed);
    }
    headers
}

/// Whether the resolver found no address that is allowed.
fn is_refusal(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<AddressRefused>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// An error with its causes and without the URL, which is a secret.
fn description(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return String::from("no answer in time");
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string does not fail.
        let _written = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
