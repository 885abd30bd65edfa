//! PEM files: what is in them, and what to say when it is something else.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rcgen::KeyPair;
use x509_parser::pem::Pem;

use crate::error::Error;

/// The most that is read of a file in bytes. Certificates and keys have a few thousand; a bundle
/// of all public CAs has a quarter of this.
const LARGEST_FILE: u64 = 1 << 20;

/// The label of a certificate's block.
const CERTIFICATE: &str = "CERTIFICATE";

/// Reads a whole file of a sensible size.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut content))
        .map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Ok(content)
}

/// The certificates in a PEM file as DER, at least one. Blocks of other kinds are passed over.
pub(crate) fn certificates(path: &Path, content: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let fail = |problem: String| Error::NotACertificate { path: path.to_owned(), problem };
    let blocks = blocks(content).map_err(fail)?;
    if blocks.iter().any(|block| block.label == CERTIFICATE) {
        let certificates = blocks.into_iter().filter(|block| block.label == CERTIFICATE);
        return Ok(certificates.map(|block| block.contents).collect());
    }
    Err(fail(instead_of_certificate(&blocks, content)))
}

/// The private key in a PEM file: PKCS#8, PKCS#1 or SEC1, RSA, P-256, P-384, P-521 or Ed25519.
pub(crate) fn private_key(path: &Path, content: &[u8]) -> Result<KeyPair, Error> {
    let fail = |problem: String| Error::NotAKey { path: path.to_owned(), problem };
    let file = path.display();
    if is_encrypted(content) {
        return Err(fail(format!("it is encrypted; `openssl pkey -in {file} -out NEW` decrypts it")));
    }
    let blocks = blocks(content).map_err(fail)?;
    let Some(block) = blocks.into_iter().find(|block| is_key(&block.label)) else {
        return Err(fail("it has no block `-----BEGIN PRIVATE KEY-----`".to_owned()));
    };
    KeyPair::try_from(block.contents).map_err(|_| {
        fail(format!(
            "expected RSA of at least 2048 bits, P-256, P-384, P-521 or Ed25519, as PKCS#8, PKCS#1 or SEC1; \
             `openssl pkey -in {file} -out NEW` converts other forms, `openssl pkey -in {file} -noout -check` tests it"
        ))
    })
}

fn blocks(content: &[u8]) -> Result<Vec<Pem>, String> {
    Pem::iter_from_buffer(content)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("a PEM block in it is damaged ({error})"))
}

fn instead_of_certificate(blocks: &[Pem], content: &[u8]) -> String {
    /// The first byte of a DER sequence, such as a certificate.
    const SEQUENCE: u8 = 0x30;
    match blocks.first() {
        Some(block) if is_key(&block.label) => "it holds a private key, which is never shown".to_owned(),
        Some(block) => format!("it holds a {:?}; expected `-----BEGIN CERTIFICATE-----`", block.label),
        None if content.first() == Some(&SEQUENCE) => {
            "it looks like DER; `openssl x509 -inform der -in FILE -out NEW` converts it to PEM".to_owned()
        }
        None => "it has no line `-----BEGIN CERTIFICATE-----`".to_owned(),
    }
}

fn is_key(label: &str) -> bool {
    label.ends_with("PRIVATE KEY")
}

/// Both ways: a PKCS#8 block of its own kind, and the old header lines within a block.
fn is_encrypted(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    text.lines()
        .any(|line| line.starts_with("-----BEGIN ENCRYPTED ") || line.starts_with("Proc-Type: 4,ENCRYPTED"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(content: &[u8]) -> String {
        certificates(Path::new("file"), content).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_certificate_is_named() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(
            problem(key.as_bytes()),
            "file is not a certificate: it holds a private key, which is never shown"
        );
        assert!(problem(b"").contains("no line `-----BEGIN CERTIFICATE-----`"));
        assert!(problem(b"\xff\xfe\n\0").contains("no line"));
        assert!(problem(&[0x30, 0x82, 1, 2]).contains("looks like DER"));
        assert!(problem(b"-----BEGIN CERTIFICATE-----\nMIIB\n").contains("damaged"));
        assert!(problem(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").contains("damaged"));
        assert!(
            problem(b"-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n")
                .contains("it holds a \"X509 CRL\"")
        );
    }

    #[test]
    fn an_encrypted_key_says_how_to_decrypt_it() {
        for content in [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB\n-----END RSA PRIVATE KEY-----\n",
        ] {
            let error = private_key(Path::new("ca.key"), content.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("it is encrypted; `openssl pkey -in ca.key"), "{error}");
        }
    }

    #[test]
    fn a_damaged_key_is_an_error_without_its_bytes() {
        let content = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let error = private_key(Path::new("ca.key"), content.as_bytes()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains("expected RSA") && !shown.contains("c2VjcmV0") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
