//! The HTTP client of commands that talk to a server.

use std::{error::Error as _, time::Duration};

use reqwest::{Client, ClientBuilder};

use super::failure::Failure;

/// Begins a client for servers at addresses such as `url`. Only https needs the certificates of public
/// authorities, which a bare machine lacks: plain HTTP goes without.
pub(super) fn builder(url: &str, deadline: Duration) -> ClientBuilder {
    let builder = Client::builder().timeout(deadline);
    if url.starts_with("https:") { builder } else { builder.tls_certs_only([]) }
}

/// Makes the client, or says what HTTPS lacks here.
pub(super) fn build(builder: ClientBuilder) -> Result<Client, Failure> {
    builder.build().map_err(|error| {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Failure::Unreachable(format!("no HTTPS from here: {cause} (Debian: ca-certificates)"))
    })
}
