//! The certificate authority of a fleet: made once, it issues the other certificates.

mod load;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rcgen::{BasicConstraints, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::error::Error;
use crate::file::{self, Access, CA_CERTIFICATE, CA_KEY, Existing, NewFile};
use crate::leaf::{self, KEY_KIND, Leaf};
use crate::validity::{Days, Validity};

/// A CA with its key, ready to issue.
#[derive(Debug)]
pub struct Authority {
    /// Its certificate's file, for messages.
    path: PathBuf,
    /// Its certificate's file as it is, other certificates and comments included.
    text: String,
    /// Its certificate.
    der: Vec<u8>,
    validity: Validity,
    /// Knows the key, but its `Debug` does not show it.
    issuer: Issuer<'static, KeyPair>,
}

/// How to make a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityOptions {
    /// How long it is valid.
    pub days: Days,
    /// What to do about a CA that is there. Replacing it orphans all that it has issued.
    pub existing: Existing,
}

impl Default for AuthorityOptions {
    fn default() -> Self {
        Self { days: Days::CA, existing: Existing::Refuse }
    }
}

impl Authority {
    /// Makes a CA and writes `ca.pem` and `ca.key` (mode 0600) into `dir`, which is created
    /// (mode 0700) when it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] when one of the files is there and must stay; otherwise when the clock
    /// is wrong or a file cannot be written.
    pub fn create(dir: &Path, options: &AuthorityOptions, now: Timestamp) -> Result<Self, Error> {
        file::check_free(dir, &[CA_CERTIFICATE, CA_KEY], options.existing)?;
        let authority = Self::generate(dir, options.days, now)?;
        file::write_all(dir, &authority.files(), options.existing)?;
        Ok(authority)
    }

    /// Reads `ca.pem` and `ca.key` from `dir`; `openssl` may have made them, with a key of RSA or
    /// EC in PKCS#8, PKCS#1 or SEC1. When `ca.pem` has several certificates, the one that belongs
    /// to the key is used.
    ///
    /// # Errors
    ///
    /// [`Error::NoCa`] or [`Error::HalfCa`] when files are missing; otherwise when one of them
    /// cannot be read or used, or does not belong to the other.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        load::load(dir)
    }

    /// Makes a key and a certificate for `leaf` and writes them into `dir` (`amqp-client.pem` and
    /// `.key`, or `amqp-server.pem` and `.key`), which is created when it is not there. Returns
    /// the paths, certificate first.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] when one of the files is there and must stay, [`Error::OutlivesCa`] when
    /// `leaf` would be valid for longer than this CA; otherwise when a file cannot be written.
    pub fn issue(
        &self,
        leaf: &Leaf,
        dir: &Path,
        existing: Existing,
        now: Timestamp,
    ) -> Result<Vec<PathBuf>, Error> {
        file::check_free(dir, &leaf.file_names(), existing)?;
        file::write_all(dir, &self.certify(leaf, now)?, existing)
    }

    /// The content of `ca.pem`.
    pub fn certificate_pem(&self) -> &str {
        &self.text
    }

    /// The last moment of its validity; no certificate that it issues is valid for longer.
    pub fn valid_until(&self) -> Timestamp {
        self.validity.until
    }

    /// Makes a CA in memory; `dir` is where it will be.
    pub(crate) fn generate(dir: &Path, days: Days, now: Timestamp) -> Result<Self, Error> {
        let failed = |source| Error::Crypto { what: "a CA", source };
        let mut params = leaf::params(Validity::starting(now, days)?)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, unique_name(params.serial_number.as_ref()));
        let key = KeyPair::generate_for(KEY_KIND).map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        load::assemble(dir.join(CA_CERTIFICATE), certificate.pem(), certificate.der(), key)
    }

    /// The two files of a CA that was just made.
    pub(crate) fn files(&self) -> [NewFile; 2] {
        let key = self.issuer.key().serialize_pem();
        [
            NewFile { name: CA_CERTIFICATE, content: self.text.clone(), access: Access::Public },
            NewFile { name: CA_KEY, content: key, access: Access::Private },
        ]
    }

    /// Makes a certificate and its key in memory.
    pub(crate) fn certify(&self, leaf: &Leaf, now: Timestamp) -> Result<[NewFile; 2], Error> {
        let failed = |source| Error::Crypto { what: "a certificate", source };
        self.validity.check_leaf(now, leaf.days, &self.path)?;
        let params = leaf.params(Validity::starting(now, leaf.days)?)?;
        let key = KeyPair::generate_for(KEY_KIND).map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        load::check_issuer(&self.path, &self.der, certificate.der())?;
        let [certificate_name, key_name] = leaf.file_names();
        Ok([
            NewFile { name: certificate_name, content: certificate.pem(), access: Access::Public },
            NewFile { name: key_name, content: key.serialize_pem(), access: Access::Private },
        ])
    }
}

/// A CA's name says which CA it is: one that replaces another must not be taken for it, neither
/// by a person who reads `credentials show` nor by software that looks a CA up by name.
fn unique_name(serial: Option<&rcgen::SerialNumber>) -> String {
    let serial = serial.map(ToString::to_string).unwrap_or_default();
    let short: String = serial.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    format!("Flotilla CA {short}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::leaf::Subject;
    use crate::name::CommonName;
    use crate::summary;

    const NOW: Timestamp = Timestamp::constant(1_760_000_000, 0);

    fn client() -> Leaf {
        Leaf { subject: Subject::Client(CommonName::default()), days: Days::LEAF }
    }

    #[test]
    fn a_ca_may_only_vouch_for_leaves() {
        let authority = Authority::generate(Path::new("."), Days::CA, NOW).unwrap();
        let certificate = summary::parse(&authority.der).unwrap();
        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert!(!usage.value.digital_signature());
    }

    #[test]
    fn two_cas_have_two_names_and_serial_numbers() {
        let [one, two] = [(); 2].map(|()| Authority::generate(Path::new("."), Days::CA, NOW).unwrap());
        let (one, two) = (summary::parse(&one.der).unwrap(), summary::parse(&two.der).unwrap());
        assert_ne!(one.subject().to_string(), two.subject().to_string());
        assert_ne!(one.raw_serial(), two.raw_serial());
        assert_eq!(one.raw_serial().len(), 16);
    }

    #[test]
    fn a_loaded_ca_issues_as_the_made_one_did() {
        let dir = tempfile::tempdir().unwrap();
        let made = Authority::create(dir.path(), &AuthorityOptions::default(), NOW).unwrap();
        let loaded = Authority::load(dir.path()).unwrap();
        assert_eq!(loaded.certificate_pem(), made.certificate_pem());
        assert_eq!(loaded.valid_until(), made.valid_until());
        let paths = loaded.issue(&client(), dir.path(), Existing::Refuse, NOW).unwrap();
        assert_eq!(paths, [dir.path().join("amqp-client.pem"), dir.path().join("amqp-client.key")]);
        let again = loaded.issue(&client(), dir.path(), Existing::Refuse, NOW).unwrap_err();
        assert!(matches!(again, Error::Exists { .. }));
    }

    #[test]
    fn the_certificate_that_belongs_to_the_key_is_found_in_a_bundle() {
        let dir = tempfile::tempdir().unwrap();
        let made = Authority::create(dir.path(), &AuthorityOptions::default(), NOW).unwrap();
        let other = Authority::generate(dir.path(), Days::CA, NOW).unwrap();
        let path = dir.path().join(CA_CERTIFICATE);
        fs::write(&path, format!("{}{}", other.certificate_pem(), made.certificate_pem())).unwrap();
        assert_eq!(Authority::load(dir.path()).unwrap().der, made.der);
        fs::write(&path, other.certificate_pem()).unwrap();
        let error = Authority::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("does not belong to"), "{error}");
    }

    #[test]
    fn a_leaf_is_no_ca() {
        let dir = tempfile::tempdir().unwrap();
        let ca = Authority::generate(dir.path(), Days::CA, NOW).unwrap();
        let [certificate, key] = ca.certify(&client(), NOW).unwrap();
        fs::write(dir.path().join(CA_CERTIFICATE), certificate.content).unwrap();
        fs::write(dir.path().join(CA_KEY), key.content).unwrap();
        let error = Authority::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("does not say CA:TRUE"), "{error}");
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let authority = Authority::generate(Path::new("."), Days::CA, NOW).unwrap();
        let shown = format!("{authority:?}");
        assert!(shown.contains("[elided]") && !shown.contains("PRIVATE KEY"));
    }
}
