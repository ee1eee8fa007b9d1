//! Whom to trust: the system's authorities, and those of `fetch.ca_file`.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::error::CaFileError;

pub(super) struct Tls {
    own: Vec<CertificateDer<'static>>,
    // Reading all of the system's takes a while, and most servers never ask anybody.
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, CaFileError> {
        let own = match ca_file {
            Some(path) => {
                certificates(path).map_err(|cause| CaFileError { path: path.to_owned(), cause })?
            }
            None => Vec::new(),
        };
        Ok(Self { own, config: OnceLock::new() })
    }

    /// The configuration, put together when it is first needed.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        roots.add_parsable_certificates(self.own.iter().cloned());
        if roots.is_empty() {
            return Err("this machine trusts no authority; is the package ca-certificates \
                        installed?"
                .to_owned());
        }
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| format!("can't be read: {error}"))?;
    let found = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "isn't well-formed PEM".to_owned())?;
    let mut store = RootCertStore::empty();
    for certificate in &found {
        store
            .add(certificate.clone())
            .map_err(|error| format!("has a certificate that isn't an authority's: {error}"))?;
    }
    if found.is_empty() { Err("has no certificate in PEM".to_owned()) } else { Ok(found) }
}
