//! From files to an [`Authority`], with every check that `rcgen` leaves to its caller.

use std::path::{Path, PathBuf};

use rcgen::{Issuer, KeyPair};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Authority;
use crate::error::Error;
use crate::file::{CA_CERTIFICATE, CA_KEY, is_taken};
use crate::pem;
use crate::summary;
use crate::validity::Validity;

pub(super) fn load(dir: &Path) -> Result<Authority, Error> {
    let (path, key_path) = (dir.join(CA_CERTIFICATE), dir.join(CA_KEY));
    match (is_taken(&path)?, is_taken(&key_path)?) {
        (true, true) => {}
        (false, false) => return Err(Error::NoCa { dir: dir.to_owned() }),
        (true, false) => return Err(Error::HalfCa { present: path, missing: key_path }),
        (false, true) => return Err(Error::HalfCa { present: key_path, missing: path }),
    }
    let content = pem::read(&path)?;
    let key = pem::private_key(&key_path, &pem::read(&key_path)?)?;
    let der = pem::certificates(&path, &content)?.into_iter().find(|der| belongs(der, &key));
    let Some(der) = der else {
        return Err(unusable(&path, format!("its certificate does not belong to {}", key_path.display())));
    };
    assemble(path, String::from_utf8_lossy(&content).into_owned(), &der, key)
}

/// Puts the parts together, if the certificate is one of a CA.
pub(super) fn assemble(path: PathBuf, text: String, der: &[u8], key: KeyPair) -> Result<Authority, Error> {
    let validity = check(&path, der)?;
    let issuer = Issuer::from_ca_cert_der(&der.into(), key)
        .map_err(|error| unusable(&path, format!("its subject cannot be repeated ({error})")))?;
    Ok(Authority { path, text, der: der.to_vec(), validity, issuer })
}

/// Refuses an issued certificate that does not name its CA to the byte: no verifier would find
/// the way from one to the other. `rcgen` drops all but the last of attributes of one type.
pub(super) fn check_issuer(path: &Path, ca: &[u8], issued: &[u8]) -> Result<(), Error> {
    let (ca, issued) = (parse(path, ca)?, parse(path, issued)?);
    if ca.subject().as_raw() == issued.issuer().as_raw() {
        return Ok(());
    }
    Err(unusable(path, format!("its subject ({}) cannot be repeated exactly; make a new CA", ca.subject())))
}

fn check(path: &Path, der: &[u8]) -> Result<Validity, Error> {
    let certificate = parse(path, der)?;
    if !certificate.is_ca() {
        return Err(unusable(path, "it does not say CA:TRUE in its basic constraints".to_owned()));
    }
    if let Ok(Some(usage)) = certificate.key_usage()
        && !usage.value.key_cert_sign()
    {
        return Err(unusable(path, "its key usage does not include keyCertSign".to_owned()));
    }
    // `rcgen` panics where a part of the subject has no attribute, and refuses where it has two.
    if certificate.subject().iter_rdn().any(|part| part.iter().count() != 1) {
        return Err(unusable(path, "its subject has parts of several attributes".to_owned()));
    }
    Ok(summary::validity(&certificate))
}

fn belongs(der: &[u8], key: &KeyPair) -> bool {
    X509Certificate::from_der(der)
        .is_ok_and(|(_, it)| it.public_key().subject_public_key.data.as_ref() == key.public_key_raw())
}

fn parse<'a>(path: &Path, der: &'a [u8]) -> Result<X509Certificate<'a>, Error> {
    summary::parse(der).map_err(|problem| Error::NotACertificate { path: path.to_owned(), problem })
}

fn unusable(path: &Path, problem: String) -> Error {
    Error::UnusableCa { path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rcgen::{BasicConstraints, DnType, IsCa};

    use super::*;
    use crate::leaf;
    use crate::summary::Summary;
    use crate::validity::Days;

    /// A CA with a key that is fast to read.
    fn small_ca() -> (Vec<u8>, Vec<u8>) {
        let now = Timestamp::from_second(1_760_000_000).unwrap();
        let mut params = leaf::params(Validity::starting(now, Days::CA).unwrap()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::OrganizationName, "Site");
        params.distinguished_name.push(DnType::CommonName, "CA");
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().der().to_vec(), key.serialize_der())
    }

    #[test]
    fn no_damaged_byte_makes_a_panic() {
        let (der, key) = small_ca();
        let load = |der: &[u8]| {
            let key = KeyPair::try_from(key.as_slice()).unwrap();
            assemble(PathBuf::from("ca.pem"), String::new(), der, key)
        };
        load(&der).unwrap();
        for position in 0..der.len() {
            for byte in [0, 1, 0x30, 0x31, 0x7f, 0xff, der[position] ^ 1] {
                let mut damaged = der.clone();
                damaged[position] = byte;
                let _ = load(&damaged);
                let _ = Summary::from_der(&damaged).map(|it| it.describe(Timestamp::UNIX_EPOCH).to_string());
            }
            load(&der[..position]).unwrap_err();
        }
    }
}
