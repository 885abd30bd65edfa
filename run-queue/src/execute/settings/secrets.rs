//! `[secrets]`: what jobs may be given.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use common::config::{Reader, Summary, Table, listed};
use common::id::SecretName;
use secrecy::SecretString;

/// What jobs may be given.
#[derive(Clone, Debug, Default)]
pub struct SecretSettings {
    /// Secrets that are files or folders already.
    pub external: BTreeMap<SecretName, PathBuf>,
    /// Secrets that become files for a run.
    pub inline: BTreeMap<SecretName, InlineSecret>,
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
    }

    /// Reads `[secrets]`.
    #[must_use]
    pub fn read(reader: &Reader) -> Self {
        let table = reader.table("secrets");
        let (external, inline) = (table.table("external"), table.table("inline"));
        let mut settings = Self::default();
        for name in external.names() {
            if let (Some(secret), Some(path)) = (secret_name(&external, name), external.path(name)) {
                settings.external.insert(secret, path);
            }
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
        table.done();
        settings
    }
}

fn secret_name(table: &Table<'_>, name: &str) -> Option<SecretName> {
    SecretName::new(name).inspect_err(|it| table.problem(name, it.to_string())).ok()
}

fn inline_secret(table: &Table<'_>, name: &str) -> Option<InlineSecret> {
    if table.value(name)?.as_table().is_some() {
        return inline_folder(&table.table(name));
    }
    table.text(name).map(|it| InlineSecret::Text(it.into()))
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
