//! TLS to the broker: the fleet's own authority is the only one that is trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::BrokerError;

/// Reads `ca.pem`, `amqp-client.pem` and `amqp-client.key` of a secrets directory.
///
/// Existing certificates do not name the hosts that they serve, so existing clients verify the chain alone. So do we unless
/// `server_name` says which name the certificate must have; the chain ends in the fleet's own authority, and the purpose
/// `serverAuth` (where the certificate has purposes) keeps a worker's certificate from passing as the broker's.
pub(super) fn client_config(
    secrets: &Path,
    server_name: Option<&ServerName<'static>>,
) -> Result<ClientConfig, BrokerError> {
    let read = |name: &str| secrets.join(name);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&read("ca.pem"))? {
        let file = read("ca.pem");
        roots.add(certificate).map_err(|it| BrokerError::secret(&file, "a CA certificate", it))?;
    }
    let verifier = WebPkiServerVerifier::builder(Arc::new(roots))
        .build()
        .map_err(|it| BrokerError::secret(&read("ca.pem"), "a CA certificate", it))?;
    let key = read("amqp-client.key");
    let key = PrivateKeyDer::from_pem_file(&key)
        .map_err(|it| BrokerError::secret(&key, "a private key in PEM (PKCS#8, PKCS#1 or SEC1)", it))?;
    let chain = certificates(&read("amqp-client.pem"))?;
    ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(BrokerVerifier {
            chain: verifier,
            name: server_name.cloned(),
        }))
        .with_client_auth_cert(chain, key)
        .map_err(|it| BrokerError::secret(&read("amqp-client.key"), "the key of amqp-client.pem", it))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, BrokerError> {
    let expected = "a certificate in PEM";
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(|it| BrokerError::secret(file, expected, it))?.collect();
    let found = found.map_err(|it| BrokerError::secret(file, expected, it))?;
    if found.is_empty() {
        return Err(BrokerError::secret(file, expected, std::io::Error::other("it holds none")));
    }
    Ok(found)
}

/// Verifies the chain, and the name only where one is configured.
#[derive(Debug)]
struct BrokerVerifier {
    chain: Arc<WebPkiServerVerifier>,
    name: Option<ServerName<'static>>,
}

impl ServerCertVerifier for BrokerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        sent_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let name = self.name.as_ref().unwrap_or(sent_name);
        let verified = self.chain.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        match verified {
            // The name is the last thing that webpki looks at: all else was right.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.name.is_none() => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
