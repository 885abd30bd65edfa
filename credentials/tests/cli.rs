//! The program as people run it, and `openssl` as the judge of what it makes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail a test by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs `credentials` in a folder.
fn credentials(dir: &TempDir, args: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_credentials"))
        .args(args.split_whitespace())
        .current_dir(dir)
        .output()
        .unwrap()
}

/// Runs `credentials` and returns what it prints.
#[track_caller]
fn succeed(dir: &TempDir, args: &str) -> String {
    let output = credentials(dir, args);
    assert!(output.status.success(), "{args}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs `credentials`, which must end with `code`, and returns its one line of an error.
#[track_caller]
fn fail(dir: &TempDir, code: i32, args: &str) -> String {
    let output = credentials(dir, args);
    assert_eq!(output.status.code(), Some(code), "{args}: {}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    text(&output.stderr).trim_end().to_owned()
}

/// Runs `openssl` in a folder; `None` (with a message) where there is none.
#[track_caller]
fn openssl(dir: &TempDir, args: &str) -> Option<String> {
    let output = Command::new("openssl").args(args.split_whitespace()).current_dir(dir).output();
    let Ok(output) = output else {
        eprintln!("skipped: there is no openssl program here");
        return None;
    };
    assert!(output.status.success(), "openssl {args}: {}{}", text(&output.stdout), text(&output.stderr));
    Some(text(&output.stdout))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Whether the certificates of `f` hold before the strictest checks that `openssl` has, which are
/// also those of Python since 3.13 (`VERIFY_X509_STRICT`).
fn verify(dir: &TempDir) -> Option<()> {
    let strict = "verify -x509_strict -CAfile f/ca.pem";
    openssl(dir, &format!("{strict} -purpose sslclient f/amqp-client.pem"))?;
    openssl(dir, &format!("{strict} -purpose sslserver f/amqp-server.pem"))?;
    Some(())
}

#[test]
fn help_names_every_default() {
    let dir = folder();
    let help = succeed(&dir, "fleet -h");
    for default in
        ["[default: cockpit-amqp]", "[default: 730]", "[default: 3650]", "127.0.0.1, ::1", "[default: DIR]"]
    {
        assert!(help.contains(default), "{default} in {help}");
    }
    assert!(succeed(&dir, "ca -h").contains("[default: 3650]"));
    assert!(succeed(&dir, "-h").contains("Exit codes"));
}

#[test]
fn the_files_of_a_fleet_have_their_modes() {
    let dir = folder();
    let printed = succeed(&dir, "fleet f");
    let names =
        ["ca.pem", "ca.key", "amqp-server.pem", "amqp-server.key", "amqp-client.pem", "amqp-client.key"];
    assert_eq!(printed, names.map(|name| format!("wrote f/{name}\n")).concat());
    assert_eq!(mode(&dir.path().join("f")), 0o700);
    for key in ["ca.key", "amqp-server.key", "amqp-client.key"] {
        assert_eq!(mode(&dir.path().join("f").join(key)), 0o600);
        assert!(
            fs::read_to_string(dir.path().join("f").join(key))
                .unwrap()
                .starts_with("-----BEGIN PRIVATE KEY-----")
        );
    }
    assert_eq!(fs::read_dir(dir.path().join("f")).unwrap().count(), names.len());
}

#[test]
fn existing_files_are_refused_by_name() {
    let dir = folder();
    succeed(&dir, "ca f");
    assert_eq!(
        fail(&dir, 2, "ca f"),
        "credentials: cannot create f/ca.pem, f/ca.key: they exist; --force replaces them"
    );
    fs::remove_file(dir.path().join("f/ca.key")).unwrap();
    assert_eq!(fail(&dir, 2, "ca f"), "credentials: cannot create f/ca.pem: it exists; --force replaces it");
    let half = fail(&dir, 1, "fleet f");
    assert!(half.starts_with("credentials: f/ca.pem is there but f/ca.key is not"), "{half}");
    succeed(&dir, "ca f --force --ca-days 800");
    succeed(&dir, "fleet f");
}

#[test]
fn a_certificate_does_not_outlive_its_ca() {
    let dir = folder();
    succeed(&dir, "ca f --days 100");
    let error = fail(&dir, 2, "fleet f --days 101");
    assert!(error.contains("a certificate for 101 days would outlive its CA f/ca.pem"), "{error}");
    // The clock may have moved on between the two commands, so 100 days would be too many.
    succeed(&dir, "fleet f --days 99");
}

#[test]
fn wrong_usage_ends_with_2_and_missing_files_with_1() {
    let dir = folder();
    for usage in ["", "fleet", "fleet f --days 0", "fleet f --server-name a:1", "fleet f --ca c --ca-days 3"]
    {
        fail(&dir, 2, usage);
    }
    assert!(fail(&dir, 1, "show none.pem").starts_with("credentials: cannot read none.pem: No such file"));
    assert!(fail(&dir, 1, "show .").starts_with("credentials: cannot read .: "));
    assert!(fail(&dir, 1, "fleet f --ca none").contains("`credentials ca none` makes them"));
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(fail(&dir, 1, "ca file/f").starts_with("credentials: cannot "));
}

#[test]
fn show_tells_a_certificate_and_keeps_a_key_to_itself() {
    let dir = folder();
    succeed(&dir, "fleet f --client runner --server-name *.ci.example.org --server-name 10.0.0.1");
    let server = succeed(&dir, "show f/amqp-server.pem");
    assert!(server.starts_with("subject      CN=*.ci.example.org\nissuer       CN=Flotilla CA "), "{server}");
    assert!(
        server.contains(
            "\nnames        *.ci.example.org, 10.0.0.1\npurposes     TLS server\nCA           no\n"
        )
    );
    assert!(server.contains("\nkey          RSA, 2048 bits\n"), "{server}");
    assert!(server.contains("(729 days left)") || server.contains("(730 days left)"), "{server}");
    assert!(succeed(&dir, "show f/amqp-client.pem").starts_with("subject      CN=runner\n"));
    assert!(succeed(&dir, "show f/ca.pem").contains("\nCA           yes\n"));
    assert_eq!(
        fail(&dir, 1, "show f/ca.key"),
        "credentials: f/ca.key is not a certificate: it holds a private key, which is never shown"
    );
}

#[test]
fn openssl_accepts_the_certificates_for_their_purpose_only() {
    let dir = folder();
    succeed(&dir, "fleet f --server-name *.ci.example.org --server-name 127.0.0.1");
    let Some(()) = verify(&dir) else { return };
    for name in ["-verify_hostname a.ci.example.org", "-verify_ip 127.0.0.1"] {
        openssl(&dir, &format!("verify -CAfile f/ca.pem {name} f/amqp-server.pem"));
    }
    for wrong in ["sslserver f/amqp-client.pem", "sslclient f/amqp-server.pem"] {
        let args = format!("verify -CAfile f/ca.pem -purpose {wrong}");
        let verified =
            Command::new("openssl").args(args.split_whitespace()).current_dir(&dir).output().unwrap();
        assert!(!verified.status.success(), "{wrong}");
    }
    let key = openssl(&dir, "pkey -in f/amqp-client.key -pubout");
    assert_eq!(key, openssl(&dir, "x509 -in f/amqp-client.pem -noout -pubkey"));
}

/// Makes `f/ca.pem` and `f/ca.key` with `openssl`, the key of the kind that `args` say.
fn openssl_ca(dir: &TempDir, args: &str) -> Option<()> {
    fs::create_dir(dir.path().join("f")).unwrap();
    let request = "req -x509 -nodes -days 3650 -subj /O=Site/OU=CI/CN=Old-CA -keyout f/ca.key -out f/ca.pem";
    openssl(dir, &format!("{request} -newkey {args}"))?;
    Some(())
}

#[test]
fn a_ca_of_openssl_issues_with_every_form_of_key() {
    let rsa1 = Some("rsa -traditional -in f/ca.key -out f/new.key");
    let sec1 = Some("ec -in f/ca.key -out f/new.key");
    let p256 = "ec -pkeyopt ec_paramgen_curve:prime256v1";
    for (kind, convert) in [
        ("rsa:2048", None),
        ("rsa:4096", rsa1),
        (p256, None),
        (p256, sec1),
        ("ec -pkeyopt ec_paramgen_curve:secp384r1", None),
        ("ed25519", None),
    ] {
        let dir = folder();
        let Some(()) = openssl_ca(&dir, kind) else { return };
        if let Some(convert) = convert {
            openssl(&dir, convert);
            fs::rename(dir.path().join("f/new.key"), dir.path().join("f/ca.key")).unwrap();
        }
        succeed(&dir, "fleet f");
        // `openssl req` leaves the CA's key usage out, which its strict checks mind; so not those.
        openssl(&dir, "verify -CAfile f/ca.pem -purpose sslclient f/amqp-client.pem");
        openssl(&dir, "verify -CAfile f/ca.pem -purpose sslserver f/amqp-server.pem");
        assert!(succeed(&dir, "show f/amqp-client.pem").contains("issuer       O=Site, OU=CI, CN=Old-CA\n"));
    }
}

#[test]
fn a_ca_of_openssl_that_cannot_be_used_is_told() {
    let dir = folder();
    let Some(()) = openssl_ca(&dir, "rsa:1024") else { return };
    let small = fail(&dir, 1, "fleet f");
    assert!(small.contains("expected RSA of at least 2048 bits"), "{small}");
    openssl(&dir, "pkey -in f/ca.key -aes128 -passout pass:x -out f/new.key");
    fs::rename(dir.path().join("f/new.key"), dir.path().join("f/ca.key")).unwrap();
    let encrypted = fail(&dir, 1, "fleet f");
    assert!(encrypted.contains("it is encrypted; `openssl pkey -in f/ca.key"), "{encrypted}");
}

#[test]
fn a_ca_whose_name_cannot_be_repeated_is_told() {
    for subject in ["/OU=a/OU=b/CN=ca", "/O=x+OU=y/CN=ca"] {
        let dir = folder();
        fs::create_dir(dir.path().join("f")).unwrap();
        let request = format!(
            "req -x509 -nodes -newkey rsa:2048 -keyout f/ca.key -out f/ca.pem -days 3650 -subj {subject}"
        );
        let Some(_) = openssl(&dir, &request) else { return };
        let error = fail(&dir, 1, "fleet f");
        assert!(error.contains("f/ca.pem cannot be used as a CA: its subject"), "{error}");
        assert!(!dir.path().join("f/amqp-client.pem").exists());
    }
}

#[test]
fn show_reads_what_openssl_made() {
    let dir = folder();
    let names = "subjectAltName=DNS:*.apps.ocp.ci.centos.org,DNS:localhost,IP:127.0.0.1,email:a@example.org";
    let request = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout k.pem -out c.pem -days 1 \
                   -subj /O=Cockpit/CN=server -addext extendedKeyUsage=serverAuth,clientAuth,1.2.3.4";
    let Some(_) = openssl(&dir, &format!("{request} -addext {names}")) else { return };
    let shown = succeed(&dir, "show c.pem");
    assert!(shown.starts_with("subject      O=Cockpit, CN=server\n"), "{shown}");
    assert!(
        shown.contains("*.apps.ocp.ci.centos.org, localhost, 127.0.0.1, mail a@example.org\n"),
        "{shown}"
    );
    assert!(shown.contains("purposes     TLS server, TLS client, OID 1.2.3.4\n"), "{shown}");
    assert!(shown.contains("key          ECDSA, P-256\n"), "{shown}");
    // As `openssl x509 -text` writes it, twice, with a key between.
    let texts = openssl(&dir, "x509 -in c.pem -text").unwrap();
    let key = fs::read_to_string(dir.path().join("k.pem")).unwrap();
    fs::write(dir.path().join("all.pem"), format!("{texts}{key}{texts}")).unwrap();
    // A day may have ended meanwhile.
    let timeless =
        |text: &str| text.lines().map(|it| it.split(" (").next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(timeless(&succeed(&dir, "show all.pem")), timeless(&format!("{shown}\n{shown}")));
}
