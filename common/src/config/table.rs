//! One table of a configuration file.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::tree::{self, Node, Value};
use super::{Place, Reader};

/// One table. Each key is asked for once; [`Table::done`] complains about those that nobody asked for.
#[derive(Debug)]
pub struct Table<'r> {
    /// The reader, for problems and paths.
    pub reader: &'r Reader,
    path: String,
    values: Option<&'r BTreeMap<String, Node>>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'r> Table<'r> {
    pub(super) fn new(reader: &'r Reader, path: String, node: Option<&'r Node>) -> Self {
        let values = match node.map(|it| &it.value) {
            None | Some(Value::Null) => None,
            Some(Value::Table(table)) => Some(table),
            Some(_) => {
                reader.problem(&path, "expected a table");
                None
            }
        };
        Self { reader, path, values, asked: RefCell::default() }
    }

    /// The full name of a key.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        tree::at(&self.path, name)
    }

    /// Where the value of a key is, for problems with what is in it.
    #[must_use]
    pub fn place(&self, name: &str) -> Place<'r> {
        Place::new(self.reader, self.reader.source.file.clone(), self.key(name))
    }

    /// Notes a problem with a key.
    pub fn problem(&self, name: &str, text: impl Into<String>) {
        self.reader.problem(&self.key(name), text);
    }

    /// The raw value; none where the key is missing or null.
    pub fn value(&self, name: &str) -> Option<&'r Node> {
        self.ask(name, "")
    }

    fn ask(&self, name: &str, expected: &str) -> Option<&'r Node> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.reader.note_asked(self.key(name), expected);
        self.values?.get(name).filter(|it| !it.is_null())
    }

    /// The names of all keys.
    pub fn names(&self) -> impl Iterator<Item = &'r String> + use<'r> {
        self.values.into_iter().flat_map(BTreeMap::keys)
    }

    /// A key that older programs had and that means nothing to ours: no problem, but worth a word.
    pub fn retired(&self, name: &str) {
        self.asked.borrow_mut().insert(name.to_owned());
        if self.values.is_some_and(|it| it.contains_key(name)) {
            tracing::warn!("{} is a key of older programs and means nothing here", self.key(name));
        }
    }

    /// A table below this one.
    #[must_use]
    pub fn table(&self, name: &str) -> Self {
        Self::new(self.reader, self.key(name), self.ask(name, "a table"))
    }

    fn get<T>(&self, name: &str, expected: &str, read: impl FnOnce(&'r Node) -> Option<T>) -> Option<T> {
        let read = read(self.ask(name, expected)?);
        if read.is_none() {
            self.problem(name, format!("expected {expected}"));
        }
        read
    }

    /// A text. `[{file="NAME"}]` stands for the text of that file, white space at both ends removed.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let included = self.file_of(name).is_some();
        let text = self.verbatim(name)?;
        Some(if included { text.trim().to_owned() } else { text })
    }

    /// The same with every byte of the file: a key without its last newline may be no key.
    #[must_use]
    pub fn verbatim(&self, name: &str) -> Option<String> {
        match &self.ask(name, "a text")?.value {
            Value::Text(text) => Some(text.clone()),
            Value::List(items) => self.included(name, items),
            _ => {
                self.problem(name, "expected a text, or [{file=\"NAME\"}]");
                None
            }
        }
    }

    fn included(&self, name: &str, items: &[Node]) -> Option<String> {
        let Some(file) = self.included_file(items) else {
            self.problem(name, "expected a text, or [{file=\"NAME\"}]");
            return None;
        };
        match std::fs::read_to_string(&file) {
            Ok(text) => Some(text),
            Err(error) => {
                self.problem(name, format!("{} cannot be read: {error}", file.display()));
                None
            }
        }
    }

    fn included_file(&self, items: &[Node]) -> Option<PathBuf> {
        let [only] = items else { return None };
        let file = only.as_table().filter(|it| it.len() == 1)?.get("file")?.as_str()?;
        Some(self.reader.path(file))
    }

    /// The file whose text a text is, where it is written as `[{file="NAME"}]`.
    #[must_use]
    pub fn file_of(&self, name: &str) -> Option<PathBuf> {
        self.included_file(self.values?.get(name)?.as_list()?)
    }

    /// A text in some grammar.
    #[must_use]
    pub fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Option<T> {
        match self.text(name)?.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.problem(name, error.to_string());
                None
            }
        }
    }

    /// `ADDRESS:PORT` to listen on.
    #[must_use]
    pub fn listen(&self, name: &str) -> Option<SocketAddr> {
        self.get(name, "an address to listen on, such as \"127.0.0.1:8080\"", |it| it.as_str()?.parse().ok())
    }

    /// `true` or `false`.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name, "true or false", Node::as_bool)
    }

    /// A whole number within bounds, both included.
    #[must_use]
    pub fn number(&self, name: &str, least: u64, most: u64) -> Option<u64> {
        let expected = format!("a whole number from {least} to {most}");
        self.get(name, &expected, |it| it.as_u64().filter(|it| (least..=most).contains(it)))
    }

    /// A duration in seconds, with fractions, within bounds.
    #[must_use]
    pub fn seconds(&self, name: &str, least: f64, most: f64) -> Option<Duration> {
        let expected = format!("seconds from {least} to {most}");
        self.get(name, &expected, |it| Duration::try_from_secs_f64(within(it, least, most)?).ok())
    }

    /// A number, with a fraction or without, within bounds.
    #[must_use]
    pub fn decimal(&self, name: &str, least: f64, most: f64) -> Option<f64> {
        self.get(name, &format!("a number from {least} to {most}"), |it| within(it, least, most))
    }

    /// A list of texts.
    #[must_use]
    pub fn words(&self, name: &str) -> Option<Vec<String>> {
        self.get(name, "a list of texts", |it| {
            it.as_list()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
        })
    }

    /// A path.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.ask(name, "a path")?;
        if self.file_of(name).is_some() {
            return self.text(name).map(|it| self.reader.path(&it));
        }
        self.get(name, "a path", Node::as_str).map(|it| self.reader.path(it))
    }

    /// Complains about the keys that nobody asked for.
    pub fn done(self) {
        let asked = self.asked.into_inner();
        for name in self.values.into_iter().flat_map(BTreeMap::keys).filter(|it| !asked.contains(*it)) {
            let known: Vec<_> = asked.iter().map(String::as_str).collect();
            let text = format!("is no known key; there are {}", known.join(", "));
            self.reader.problem(&tree::at(&self.path, name), text);
        }
    }
}

fn within(node: &Node, least: f64, most: f64) -> Option<f64> {
    node.as_f64().filter(|it| (least..=most).contains(it))
}
