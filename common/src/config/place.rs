//! Where a value is that is looked into by hand.

use std::path::PathBuf;

use super::{Problem, Reader, tree};

/// A place in a file's tree, so that problems can be told with file, line and key.
#[derive(Clone, Debug)]
pub struct Place<'r> {
    reader: &'r Reader,
    file: Option<PathBuf>,
    key: String,
}

impl<'r> Place<'r> {
    pub(super) fn new(reader: &'r Reader, file: Option<PathBuf>, key: String) -> Self {
        Self { reader, file, key }
    }

    /// The entry of this name.
    #[must_use]
    pub fn at(&self, name: &str) -> Self {
        Self { key: tree::at(&self.key, name), ..self.clone() }
    }

    /// The item of this number, from 0.
    #[must_use]
    pub fn item(&self, number: usize) -> Self {
        Self { key: tree::item(&self.key, number), ..self.clone() }
    }

    /// Notes a problem.
    pub fn problem(&self, line: usize, text: impl Into<String>) {
        let (file, key) = (self.file.clone(), self.key.clone());
        self.reader.note(Problem { file, line: Some(line), key, text: text.into() });
    }
}
