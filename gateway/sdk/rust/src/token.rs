//! The credential: a string, or a function that is asked for one, and asked again before it ends.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

type Answer = Pin<Box<dyn Future<Output = Result<Option<String>, String>> + Send>>;

/// How long before its end a token is renewed.
const MARGIN: Duration = Duration::from_secs(30);

/// A JWT, an API key, or where to get a JWT.
#[derive(Clone, Default)]
pub enum Token {
    /// No credential.
    #[default]
    None,
    /// Always the same.
    Fixed(String),
    /// Asked at first, before a token ends, and once after a refusal.
    Source(Arc<dyn Fn() -> Answer + Send + Sync>),
}

impl Token {
    /// A function that answers with a token, or with none to go without.
    pub fn source<F, R>(ask: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Option<String>, String>> + Send + 'static,
    {
        Self::Source(Arc::new(move || Box::pin(ask())))
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self::Fixed(text.to_owned())
    }
}

impl From<Option<String>> for Token {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::None, Self::Fixed)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Token::None",
            Self::Fixed(_) => "Token::Fixed",
            Self::Source(_) => "Token::Source",
        })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.given.fmt(f)
    }
}

/// Keeps the current token, and knows when the next is due.
pub(crate) struct Tokens {
    given: Token,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<String>,
    due: Option<SystemTime>,
}

impl Tokens {
    pub(crate) fn new(given: Token) -> Arc<Self> {
        let token = if let Token::Fixed(text) = &given { Some(text.clone()) } else { None };
        Arc::new(Self { given, held: Mutex::new(Held { token, due: None }) })
    }

    /// Whether there is a function to ask.
    pub(crate) fn renewable(&self) -> bool {
        matches!(self.given, Token::Source(_))
    }

    /// Whether the token ends soon and another can be had; it is not due again at once.
    pub(crate) fn take_due(&self) -> bool {
        let mut held = self.held();
        let now = SystemTime::now();
        let due = self.renewable() && held.due.is_some_and(|due| due <= now);
        if due {
            held.due = Some(now + MARGIN);
        }
        due
    }

    /// Returns the current token, asking for the first one.
    pub(crate) async fn get(&self) -> Result<Option<String>, String> {
        let token = self.held().token.clone();
        if token.is_none() && self.renewable() { self.renew().await } else { Ok(token) }
    }

    /// Asks for another token.
    pub(crate) async fn renew(&self) -> Result<Option<String>, String> {
        let Token::Source(ask) = &self.given else { return Ok(self.held().token.clone()) };
        let token = ask().await?;
        let now = SystemTime::now();
        let due = token.as_deref().and_then(expiry).map(|end| {
            let left = end.duration_since(now).unwrap_or_default();
            now + left.saturating_sub(MARGIN).max(left / 2).max(Duration::from_secs(1))
        });
        *self.held() = Held { token: token.clone(), due };
        Ok(token)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a JWT; none for what is no JWT or has no end.
fn expiry(token: &str) -> Option<SystemTime> {
    let claims = token.split('.').nth(1)?.trim_end_matches('=');
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let end = claims["exp"].as_f64().filter(|end| end.is_finite() && *end > 0.0)?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(end).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_token_is_read_and_what_is_none_has_no_end() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":1700000000}"#);
        let end = expiry(&format!("x.{claims}.y")).unwrap();
        assert_eq!(end.duration_since(UNIX_EPOCH).unwrap().as_secs(), 1_700_000_000);
        assert_eq!(expiry("an-api-key"), None);
    }
}
