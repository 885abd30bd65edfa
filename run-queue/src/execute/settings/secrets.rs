//! `[secrets]`: what jobs may be given.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use common::config::{Forges, Reader, Summary, Table, count, listed};
use common::id::SecretName;
use secrecy::SecretString;

use super::ContainerSettings;
use super::allow::{Authors, RepoRule, SecretRule, rules};

/// What jobs may be given.
#[derive(Clone, Debug, Default)]
pub struct SecretSettings {
    /// Secrets that are files or folders already.
    pub external: BTreeMap<SecretName, PathBuf>,
    /// Secrets that become files for a run.
    pub inline: BTreeMap<SecretName, InlineSecret>,
    /// Whose jobs get what they name; a secret without a rule is for every job that names it.
    pub allow: BTreeMap<SecretName, SecretRule>,
    /// Where the files of inline secrets may be, the best first.
    pub places: Vec<PathBuf>,
}

/// A secret of the configuration file.
#[derive(Clone)]
pub enum InlineSecret {
    /// A file.
    Text(SecretString),
    /// A folder of them.
    Folder(BTreeMap<String, InlineSecret>),
}

impl fmt::Debug for InlineSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InlineSecret(…)")
    }
}

impl SecretSettings {
    /// The names that `[secrets]` has.
    pub fn summarize(&self, summary: &mut Summary) {
        summary.table("secrets");
        summary.line("external", listed(self.external.keys()));
        summary.line("inline", listed(self.inline.keys()));
        summary.line("dir", listed(self.places.iter().map(|it| it.display())));
        summary.line("allow", count(self.allow.len(), "rule", "rules"));
        self.allow.iter().for_each(|(name, rule)| summary.part(name.as_str(), rule));
    }

    /// Reads `[secrets]`.
    #[must_use]
    pub fn read(reader: &Reader) -> Self {
        let table = reader.table("secrets");
        let (external, inline) = (table.table("external"), table.table("inline"));
        let mut settings = Self { external: paths(&external), ..Self::default() };
        // What was `secrets.external` before there were inline ones.
        for (secret, path) in paths(&reader.table("paths")) {
            settings.external.entry(secret).or_insert(path);
        }
        for name in inline.names() {
            let Some(secret) = secret_name(&inline, name) else { continue };
            if settings.external.contains_key(&secret) {
                inline.problem(name, "is in secrets.external as well; one of them must go");
            }
            if let Some(value) = inline_secret(&inline, name) {
                settings.inline.insert(secret, value);
            }
        }
        settings.allow = rules(&table.table("allow"));
        settings.places = places(reader, &table);
        table.done();
        settings
    }

    /// Complains about rules for what is not there: a slip in a name would give a secret to everybody.
    pub fn check(&self, reader: &Reader, container: &ContainerSettings, forges: Option<&Forges>) {
        for (name, rule) in &self.allow {
            let known = container.secrets.contains_key(name)
                || self.external.contains_key(name)
                || self.inline.contains_key(name);
            if !known {
                let places = "container.secrets, secrets.external and secrets.inline";
                let text = format!("is a rule for a secret that is not there: it is in none of {places}");
                reader.problem(&format!("secrets.allow.{name}"), text);
            }
            for forge in rule.repos.iter().filter_map(RepoRule::forge) {
                if forges.is_some_and(|it| it.get(Some(forge)).is_none()) {
                    let text = format!("`{forge}` is no forge of this configuration");
                    reader.problem(&format!("secrets.allow.{name}.repos"), text);
                }
            }
        }
    }

    /// The rules that ask for the allow list.
    pub fn asking_for_authors(&self) -> impl Iterator<Item = &SecretName> {
        self.allow.iter().filter(|(_, rule)| rule.authors == Authors::Listed).map(|(name, _)| name)
    }
}

fn paths(table: &Table<'_>) -> BTreeMap<SecretName, PathBuf> {
    table.names().filter_map(|name| Some((secret_name(table, name)?, table.path(name)?))).collect()
}

/// In memory on every Linux, one after the other: a person's own, the system's, everybody's.
fn places(reader: &Reader, table: &Table<'_>) -> Vec<PathBuf> {
    let usual =
        || reader.environment.runtime_dir.clone().into_iter().chain(["/run", "/dev/shm"].map(PathBuf::from));
    table.path("dir").map_or_else(|| usual().collect(), |it| vec![it])
}

pub(super) fn secret_name(table: &Table<'_>, name: &str) -> Option<SecretName> {
    SecretName::new(name).inspect_err(|it| table.problem(name, it.to_string())).ok()
}

fn inline_secret(table: &Table<'_>, name: &str) -> Option<InlineSecret> {
    if table.value(name)?.as_table().is_some() {
        return inline_folder(&table.table(name));
    }
    table.verbatim(name).map(|it| InlineSecret::Text(it.into()))
}

fn inline_folder(folder: &Table<'_>) -> Option<InlineSecret> {
    let mut inside = BTreeMap::new();
    for file in folder.names() {
        if SecretName::new(file.trim_start_matches('.')).is_err() {
            folder.problem(file, "expected a file name of letters, digits, `-`, `_` and `.`");
            return None;
        }
        inside.insert(file.clone(), inline_secret(folder, file)?);
    }
    Some(InlineSecret::Folder(inside))
}

#[cfg(test)]
mod tests {
    use common::config::{Environment, Source};
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn secrets_of_old_files_are_found_and_kept_to_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "-----\nkey\n-----\n").unwrap();
        let file = folder.path().join("job-runner.toml");
        let text = "[paths]\ntoken = '~/token'\nboth = '/old'\n[secrets.external]\nboth = '/new'\n\
                    [secrets.inline]\nkey = [{file='key'}]\n";
        std::fs::write(&file, text).unwrap();
        let environment = Environment { home: Some("/h".into()), ..Environment::default() };
        let reader = Reader::new(Source::load(Some(&file)).unwrap(), environment);
        let settings = SecretSettings::read(&reader);
        let path = |name: &str| settings.external[&SecretName::new(name).unwrap()].clone();
        assert_eq!((path("token"), path("both")), ("/h/token".into(), "/new".into()));
        match &settings.inline[&SecretName::new("key").unwrap()] {
            InlineSecret::Text(text) => assert_eq!(text.expose_secret(), "-----\nkey\n-----\n"),
            InlineSecret::Folder(_) => panic!("a text"),
        }
        reader.finish(()).unwrap();
    }

    #[test]
    fn a_secret_in_both_sections_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("job-runner.toml");
        std::fs::write(&file, "[secrets.external]\na = '/a'\n[secrets.inline]\na = 'x'\n").unwrap();
        let reader = Reader::new(Source::load(Some(&file)).unwrap(), Environment::default());
        let _ = SecretSettings::read(&reader);
        let error = reader.finish(()).unwrap_err().to_string();
        assert!(error.contains("secrets.inline.a: is in secrets.external as well"), "{error}");
    }
}
