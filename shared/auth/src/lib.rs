//! Who holds a credential and what that allows: tokens, API keys, channel patterns, denials.
//!
//! Never in it: a request or a header of HTTP (the gateway takes the credential out of them), a
//! session, SQL, or a task of its own.

mod authenticator;
mod claims;
mod denials;
mod identity;
mod key;
mod key_set;
mod refusal_log;
mod secret;

pub use self::{
    authenticator::Authenticator,
    claims::{Claims, CredentialError, TokenFault},
    denials::Denials,
    identity::Identity,
    key_set::KeySetError,
    secret::same_secret,
};
