//! A certificate of this machine that nobody else signed, made by `openssl`.

use std::path::{Path, PathBuf};
use std::process::Command;

const REQUEST: &str = "
[req]
prompt = no
distinguished_name = name
x509_extensions = server
[name]
CN = localhost
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1, DNS:localhost
";

/// The two files of a certificate, both PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one for `localhost` and 127.0.0.1 in `folder`.
    ///
    /// # Panics
    /// When there is no `openssl`, or it refuses.
    pub fn make(folder: &Path) -> Self {
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(folder.join("request"), REQUEST).expect("write the request");
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
        openssl.args(["-config", "request", "-keyout", "key.pem", "-out", "cert.pem"]);
        let output = openssl.current_dir(folder).output().expect("run openssl");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl: {said}");
        Self { certificate, key }
    }
}
