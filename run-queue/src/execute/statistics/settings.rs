//! `[statistics]`: what keeps the results of merged pulls.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use common::config::{Environment, Reader, Summary, Table};
use common::task::Statistics;

/// The programs that keep the results database, and where it is. What they are told is in the wire facts, section 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsSettings {
    /// Words that start what stores the results of a commit.
    pub store: Vec<String>,
    /// Words that start what makes metrics of them, and prunes them.
    pub publish: Vec<String>,
    /// The database.
    pub db: PathBuf,
    /// The bucket that the metrics go to, besides the worker's log.
    pub s3: Option<String>,
    /// In bytes. A database that is larger is pruned.
    pub prune_over: u64,
    /// How many days of it are kept then.
    pub prune_days: u64,
}

const STORE: &str = "store-tests";
const PUBLISH: &str = "prometheus-stats";
/// As in existing deployments.
const PRUNE_OVER_MEGABYTES: u64 = 25;
const MEGABYTE: u64 = 1_000_000;
/// The metrics look back a week; the rest is for people.
const PRUNE_DAYS: u64 = 28;

impl StatisticsSettings {
    /// What was understood of `[statistics]`.
    pub fn summarize(&self, summary: &mut Summary) {
        summary.table("statistics");
        summary.line("store", self.store.join(" "));
        summary.line("publish", self.publish.join(" "));
        summary.line("db", self.db.display());
        summary.line("s3", self.s3.as_deref().unwrap_or("-"));
        summary.line("prune-over-megabytes", self.prune_over / MEGABYTE);
        summary.line("prune-days", self.prune_days);
    }

    /// Reads `[statistics]`.
    #[must_use]
    pub fn read(reader: &Reader) -> Self {
        let table = reader.table("statistics");
        let megabytes = table.number("prune-over-megabytes", 1, 1_000_000).unwrap_or(PRUNE_OVER_MEGABYTES);
        let settings = Self {
            store: words(&table, "store", STORE),
            publish: words(&table, "publish", PUBLISH),
            db: table.path("db").unwrap_or_else(|| default_db(&reader.environment)),
            s3: s3(&table),
            prune_over: megabytes * MEGABYTE,
            prune_days: table.number("prune-days", 1, 36_500).unwrap_or(PRUNE_DAYS),
        };
        table.done();
        settings
    }

    pub(super) fn store(&self, task: &Statistics) -> Vec<OsString> {
        let commit = ["--repo", task.repo.as_str(), task.sha.as_str()];
        self.with_db(&self.store, commit)
    }

    pub(super) fn prune(&self) -> Vec<OsString> {
        self.with_db(&self.publish, ["--prune", &self.prune_days.to_string()])
    }

    pub(super) fn publish(&self) -> Vec<OsString> {
        self.with_db(&self.publish, self.s3.iter().flat_map(|url| ["--s3", url]))
    }

    fn with_db<'a>(&self, program: &[String], options: impl IntoIterator<Item = &'a str>) -> Vec<OsString> {
        let mut words: Vec<OsString> = program.iter().map(OsString::from).collect();
        words.extend(["--db".into(), self.db.clone().into_os_string()]);
        words.extend(options.into_iter().map(OsString::from));
        words
    }
}

fn words(table: &Table<'_>, name: &str, default: &str) -> Vec<String> {
    let words = table.words(name).unwrap_or_else(|| vec![default.to_owned()]);
    if words.first().is_none_or(String::is_empty) || words.iter().any(|it| it.contains('\0')) {
        table.problem(name, format!("expected a program and its first arguments, such as [\"{default}\"]"));
    }
    words
}

fn s3(table: &Table<'_>) -> Option<String> {
    let url = table.text("s3")?;
    if !(url.starts_with("https://") || url.starts_with("http://")) || url.contains('\0') {
        table.problem("s3", "expected the address of a bucket, such as \"https://s3.example/metrics\"");
    }
    Some(url)
}

fn default_db(environment: &Environment) -> PathBuf {
    let file = Path::new("test-results.db");
    environment.state_home.as_ref().map_or_else(|| file.to_owned(), |it| it.join("flotilla").join(file))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use common::config::Source;

    use super::*;

    /// What a file with this text says.
    pub(in super::super::super) fn source(text: &str) -> Source {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flotilla.toml");
        std::fs::write(&file, text).unwrap();
        Source::load(Some(&file)).unwrap()
    }

    fn read(text: &str) -> Result<StatisticsSettings, Vec<String>> {
        let environment = Environment { state_home: Some("/state".into()), ..Environment::default() };
        let reader = Reader::new(source(text), environment);
        let settings = StatisticsSettings::read(&reader);
        reader
            .finish(settings)
            .map_err(|it| it.0.iter().map(|it| format!("{}: {}", it.key, it.text)).collect())
    }

    #[test]
    fn everything_has_a_default() {
        let expected = StatisticsSettings {
            store: vec!["store-tests".to_owned()],
            publish: vec!["prometheus-stats".to_owned()],
            db: "/state/flotilla/test-results.db".into(),
            s3: None,
            prune_over: 25_000_000,
            prune_days: 28,
        };
        assert_eq!(read(""), Ok(expected));
    }

    #[test]
    fn everything_can_be_told() {
        let told = "[statistics]\nstore = [\"./store-tests\"]\npublish = [\"nice\", \"prometheus-stats\"]\n\
                    db = \"/data/results.db\"\ns3 = \"https://s3.example/m\"\nprune-over-megabytes = 1\nprune-days = 7\n";
        let expected = StatisticsSettings {
            store: vec!["./store-tests".to_owned()],
            publish: vec!["nice".to_owned(), "prometheus-stats".to_owned()],
            db: "/data/results.db".into(),
            s3: Some("https://s3.example/m".to_owned()),
            prune_over: 1_000_000,
            prune_days: 7,
        };
        assert_eq!(read(told), Ok(expected));
    }

    #[test]
    fn every_problem_is_told() {
        let problems = read(
            "[statistics]\nstore = []\npublish = \"prometheus-stats\"\ns3 = \"--prune\"\nprune-days = 0\nprun = 1\n",
        )
        .unwrap_err();
        let keys: BTreeSet<_> = problems.iter().filter_map(|it| it.split_once(": ")).map(|it| it.0).collect();
        let expected = ["prun", "prune-days", "publish", "s3", "store"].map(|it| format!("statistics.{it}"));
        assert!(keys.into_iter().eq(&expected), "{problems:?}");
    }
}
