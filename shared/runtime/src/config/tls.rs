//! Where TLS finds its certificate.

use std::{path::PathBuf, time::Duration};

use super::layers::{Layers, SettingProblem};

/// The files of TLS on the public addresses.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// `TLS_CERT`: the certificate and the chain behind it.
    pub certificate: PathBuf,
    /// `TLS_KEY`
    pub key: PathBuf,
    /// `TLS_RELOAD_MS`
    pub reload: Duration,
}

impl TlsFiles {
    /// Returns the files, none when neither is set; that only one is set is a problem.
    pub(super) fn build(layers: &mut Layers) -> Option<Self> {
        let reload = layers.duration("tls_reload_ms");
        let missing = match (layers.optional("tls_cert"), layers.optional("tls_key")) {
            (Some(certificate), Some(key)) => {
                return Some(Self { certificate: certificate.into(), key: key.into(), reload });
            }
            (None, None) => return None,
            (None, Some(_)) => "tls_cert",
            (Some(_), None) => "tls_key",
        };
        let reason = "TLS needs both TLS_CERT and TLS_KEY";
        layers.problems.push(SettingProblem::new(missing, reason));
        None
    }
}
