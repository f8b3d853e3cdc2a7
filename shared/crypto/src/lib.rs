//! The cryptography of the process: ring, for TLS and for tokens.

mod tokens;

/// Installs ring as the provider of every TLS connection and every token of this process.
///
/// It has to come before the first of either, and may come again: the first call decides.
pub fn install() {
    // An error says that a provider is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let _installed_before = tokens::PROVIDER.install_default();
}
