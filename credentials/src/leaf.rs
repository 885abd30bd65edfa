//! The certificates below a CA: of a server and of its clients.

use jiff::Timestamp;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PKCS_RSA_SHA256, SerialNumber,
};
use x509_parser::time::ASN1Time;

use crate::error::Error;
use crate::file::{CLIENT_CERTIFICATE, CLIENT_KEY, SERVER_CERTIFICATE, SERVER_KEY};
use crate::name::{CommonName, ServerName};
use crate::validity::{Days, Validity};

/// The kind of every key that is made here: RSA with 2048 bits and SHA-256.
///
/// Existing deployments have RSA, and a broker's list of ciphers may have been written for it, so
/// with it a site can replace its certificates without looking at anything else. ECDSA would be
/// faster, but a connection of a fleet lasts for days and its key signs once.
pub(crate) static KEY_KIND: &rcgen::SignatureAlgorithm = &PKCS_RSA_SHA256;

/// A certificate to be issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Whom it is for, and so what it is good for.
    pub subject: Subject,
    /// How long it is valid. It must not outlive its CA.
    pub days: Days,
}

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A client of the broker (`clientAuth` only), and the broker's name for its user.
    Client(CommonName),
    /// The broker (`serverAuth` only), and all its names; the first is its common name too, or
    /// the next that has no more than 64 characters.
    Server(Vec<ServerName>),
}

impl Leaf {
    /// The file names of the certificate and of its key.
    pub(crate) fn file_names(&self) -> [&'static str; 2] {
        match self.subject {
            Subject::Client(_) => [CLIENT_CERTIFICATE, CLIENT_KEY],
            Subject::Server(_) => [SERVER_CERTIFICATE, SERVER_KEY],
        }
    }

    /// What the certificate will say.
    pub(crate) fn params(&self, validity: Validity) -> Result<CertificateParams, Error> {
        let mut params = params(validity)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![self.subject.purpose()];
        params.distinguished_name.push(DnType::CommonName, self.subject.common_name()?);
        params.subject_alt_names = self.subject.alternative_names()?;
        Ok(params)
    }
}

impl Subject {
    fn purpose(&self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::Client(_) => ExtendedKeyUsagePurpose::ClientAuth,
            Self::Server(_) => ExtendedKeyUsagePurpose::ServerAuth,
        }
    }

    fn common_name(&self) -> Result<String, Error> {
        match self {
            Self::Client(name) => Ok(name.to_string()),
            Self::Server(names) if names.is_empty() => Err(Error::NoServerName),
            Self::Server(names) => {
                let fitting = names.iter().find_map(ServerName::as_common_name);
                Ok(fitting.unwrap_or_else(|| "amqp-server".to_owned()))
            }
        }
    }

    fn alternative_names(&self) -> Result<Vec<rcgen::SanType>, Error> {
        let Self::Server(names) = self else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        for name in names {
            let entry = name.to_san().map_err(|source| Error::Crypto { what: "a server name", source })?;
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}

/// What all certificates have: a validity and a random serial number, but no name yet.
pub(crate) fn params(validity: Validity) -> Result<CertificateParams, Error> {
    // `rcgen` wants the time type of a crate that is not ours; `x509-parser` makes it.
    let time = |it: Timestamp| {
        let time = ASN1Time::from_timestamp(it.as_second());
        time.map(|time| time.to_datetime()).map_err(|_| Error::Clock { now: it })
    };
    let mut params = CertificateParams::default();
    params.not_before = time(validity.from)?;
    params.not_after = time(validity.until)?;
    params.serial_number = Some(random_serial()?);
    params.distinguished_name = rcgen::DistinguishedName::new();
    Ok(params)
}

/// 126 random bits: positive, never zero, and of one length (RFC 5280 section 4.1.2.2 wants at
/// most 20 octets).
fn random_serial() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    let failed = |_| Error::Crypto { what: "a serial number", source: rcgen::Error::RingUnspecified };
    aws_lc_rs::rand::fill(&mut bytes).map_err(failed)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
