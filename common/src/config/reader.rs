//! Reading values one by one, so that every problem is found in one go.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::tree::{self, Format, Node};
use super::{ConfigError, Environment, Place, Problem, Source, TABLES, Table};

/// Collects problems while tables are read.
#[derive(Debug)]
pub struct Reader {
    pub(super) source: Source,
    /// What the environment says.
    pub environment: Environment,
    problems: RefCell<Vec<Problem>>,
    files: RefCell<BTreeSet<PathBuf>>,
    asked: RefCell<BTreeMap<String, String>>,
}

impl Reader {
    /// For a file and an environment. Complains at once about tables that nobody knows.
    #[must_use]
    pub fn new(source: Source, environment: Environment) -> Self {
        let reader = Self {
            source,
            environment,
            problems: RefCell::default(),
            files: RefCell::default(),
            asked: RefCell::default(),
        };
        let tables = reader.source.root.as_table();
        let unknown = tables.into_iter().flat_map(BTreeMap::keys).filter(|it| !TABLES.contains(&it.as_str()));
        for table in unknown {
            let text = format!("is no known table; there are {}", TABLES.join(", "));
            reader.problem(&tree::at("", table), text);
        }
        reader
    }

    /// A table of the file; empty where the file has none.
    #[must_use]
    pub fn table(&self, name: &'static str) -> Table<'_> {
        Table::new(self, name.to_owned(), self.top(name))
    }

    fn top(&self, name: &str) -> Option<&Node> {
        self.source.root.as_table()?.get(name)
    }

    /// Notes a problem with a key, an option or a variable.
    pub fn problem(&self, key: &str, text: impl Into<String>) {
        let line = tree::line(&self.source.root, key);
        let file = line.and_then(|_| self.source.file.clone());
        self.note(Problem { file, line, key: key.to_owned(), text: text.into() });
    }

    /// Notes a problem with another file.
    pub fn problem_in(&self, file: &Path, line: Option<usize>, text: impl Into<String>) {
        self.note(Problem { file: Some(file.to_owned()), line, key: String::new(), text: text.into() });
    }

    pub(super) fn note(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// What a key was asked for as; the first who says so is right.
    pub(super) fn note_asked(&self, key: String, expected: &str) {
        let mut asked = self.asked.borrow_mut();
        let known = asked.entry(key).or_default();
        if known.is_empty() {
            expected.clone_into(known);
        }
    }

    /// The keys that have been asked for, and what was expected of each; nothing where several things are understood.
    #[must_use]
    pub fn asked(&self) -> BTreeMap<String, String> {
        self.asked.borrow().clone()
    }

    /// A path as the configuration writes it: `~/` is the home folder, what is relative is relative to the file.
    #[must_use]
    pub fn path(&self, text: &str) -> PathBuf {
        if let (Some(rest), Some(home)) = (text.strip_prefix("~/"), &self.environment.home) {
            return home.join(rest);
        }
        self.source.file.as_deref().and_then(Path::parent).map_or_else(|| text.into(), |it| it.join(text))
    }

    /// The text of a file that the configuration names.
    #[must_use]
    pub fn text_of(&self, file: &Path) -> Option<String> {
        self.files.borrow_mut().insert(file.to_owned());
        let problem = |it| self.note(Problem::of_fault(Some(file.to_owned()), it));
        tree::read_text(file).map_err(problem).ok()
    }

    /// The tree in a file that the configuration names, and its place. The end of the file's name says how it is written.
    #[must_use]
    pub fn tree_of(&self, file: &Path, otherwise: Format) -> Option<(Node, Place<'_>)> {
        let text = self.text_of(file)?;
        let format = Format::of(file).unwrap_or(otherwise);
        // One that somebody is about to write, or has lost, says something else than a tree with nothing in it.
        if text.trim().is_empty() {
            self.problem_in(file, Some(1), "is empty");
            return None;
        }
        let problem = |it| self.note(Problem::of_fault(Some(file.to_owned()), it));
        let root = format.parse(&text).map_err(problem).ok()?;
        Some((root, Place::new(self, Some(file.to_owned()), String::new())))
    }

    /// The files whose text or tree was asked for, whether they could be read or not.
    #[must_use]
    pub fn files(&self) -> BTreeSet<PathBuf> {
        self.files.borrow().clone()
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
    fn a_file_patches_what_comes_with_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.json");
        std::fs::write(&file, "{\n\"logs\": {\n\"link\": null,\n\"who\": 1}}").unwrap();
        let defaults = "[logs]\ndir = \"d\"\nlink = \"l\"\n[forge]\nspeed = 9\n";
        let reader = Reader::new(Source::over(defaults, Some(&file)).unwrap(), Environment::default());
        let table = reader.table("logs");
        assert_eq!((table.text("dir").as_deref(), table.text("link")), (Some("d"), None));
        table.problem("dir", "is wrong");
        table.done();
        reader.table("forge").done();
        let found: Vec<_> = problems(reader);
        let lines: Vec<_> = found.iter().map(|it| it.0).collect();
        assert_eq!(lines, [Some(2), Some(4), None], "a default has no line of its own: {found:?}");
        assert!(found[2].1.starts_with("forge.speed: is no known key"), "{found:?}");
        let plain = Source::over(defaults, None).unwrap();
        assert_eq!(
            Reader::new(plain, Environment::default()).table("logs").text("link").as_deref(),
            Some("l")
        );
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
