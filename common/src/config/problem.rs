//! What is wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

use super::Fault;

/// One thing that is wrong: where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// The line in it, from 1, where it is known.
    pub line: Option<usize>,
    /// The key, such as `webhook.listen`, or the option or variable.
    pub key: String,
    /// What was expected, and what was found; never a secret's value.
    pub text: String,
}

impl Problem {
    /// What is wrong with a whole file.
    pub(super) fn of_fault(file: Option<PathBuf>, fault: Fault) -> Self {
        let Fault { line, key, text } = fault;
        Self { file, line, key, text }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        if self.key.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.key, self.text) }
    }
}

/// All that is wrong with a configuration, one problem a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the configuration has {} problem{}",
            self.0.len(),
            if self.0.len() == 1 { "" } else { "s" }
        )?;
        self.0.iter().try_for_each(|it| write!(f, "\n  {it}"))
    }
}
