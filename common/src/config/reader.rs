//! Reading values one by one, so that every problem is found in one go.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{ConfigError, Environment, Problem, Source, TABLES};

/// Collects problems while tables are read.
#[derive(Debug)]
pub struct Reader {
    source: Source,
    /// What the environment says.
    pub environment: Environment,
    problems: RefCell<Vec<Problem>>,
}

impl Reader {
    /// For a file and an environment. Complains at once about tables that nobody knows.
    #[must_use]
    pub fn new(source: Source, environment: Environment) -> Self {
        let reader = Self { source, environment, problems: RefCell::default() };
        let unknown = reader.source.values.keys().filter(|it| !TABLES.contains(&it.as_str()));
        for table in unknown {
            reader.problem(table, format!("is no known table; there are {}", TABLES.join(", ")));
        }
        reader
    }

    /// A table of the file; empty where the file has none.
    #[must_use]
    pub fn table(&self, name: &'static str) -> Table<'_> {
        Table::new(self, name.to_owned(), self.source.values.get(name))
    }

    /// Notes a problem with a key, an option or a variable.
    pub fn problem(&self, key: &str, text: impl Into<String>) {
        let line = self.source.lines.get(key).copied();
        let known =
            line.is_some() || self.source.values.contains_key(key.split('.').next().unwrap_or_default());
        let file = if known { self.source.file.clone() } else { None };
        self.problems.borrow_mut().push(Problem { file, line, key: key.to_owned(), text: text.into() });
    }

    /// Notes a problem with another file.
    pub fn problem_in(&self, file: &Path, line: Option<usize>, text: impl Into<String>) {
        let file = Some(file.to_owned());
        self.problems.borrow_mut().push(Problem { file, line, key: String::new(), text: text.into() });
    }

    /// A path as the configuration writes it: `~/` is the home folder, what is relative is relative to the file.
    #[must_use]
    pub fn path(&self, text: &str) -> PathBuf {
        if let (Some(rest), Some(home)) = (text.strip_prefix("~/"), &self.environment.home) {
            return home.join(rest);
        }
        self.source.file.as_deref().and_then(Path::parent).map_or_else(|| text.into(), |it| it.join(text))
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn into_problems(self) -> ConfigError {
        ConfigError(self.problems.into_inner())
    }

    /// What was read, or everything that is wrong.
    pub fn finish<T>(self, read: T) -> Result<T, ConfigError> {
        let problems = self.problems.into_inner();
        if problems.is_empty() { Ok(read) } else { Err(ConfigError(problems)) }
    }
}

/// One table. Each key is asked for once; [`Table::done`] complains about those that nobody asked for.
#[derive(Debug)]
pub struct Table<'r> {
    /// The reader, for problems and paths.
    pub reader: &'r Reader,
    path: String,
    values: Option<&'r Map<String, Value>>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'r> Table<'r> {
    fn new(reader: &'r Reader, path: String, value: Option<&'r Value>) -> Self {
        let values = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map),
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
        format!("{}.{name}", self.path)
    }

    /// Notes a problem with a key.
    pub fn problem(&self, name: &str, text: impl Into<String>) {
        self.reader.problem(&self.key(name), text);
    }

    /// The raw value; none where the key is missing or null.
    pub fn value(&self, name: &str) -> Option<&'r Value> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.values?.get(name).filter(|it| !it.is_null())
    }

    /// The names of all keys.
    pub fn names(&self) -> impl Iterator<Item = &'r String> + use<'r> {
        self.values.into_iter().flat_map(Map::keys)
    }

    /// A table below this one.
    #[must_use]
    pub fn table(&self, name: &str) -> Self {
        Self::new(self.reader, self.key(name), self.value(name))
    }

    fn get<T>(&self, name: &str, expected: &str, read: impl FnOnce(&'r Value) -> Option<T>) -> Option<T> {
        let read = read(self.value(name)?);
        if read.is_none() {
            self.problem(name, format!("expected {expected}"));
        }
        read
    }

    /// A text. `[{file="NAME"}]` stands for the text of that file, white space at both ends removed.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Array(items) => self.included(name, items),
            _ => {
                self.problem(name, "expected a text, or [{file=\"NAME\"}]");
                None
            }
        }
    }

    fn included(&self, name: &str, items: &[Value]) -> Option<String> {
        let file = match items {
            [Value::Object(only)] if only.len() == 1 => only.get("file").and_then(Value::as_str),
            _ => None,
        };
        let Some(file) = file else {
            self.problem(name, "expected a text, or [{file=\"NAME\"}]");
            return None;
        };
        let file = self.reader.path(file);
        match std::fs::read_to_string(&file) {
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) => {
                self.problem(name, format!("{} cannot be read: {error}", file.display()));
                None
            }
        }
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
        self.get(name, "true or false", Value::as_bool)
    }

    /// A whole number within bounds, both included.
    #[must_use]
    pub fn number(&self, name: &str, least: u64, most: u64) -> Option<u64> {
        let expected = format!("a whole number from {least} to {most}");
        self.get(name, &expected, |it| it.as_u64().filter(|it| (least..=most).contains(it)))
    }

    /// A number, with fractions, within bounds, both included.
    #[must_use]
    pub fn decimal(&self, name: &str, least: f64, most: f64) -> Option<f64> {
        let expected = format!("a number from {least} to {most}");
        self.get(name, &expected, |it| it.as_f64().filter(|it| (least..=most).contains(it)))
    }

    /// A duration in seconds, with fractions, within bounds.
    #[must_use]
    pub fn seconds(&self, name: &str, least: f64, most: f64) -> Option<Duration> {
        let expected = format!("seconds from {least} to {most}");
        self.get(name, &expected, |it| {
            let number = it.as_f64().filter(|it| (least..=most).contains(it))?;
            Duration::try_from_secs_f64(number).ok()
        })
    }

    /// A list of texts.
    #[must_use]
    pub fn words(&self, name: &str) -> Option<Vec<String>> {
        self.get(name, "a list of texts", |it| {
            it.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
        })
    }

    /// A path.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name, "a path", Value::as_str).map(|it| self.reader.path(it))
    }

    /// Complains about the keys that nobody asked for.
    pub fn done(self) {
        let asked = self.asked.into_inner();
        for name in self.values.into_iter().flat_map(Map::keys).filter(|it| !asked.contains(*it)) {
            let known: Vec<_> = asked.iter().map(String::as_str).collect();
            let text = format!("is no known key; there are {}", known.join(", "));
            self.reader.problem(&format!("{}.{name}", self.path), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(text: &str) -> Reader {
        Reader::new(Source::from_toml(text).unwrap(), Environment::default())
    }

    fn problems(reader: Reader) -> Vec<(Option<usize>, String)> {
        let error = reader.finish(()).unwrap_err();
        error.0.into_iter().map(|it| (it.line, it.to_string())).collect()
    }

    #[test]
    fn every_problem_is_reported_with_its_line_and_what_was_expected() {
        let reader = reader("[webhok]\n[webhook]\nlisten = 5\n\nlimit = 99\nwho = true\n");
        let table = reader.table("webhook");
        assert_eq!(table.listen("listen"), None);
        assert_eq!(table.number("limit", 1, 10), None);
        table.done();
        let problems = problems(reader);
        let lines: Vec<_> = problems.iter().map(|it| it.0).collect();
        assert_eq!(lines, [Some(1), Some(3), Some(5), Some(6)]);
        assert!(problems[1].1.contains("webhook.listen: expected an address"));
        assert!(problems[2].1.contains("webhook.limit: expected a whole number from 1 to 10"));
        assert!(problems[3].1.contains("webhook.who: is no known key; there are limit, listen"));
    }

    #[test]
    fn a_text_can_be_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), " t0ken\n").unwrap();
        let file = folder.path().join("c.toml");
        std::fs::write(
            &file,
            "[forge]\na = [{file=\"token\"}]\nb = [{file=\"none\"}]\nc = [{fil=\"x\"}]\nd = 1",
        )
        .unwrap();
        let reader = Reader::new(Source::load(Some(&file)).unwrap(), Environment::default());
        let table = reader.table("forge");
        assert_eq!(table.text("a").as_deref(), Some("t0ken"));
        assert_eq!((table.text("b"), table.text("c"), table.text("d")), (None, None, None));
        assert_eq!(problems(reader).len(), 3);
    }

    #[test]
    fn what_is_not_toml_or_json_is_one_problem_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("c.toml", "\n[x\n"), ("c.json", "{\n1")] {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            let error = Source::load(Some(&file)).unwrap_err();
            assert_eq!((error.0.len(), error.0[0].line), (1, Some(2)), "{error}");
        }
        assert!(Source::load(Some(&folder.path().join("none.toml"))).is_err());
    }
}
