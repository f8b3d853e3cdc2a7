//! Errors of our own paths: `application/problem+json` (RFC 9457).

use axum::response::{IntoResponse, Response};
use domain::excerpt::excerpt;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use store::StoreError;

/// The longest sentence that is answered as it is, in bytes.
const DETAIL_BYTES_MAX: usize = 1000;

/// An error as it is answered.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    body: Value,
    retry_after_seconds: Option<u64>,
}

impl Problem {
    /// A problem of a status, with a sentence that says what is wrong and what would be right.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let body = json!({
            "type": "about:blank",
            "title": title,
            "status": status.as_u16(),
            "detail": bounded(detail.into()),
        });
        Self { status, body, retry_after_seconds: None }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.body[name] = value;
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The store does not answer.
    pub fn store(error: &StoreError) -> Self {
        tracing::warn!(%error, "api: request not answered, the client gets 503");
        let detail = match error {
            StoreError::Unwritable { cause, .. } => cause.sentence(),
            _ => "the database does not answer",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
    }
}

/// A sentence of ours is short; what is longer quotes what somebody gave, as the errors of parsers do.
fn bounded(detail: String) -> String {
    if detail.len() <= DETAIL_BYTES_MAX { detail } else { excerpt(&detail).into_owned() }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body.to_string()).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
