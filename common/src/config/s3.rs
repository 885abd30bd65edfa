//! `[logs.s3]`: the bucket that logs go to.

use std::path::Path;

use reqwest::Url;

use super::Table;
use super::forge::certificates;
use crate::logs::{S3Key, S3Limits, S3Settings, S3SettingsError, S3Store, Store};
use crate::{Chain, Clock};

const USER_AGENT: &str = concat!("flotilla/", env!("CARGO_PKG_VERSION"));

/// Reads the table, and complains about all of it at once.
pub(super) fn s3(table: Table<'_>, scratch: &Path) -> Option<Store> {
    let url = url(&table);
    let key = key(&table, url.as_ref());
    let default = S3Limits::default();
    let limits = S3Limits {
        retry_for: table.seconds("retry-seconds", 0.0, 86_400.0).unwrap_or(default.retry_for),
        ..default
    };
    let has_ca = table.value("ca").is_some();
    let (ca, region) = (table.text("ca").and_then(|it| certificates(&table, it)), region(&table));
    let (style, links) = (table.parse("style"), table.parse("proxy_url"));
    // Files of existing deployments have an empty text where the bucket takes no ACLs.
    let acl = table.value("acl").filter(|it| it.as_str() != Some("")).and_then(|_| table.parse("acl"));
    let user_agent = table.text("user-agent").unwrap_or_else(|| USER_AGENT.to_owned());
    // Without what is wrong already, so that the rest is looked at too.
    let stand_in = || S3Key::new("none", "none", None).ok();
    let Some(url) = url else {
        table.done();
        return None;
    };
    let settings = S3Settings {
        url,
        style,
        region,
        links,
        key: key.clone().or_else(stand_in)?,
        acl,
        ca,
        user_agent,
        scratch: scratch.to_owned(),
        limits,
    };
    let store = S3Store::new(&settings, Clock::system());
    match &store {
        Ok(_) => {}
        Err(S3SettingsError::Url(problem)) => table.problem("url", *problem),
        Err(error) => table.problem(if has_ca { "ca" } else { "user-agent" }, Chain(error).to_string()),
    }
    table.done();
    key.and(store.ok()).map(Store::S3)
}

fn url(table: &Table<'_>) -> Option<Url> {
    if table.value("url").is_none() {
        table.problem(
            "url",
            "is missing; expected the URL of a bucket, such as \"https://logs.s3.example.com\"",
        );
    }
    table.parse("url")
}

/// It is part of every signature, between slashes.
fn region(table: &Table<'_>) -> Option<String> {
    let region = table.text("region")?;
    if region.is_empty() || !region.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-') {
        table.problem("region", "expected the name of a region, such as \"us-east-1\"");
        return None;
    }
    Some(region)
}

/// A table, a text, or (without the key) a file that is named after the bucket's host.
fn key(table: &Table<'_>, url: Option<&Url>) -> Option<S3Key> {
    match table.value("key") {
        Some(value) if value.as_table().is_some() => key_of_parts(table),
        Some(_) => table.parse("key"),
        None => key_of_host(table, url?.host_str()?),
    }
}

fn key_of_parts(table: &Table<'_>) -> Option<S3Key> {
    let parts = table.table("key");
    let (access, secret, token) = (parts.text("access"), parts.text("secret"), parts.text("token"));
    for (name, part) in [("access", &access), ("secret", &secret)] {
        if part.is_none() && parts.value(name).is_none() {
            parts.problem(name, "is missing");
        }
    }
    parts.done();
    let token = token.as_deref().filter(|it| !it.is_empty());
    S3Key::new(access?.trim(), secret?.trim(), token.map(str::trim))
        .inspect_err(|it| table.problem("key", it.to_string()))
        .ok()
}

/// The first file that holds a key and is called like the host, or like a domain of it that has a dot: `logs.eu.example.com`,
/// then `eu.example.com`, then `example.com` (as the older programs look for it).
fn key_of_host(table: &Table<'_>, host: &str) -> Option<S3Key> {
    let folder = table.reader.environment.s3_key_dir.as_deref();
    let domains = || host.match_indices('.').map(|(at, _)| &host[at + 1..]).filter(|it| it.contains('.'));
    for name in std::iter::once(host).chain(domains()) {
        let Some(file) = folder.map(|it| it.join(name)) else { break };
        match std::fs::read_to_string(&file).map(|it| it.parse()) {
            Ok(Ok(key)) => return Some(key),
            Ok(Err(error)) => tracing::warn!(file = %file.display(), "is no key for a bucket: {error}"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                table.reader.problem_in(&file, None, format!("the bucket's key cannot be read: {error}"));
            }
        }
    }
    let folder = folder.map_or_else(|| "$COCKPIT_S3_KEY_DIR".into(), Path::to_string_lossy);
    let text = format!(
        "is missing, and no file in {folder} is called {host} or like a domain of it and holds a key"
    );
    table.problem("key", text);
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Reader, Source, logs};
    use crate::logs::{Destination, Folder, Own, Store};
    use tempfile::TempDir;

    fn read_in(text: &str, environment: Environment) -> Result<Destination, Vec<String>> {
        let text = format!("[logs]\ndriver = \"s3\"\n{text}");
        let reader = Reader::new(Source::from_toml(&text).unwrap(), environment);
        let destination = logs(&reader);
        match reader.finish(()) {
            Ok(()) => Ok(destination.unwrap()),
            Err(error) => Err(error.0.iter().map(|it| format!("{}: {}", it.key, it.text)).collect()),
        }
    }

    fn read(text: &str) -> Result<Destination, Vec<String>> {
        read_in(text, Environment::default())
    }

    fn page(destination: &Destination) -> String {
        assert!(matches!(destination.store, Store::S3(_)));
        destination.store.url(&Folder::from(&"o/r:x y".parse().unwrap()).own(Own::Page))
    }

    /// In the clear, so that no test depends on the machine's authorities.
    const URL: &str = "[logs.s3]\nurl = \"http://logs.example.com/ci\"\nstyle = \"virtual-host\"\n";

    #[test]
    fn a_bucket_has_a_url_and_a_key() {
        for key in [
            "key = \"ACCESS s3cret\"",
            "key = \"ACCESS s3cret t0ken\"",
            "key = { access = \"ACCESS\", secret = \"s3cret\" }\nacl = \"\"",
            "key = { access = \"ACCESS\", secret = \"s3cret\", token = \"t0ken\" }\nacl = \"public-read\"\nregion = \"any\"",
        ] {
            let found = read(&format!("{URL}{key}")).unwrap();
            assert_eq!(page(&found), "http://logs.example.com/ci/o/r-x%20y/log.html");
            let shown = format!("{found:?}");
            assert!(
                shown.contains("ACCESS") && !shown.contains("s3cret") && !shown.contains("t0ken"),
                "{shown}"
            );
        }
    }

    #[test]
    fn links_may_lead_elsewhere() {
        let text = format!("{URL}key = \"a s\"\nproxy_url = \"https://logs.example.com/pub/\"");
        assert_eq!(page(&read(&text).unwrap()), "https://logs.example.com/pub/o/r-x%20y/log.html");
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let problems = read(
            "[logs.s3]\nurl = \"http://localhost/\"\nstyle = \"pathy\"\nregion = \"a/b\"\nacl = \"a b\"\nkey = \"s3cret\"\n\
             proxy_url = \"x\"\nretry-seconds = -1\nca = \"/nowhere/ca.pem\"\nwho = 1\n",
        )
        .unwrap_err();
        let mut keys: Vec<&str> = problems.iter().map(|it| it.split_once(": ").unwrap().0).collect();
        keys.sort_unstable();
        let all = ["acl", "ca", "key", "proxy_url", "region", "retry-seconds", "style", "url", "who"];
        assert_eq!(keys, all.map(|it| format!("logs.s3.{it}")), "{problems:#?}");
        assert!(!problems.concat().contains("s3cret"));
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(
            read("").unwrap_err(),
            [
                "logs.s3.url: is missing; expected the URL of a bucket, such as \"https://logs.s3.example.com\""
            ]
        );
        let problems = read(&format!("{URL}key = {{ access = \"a\" }}")).unwrap_err();
        assert_eq!(problems, ["logs.s3.key.secret: is missing"]);
        let problems = read(URL).unwrap_err();
        assert!(
            problems[0].starts_with("logs.s3.key: is missing, and no file in $COCKPIT_S3_KEY_DIR"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_key_is_found_by_the_host_and_its_domains() {
        let folder = TempDir::new().unwrap();
        let with = || Environment { s3_key_dir: Some(folder.path().into()), ..Environment::default() };
        let url = "[logs.s3]\nurl = \"http://logs.eu.example.com\"\n";
        let key = |found: &Destination| {
            format!("{found:?}").split("key: \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        assert!(read_in(url, with()).unwrap_err()[0].contains("is called logs.eu.example.com"));
        std::fs::write(folder.path().join("com"), "TOP s").unwrap();
        assert!(read_in(url, with()).is_err(), "a domain has a dot");
        std::fs::write(folder.path().join("example.com"), "DOMAIN s\n").unwrap();
        assert_eq!(key(&read_in(url, with()).unwrap()), "DOMAIN");
        std::fs::write(folder.path().join("logs.eu.example.com"), "HOST s t").unwrap();
        assert_eq!(key(&read_in(url, with()).unwrap()), "HOST");
        std::fs::write(folder.path().join("logs.eu.example.com"), "broken").unwrap();
        assert_eq!(key(&read_in(url, with()).unwrap()), "DOMAIN", "what is no key is passed over");
        assert_eq!(key(&read_in(&format!("{url}key = \"OWN s\""), with()).unwrap()), "OWN");
    }

    #[test]
    fn the_other_drivers_table_does_not_matter() {
        read(&format!("{URL}key = \"a s\"\n[logs.local]\nwho = 1")).unwrap();
        let text = "[logs]\n[logs.s3]\nwho = 1\n";
        let reader = Reader::new(Source::from_toml(text).unwrap(), Environment::default());
        assert!(matches!(logs(&reader).unwrap().store, Store::Local(_)));
        reader.finish(()).unwrap();
    }
}
