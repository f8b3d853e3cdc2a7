//! TLS on the public addresses: the certificate of `TLS_CERT` and `TLS_KEY`, read again when the files
//! change.

use std::{io, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use runtime::config::{SettingProblem, TlsFiles};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

/// The one protocol that is spoken inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// What TLS is served with.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<CurrentCertificate>,
    files: TlsFiles,
}

/// The certificate that new handshakes show.
#[derive(Debug)]
struct CurrentCertificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The two files, as they were read.
#[derive(PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads the files of the settings.
    ///
    /// # Errors
    /// What is wrong with them, named by its setting.
    pub fn load(files: &TlsFiles) -> Result<Self, SettingProblem> {
        let certified = certified(&read(files)?)?;
        let certificate = Arc::new(CurrentCertificate(ArcSwap::from_pointee(certified)));
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder =
            builder.with_safe_default_protocol_versions().map_err(|error| unusable(&error))?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&certificate) as _;
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, certificate, files: files.clone() })
    }

    /// Returns what does the handshakes.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files again and again, and shows new clients what they hold by then. Two files are
    /// not written in one moment: a pair that does not fit leaves the old one in force until it does.
    pub async fn keep_current(&self) {
        let mut seen = self.read_aside().await.ok();
        loop {
            tokio::time::sleep(self.files.reload).await;
            let pem = match self.read_aside().await {
                Ok(pem) if seen.as_ref() != Some(&pem) => pem,
                Ok(_same) => continue,
                Err(problem) => {
                    if seen.take().is_some() {
                        tracing::warn!(%problem, "tls: files not read, the certificate in use stays");
                    }
                    continue;
                }
            };
            match certified(&pem) {
                Ok(certified) => {
                    self.certificate.0.store(Arc::new(certified));
                    tracing::info!("tls: the certificate was read again, new connections see it");
                }
                Err(problem) => {
                    tracing::warn!(%problem, "tls: new files not usable, the certificate in use stays");
                }
            }
            seen = Some(pem);
        }
    }

    /// Reads the files where waiting for a disk keeps nobody else waiting.
    async fn read_aside(&self) -> Result<Pem, SettingProblem> {
        let read = async |name, path: &PathBuf| {
            tokio::fs::read(path).await.map_err(|error| unreadable(name, path, &error))
        };
        Ok(Pem {
            certificate: read("tls_cert", &self.files.certificate).await?,
            key: read("tls_key", &self.files.key).await?,
        })
    }
}

fn read(files: &TlsFiles) -> Result<Pem, SettingProblem> {
    let read =
        |name, path: &PathBuf| std::fs::read(path).map_err(|error| unreadable(name, path, &error));
    Ok(Pem {
        certificate: read("tls_cert", &files.certificate)?,
        key: read("tls_key", &files.key)?,
    })
}

/// The certificate, the chain behind it and the key, checked to belong together.
fn certified(pem: &Pem) -> Result<CertifiedKey, SettingProblem> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem.certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| SettingProblem::new("tls_cert", format!("is no PEM file: {error}")))?;
    if chain.is_empty() {
        return Err(SettingProblem::new("tls_cert", "holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|error| {
        SettingProblem::new("tls_key", format!("holds no private key: {error}"))
    })?;
    CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            SettingProblem::new("tls_key", "does not belong to the certificate of TLS_CERT")
        }
        rustls::Error::InvalidCertificate(error) => SettingProblem::new(
            "tls_cert",
            format!("holds no certificate that can be used: {error:?}"),
        ),
        error => SettingProblem::new("tls_key", format!("cannot be used: {error}")),
    })
}

fn unreadable(name: &str, path: &std::path::Path, error: &io::Error) -> SettingProblem {
    SettingProblem::new(name, format!("{}: {error}", path.display()))
}

fn unusable(error: &rustls::Error) -> SettingProblem {
    SettingProblem::new("tls_cert", error.to_string())
}
