//! What a file says, in whatever format: a tree of values, each with its line.
//!
//! A file is refused, never followed, where it is longer or nests deeper than anything that people write, or names a key
//! twice: of two entries one would be lost without a word.

mod file;
mod json;
mod lines;
mod patch;
mod path;
mod toml;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Number;

pub(super) use file::read_text;
pub(super) use path::{at, item, line};

/// Deeper than any configuration, and shallow enough for the smallest stack.
const DEEPEST: usize = 64;

/// A value and where it is.
#[derive(Clone, Debug)]
pub struct Node {
    /// The line of its key, or its own in a list; from 1. What came with the program is in line 0.
    pub line: usize,
    /// What is there.
    pub value: Value,
}

/// What formats have in common.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, which counts as a missing key.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number or a fraction.
    Number(Number),
    /// A text; a time of TOML is one too.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A table (TOML), an object (JSON), a mapping (YAML).
    Table(BTreeMap<String, Node>),
}

/// Two that say the same are equal, wherever they say it.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.toml`
    Toml,
    /// `.json`
    Json,
    /// `.yaml`, `.yml`
    Yaml,
}

/// Why a text is no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, if that is known.
    pub line: Option<usize>,
    /// The key; empty where it is not one key's fault.
    pub key: String,
    /// What is wrong.
    pub text: String,
}

impl Format {
    /// By the end of a file's name.
    #[must_use]
    pub fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// Reads a text.
    pub fn parse(self, text: &str) -> Result<Node, Fault> {
        match self {
            Self::Toml => toml::parse(text),
            Self::Json => json::parse(text),
            Self::Yaml => yaml::parse(text),
        }
    }
}

impl Node {
    /// A text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// `true` or `false`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Flag(flag) = self.value { Some(flag) } else { None }
    }

    /// A whole number that is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        if let Value::Number(number) = &self.value { number.as_u64() } else { None }
    }

    /// Any number.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        if let Value::Number(number) = &self.value { number.as_f64() } else { None }
    }

    /// A list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    /// A table.
    #[must_use]
    pub fn as_table(&self) -> Option<&BTreeMap<String, Self>> {
        if let Value::Table(table) = &self.value { Some(table) } else { None }
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }
}

impl Fault {
    fn new(line: usize, text: impl Into<String>) -> Self {
        Self { line: Some(line), key: String::new(), text: text.into() }
    }

    fn twice(line: usize, key: &str, first: usize) -> Self {
        Self::new(line, format!("is there twice, the first time in line {first}")).under(key)
    }

    fn too_deep(line: usize) -> Self {
        Self::new(line, format!("nests deeper than {DEEPEST} levels"))
    }

    /// The same, in the table of this name.
    fn under(mut self, name: &str) -> Self {
        self.key = path::under(name, &self.key);
        self
    }

    /// The same, in the list's item of this number.
    fn in_item(mut self, number: usize) -> Self {
        self.key = path::in_list(number, &self.key);
        self
    }
}

#[cfg(test)]
mod tests;
