//! All certificates of a fleet in one go.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::authority::Authority;
use crate::error::Error;
use crate::file::{
    self, Access, CA_CERTIFICATE, CA_KEY, CLIENT_CERTIFICATE, CLIENT_KEY, Existing, NewFile,
    SERVER_CERTIFICATE, SERVER_KEY,
};
use crate::leaf::{Leaf, Subject};
use crate::name::{CommonName, ServerName};
use crate::pem;
use crate::validity::Days;

/// What certificates a fleet gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetOptions {
    /// The broker's name for the user of all programs.
    pub client: CommonName,
    /// The broker's names; at least one.
    pub server_names: Vec<ServerName>,
    /// How long the server's and the client's certificates are valid.
    pub days: Days,
    /// How long a CA is valid, if one has to be made.
    pub ca_days: Days,
    /// The folder of a CA that lives elsewhere; it must have one.
    pub ca: Option<PathBuf>,
    /// What to do about certificates that are there. A CA is never replaced.
    pub existing: Existing,
}

impl Default for FleetOptions {
    /// User `cockpit-amqp`, server `localhost`, two years below a CA of ten, nothing replaced.
    fn default() -> Self {
        Self {
            client: CommonName::default(),
            server_names: ServerName::localhost(),
            days: Days::LEAF,
            ca_days: Days::CA,
            ca: None,
            existing: Existing::Refuse,
        }
    }
}

/// Makes the certificates of a fleet in `dir`: `amqp-server.pem`, `amqp-client.pem` and their
/// keys, below the CA in `dir`, which is made when there is none. With [`FleetOptions::ca`] the
/// CA is that one, and `dir` gets a copy of its `ca.pem`.
///
/// Returns the paths of all files that were written. Everything is made before anything is
/// written.
///
/// # Errors
///
/// [`Error::Exists`] when a file is there and must stay, [`Error::OutlivesCa`] when the
/// certificates would be valid for longer than their CA; otherwise when the CA cannot be used or
/// a file cannot be written.
pub fn fleet(dir: &Path, options: &FleetOptions, now: Timestamp) -> Result<Vec<PathBuf>, Error> {
    let names = [SERVER_CERTIFICATE, SERVER_KEY, CLIENT_CERTIFICATE, CLIENT_KEY];
    file::check_free(dir, &names, options.existing)?;
    let ca = Ca::find(dir, options, now)?;
    let leaves = leaves(&ca.authority, options, now)?;
    let mut written = file::write_all(dir, &ca.files, ca.existing)?;
    written.extend(file::write_all(dir, &leaves, options.existing)?);
    Ok(written)
}

/// The CA to use, and what the folder of the fleet has to get of it.
struct Ca {
    authority: Authority,
    files: Vec<NewFile>,
    existing: Existing,
}

impl Ca {
    fn find(dir: &Path, options: &FleetOptions, now: Timestamp) -> Result<Self, Error> {
        if let Some(elsewhere) = &options.ca {
            let authority = Authority::load(elsewhere)?;
            let files = copy(&authority, elsewhere, dir, options.existing)?;
            return Ok(Self { authority, files, existing: options.existing });
        }
        if file::is_taken(&dir.join(CA_CERTIFICATE))? || file::is_taken(&dir.join(CA_KEY))? {
            return Ok(Self {
                authority: Authority::load(dir)?,
                files: Vec::new(),
                existing: Existing::Refuse,
            });
        }
        let authority = Authority::generate(dir, options.ca_days, now)?;
        let files = authority.files().into();
        Ok(Self { authority, files, existing: Existing::Refuse })
    }
}

/// The `ca.pem` that `dir` needs, unless it has the same one already.
fn copy(authority: &Authority, from: &Path, dir: &Path, existing: Existing) -> Result<Vec<NewFile>, Error> {
    let (path, key) = (dir.join(CA_CERTIFICATE), dir.join(CA_KEY));
    let content = authority.certificate_pem().to_owned();
    if file::is_taken(&path)? && pem::read(&path)? == content.as_bytes() {
        return Ok(Vec::new());
    }
    if file::is_taken(&key)? {
        return Err(Error::OtherCa { key, ca: from.to_owned() });
    }
    file::check_free(dir, &[CA_CERTIFICATE], existing)?;
    Ok(vec![NewFile { name: CA_CERTIFICATE, content, access: Access::Public }])
}

fn leaves(authority: &Authority, options: &FleetOptions, now: Timestamp) -> Result<Vec<NewFile>, Error> {
    let server = Leaf { subject: Subject::Server(options.server_names.clone()), days: options.days };
    let client = Leaf { subject: Subject::Client(options.client.clone()), days: options.days };
    let mut files = Vec::from(authority.certify(&server, now)?);
    files.extend(authority.certify(&client, now)?);
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::authority::AuthorityOptions;
    use crate::summary::{self, Summary};

    const NOW: Timestamp = Timestamp::constant(1_760_000_000, 0);

    fn read_der(path: &Path) -> Vec<u8> {
        pem::certificates(path, &fs::read(path).unwrap()).unwrap().remove(0)
    }

    /// The proof of a chain: the name to the byte, the key identifier and the signature.
    fn assert_issued_by(leaf: &Path, ca: &Path) {
        let (leaf, ca) = (read_der(leaf), read_der(ca));
        let (leaf, ca) = (summary::parse(&leaf).unwrap(), summary::parse(&ca).unwrap());
        assert_eq!(leaf.issuer().as_raw(), ca.subject().as_raw());
        leaf.verify_signature(Some(ca.public_key())).unwrap();
        ca.verify_signature(None).unwrap();
    }

    #[test]
    fn a_fleet_has_a_ca_a_server_and_a_client() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let written = fleet(dir, &FleetOptions::default(), NOW).unwrap();
        assert_eq!(written.len(), 6);
        assert_issued_by(&dir.join(SERVER_CERTIFICATE), &dir.join(CA_CERTIFICATE));
        assert_issued_by(&dir.join(CLIENT_CERTIFICATE), &dir.join(CA_CERTIFICATE));
        let [server] = Summary::read(&dir.join(SERVER_CERTIFICATE)).unwrap().try_into().unwrap();
        assert_eq!(server.names, ["localhost", "127.0.0.1", "::1"]);
        assert_eq!(server.purposes, ["TLS server"]);
        let [client] = Summary::read(&dir.join(CLIENT_CERTIFICATE)).unwrap().try_into().unwrap();
        assert_eq!((client.subject.as_str(), client.is_ca), ("CN=cockpit-amqp", false));
        assert_eq!(client.purposes, ["TLS client"]);
        assert_eq!(client.days_left(NOW), 730);
    }

    #[test]
    fn nothing_is_written_when_something_is_wrong() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("new");
        let wrong = [
            FleetOptions { days: Days::MAX, ..FleetOptions::default() },
            FleetOptions { server_names: Vec::new(), ..FleetOptions::default() },
            FleetOptions { ca: Some(root.path().join("none")), ..FleetOptions::default() },
        ];
        for options in wrong {
            fleet(&dir, &options, NOW).unwrap_err();
            assert!(!dir.exists());
        }
    }

    #[test]
    fn force_remakes_the_leaves_and_keeps_the_ca() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fleet(dir, &FleetOptions::default(), NOW).unwrap();
        let read = |name| fs::read(dir.join(name)).unwrap();
        let (ca, ca_key, client) = (read(CA_CERTIFICATE), read(CA_KEY), read(CLIENT_CERTIFICATE));
        let error = fleet(dir, &FleetOptions::default(), NOW).unwrap_err();
        assert!(matches!(error, Error::Exists { paths } if paths.len() == 4));
        let force = FleetOptions { existing: Existing::Replace, ..FleetOptions::default() };
        assert_eq!(fleet(dir, &force, NOW).unwrap().len(), 4);
        assert_eq!((read(CA_CERTIFICATE), read(CA_KEY)), (ca, ca_key));
        assert_ne!(read(CLIENT_CERTIFICATE), client);
        assert_issued_by(&dir.join(CLIENT_CERTIFICATE), &dir.join(CA_CERTIFICATE));
    }

    #[test]
    fn a_ca_elsewhere_is_copied_without_its_key() {
        let root = tempfile::tempdir().unwrap();
        let (ca, dir) = (root.path().join("ca"), root.path().join("fleet"));
        Authority::create(&ca, &AuthorityOptions::default(), NOW).unwrap();
        let options = FleetOptions { ca: Some(ca.clone()), ..FleetOptions::default() };
        assert_eq!(fleet(&dir, &options, NOW).unwrap().len(), 5);
        assert!(!dir.join(CA_KEY).exists());
        assert_eq!(fs::read(ca.join(CA_CERTIFICATE)).unwrap(), fs::read(dir.join(CA_CERTIFICATE)).unwrap());
        assert_issued_by(&dir.join(SERVER_CERTIFICATE), &ca.join(CA_CERTIFICATE));
    }

    #[test]
    fn a_ca_in_the_folder_is_not_overwritten_by_one_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let (ca, dir) = (root.path().join("ca"), root.path().join("fleet"));
        Authority::create(&ca, &AuthorityOptions::default(), NOW).unwrap();
        Authority::create(&dir, &AuthorityOptions::default(), NOW).unwrap();
        let before = fs::read(dir.join(CA_CERTIFICATE)).unwrap();
        let options = FleetOptions { ca: Some(ca), existing: Existing::Replace, ..FleetOptions::default() };
        let error = fleet(&dir, &options, NOW).unwrap_err();
        assert!(matches!(error, Error::OtherCa { .. }), "{error}");
        assert_eq!(fs::read(dir.join(CA_CERTIFICATE)).unwrap(), before);
    }

    #[test]
    fn half_a_ca_is_an_error_that_names_both_files() {
        let dir = tempfile::tempdir().unwrap();
        Authority::create(dir.path(), &AuthorityOptions::default(), NOW).unwrap();
        fs::remove_file(dir.path().join(CA_KEY)).unwrap();
        let error = fleet(dir.path(), &FleetOptions::default(), NOW).unwrap_err().to_string();
        assert!(error.contains("ca.pem is there but") && error.contains("ca.key is not"), "{error}");
    }
}
