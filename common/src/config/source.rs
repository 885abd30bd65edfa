//! The configuration file as it was written.

use std::path::{Path, PathBuf};

use super::tree::{Fault, Format, Node, Value, read_text};
use super::{ConfigError, Problem};

const DEFAULT_FILE: &str = "/etc/flotilla.toml";

/// A configuration file as it was written.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) file: Option<PathBuf>,
    pub(super) root: Node,
}

impl Default for Source {
    /// No file.
    fn default() -> Self {
        Self { file: None, root: Node { line: 1, value: Value::Table(std::collections::BTreeMap::new()) } }
    }
}

impl Source {
    /// Reads the file that was asked for, else the default one where it exists, else nothing: there are defaults for all.
    pub fn load(asked: Option<&Path>) -> Result<Self, ConfigError> {
        match Self::file(asked) {
            Some(file) => {
                Self::read(&file).map_err(|it| ConfigError(vec![Problem::of_fault(Some(file), it)]))
            }
            None => Ok(Self::default()),
        }
    }

    /// Reads a file, where there is one, as a patch (RFC 7396) of defaults that come with the program, in TOML: a null of the file
    /// removes a default.
    pub fn over(defaults: &str, file: Option<&Path>) -> Result<Self, ConfigError> {
        let refused = |file: Option<&Path>| {
            let file = file.map(Path::to_owned);
            move |it| ConfigError(vec![Problem::of_fault(file, it)])
        };
        let defaults = Self::parse(defaults, Format::Toml).map_err(refused(None))?.root.built_in();
        let own = file.map(Self::read).transpose().map_err(refused(file))?.unwrap_or_default();
        Ok(Self { file: own.file, root: defaults.patched(own.root) })
    }

    /// The file that [`Source::load`] would read.
    #[must_use]
    pub fn file(asked: Option<&Path>) -> Option<PathBuf> {
        let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|it| it.exists());
        asked.map(Path::to_owned).or_else(default)
    }

    /// The tables, beside one, in which another reading of the file differs.
    #[must_use]
    pub fn tables_that_differ(&self, other: &Self, beside: &str) -> Vec<String> {
        let (Some(ours), Some(theirs)) = (self.root.as_table(), other.root.as_table()) else {
            return Vec::new();
        };
        let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let differ = names.into_iter().filter(|it| *it != beside && ours.get(*it) != theirs.get(*it));
        differ.cloned().collect()
    }

    fn read(file: &Path) -> Result<Self, Fault> {
        let text = read_text(file)?;
        let source = Self::parse(&text, Format::of(file).unwrap_or(Format::Toml))?;
        Ok(Self { file: Some(file.to_owned()), ..source })
    }

    /// A text without a file.
    pub(super) fn parse(text: &str, format: Format) -> Result<Self, Fault> {
        let root = format.parse(text)?;
        match root.value {
            Value::Table(_) => Ok(Self { file: None, root }),
            // A YAML file may hold comments alone.
            Value::Null => Ok(Self::default()),
            _ => {
                let text = "expected tables, such as `broker`".to_owned();
                Err(Fault { line: Some(root.line), key: String::new(), text })
            }
        }
    }

    /// A text in TOML, without a file.
    #[cfg(test)]
    pub(super) fn from_toml(text: &str) -> Result<Self, Fault> {
        Self::parse(text, Format::Toml)
    }
}
