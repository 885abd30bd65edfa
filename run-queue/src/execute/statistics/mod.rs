//! `{"statistics": …}`: the results of a merged pull go into the database, and from there into the metrics.

mod settings;

use std::ffi::OsString;
use std::time::Duration;

use common::config::Forges;
use common::id::ForgeName;
use common::task::Statistics;

pub use settings::StatisticsSettings;
#[cfg(test)]
pub(super) use settings::tests::source;

use super::process::{self, Ended};
use crate::handler::{Failure, Work};

/// What it is done with.
pub(super) struct Means<'a> {
    pub(super) settings: &'a StatisticsSettings,
    pub(super) forges: &'a Forges,
    /// How long each program may take.
    pub(super) limit: Option<Duration>,
}

/// Stores, prunes a database that has grown too large, publishes: the configured programs one after the other, without a shell.
/// All of it may be done twice, as what is stored already is skipped; so whatever fails is tried again from the beginning.
pub(super) async fn perform(task: &Statistics, work: &Work, means: Means<'_>) -> Result<(), Failure> {
    let Means { settings, forges, limit } = means;
    is_default(task.forge.as_ref(), forges)?;
    if let Some(folder) = settings.db.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(Failure::retry)?;
    }
    let step = async |what, words| step(what, words, limit, work).await;
    step("store", settings.store(task)).await?;
    let bytes = tokio::fs::metadata(&settings.db).await.map_or(0, |it| it.len());
    if bytes > settings.prune_over {
        tracing::info!(bytes, days = settings.prune_days, "the results database is pruned");
        step("prune", settings.prune()).await?;
    }
    step("publish", settings.publish()).await?;
    tracing::info!(repo.name = %task.repo, sha = %task.sha, "the results are stored and published");
    Ok(())
}

/// The programs ask the forge that their environment names.
fn is_default(name: Option<&ForgeName>, forges: &Forges) -> Result<(), Failure> {
    match name {
        Some(name) if name != forges.default_forge().name() => Err(Failure::Fail(format!(
            "statistics: the pull is on the forge `{name}`; only those of the default forge `{}` can be stored",
            forges.default_forge().name(),
        ))),
        _ => Ok(()),
    }
}

async fn step(what: &str, words: Vec<OsString>, limit: Option<Duration>, work: &Work) -> Result<(), Failure> {
    let name = words.first().map_or_else(String::new, |it| it.display().to_string());
    let failure = |problem: String| {
        Err(Failure::Retry(format!(
            "statistics.{what}: `{name}` {problem}; its own words are in the worker's log"
        )))
    };
    match process::run(process::program(words), limit, work).await.map(|it| it.ended) {
        Ok(Ended::Exited(status)) if status.success() => Ok(()),
        Ok(Ended::Exited(status)) => failure(format!("ended with {status}")),
        Ok(Ended::OutOfTime) => failure("has not ended in time".to_owned()),
        Err(Failure::Retry(reason)) => {
            Err(Failure::Retry(format!("statistics.{what}: `{name}` cannot be started: {reason}")))
        }
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use common::config::{Environment, Reader};
    use common::queue::Queue;
    use tempfile::TempDir;
    use tokio_util::sync::CancellationToken;

    use super::super::process::tests::work;
    use super::settings::tests::source;
    use super::*;

    fn forges() -> Forges {
        let environment =
            Environment { github_api: Some("http://127.0.0.1:1/".to_owned()), ..Environment::default() };
        let other = "[forge.other]\napi-url = \"http://127.0.0.1:1\"\nclone-url = \"http://127.0.0.1:1\"\n";
        Forges::read(&Reader::new(source(other), environment)).unwrap()
    }

    /// Programs that write down what they were told, in a folder of their own.
    struct Programs(TempDir);

    impl Programs {
        fn new(store: &str) -> Self {
            let programs = Self(tempfile::tempdir().unwrap());
            for (name, rest) in [("store", store), ("publish", "")] {
                let file = programs.0.path().join(name);
                let script =
                    format!("#!/bin/sh\necho \"{name} $*\" >> {}\n{rest}\n", programs.told().display());
                std::fs::write(&file, script).unwrap();
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            programs
        }

        fn told(&self) -> std::path::PathBuf {
            self.0.path().join("told")
        }

        fn lines(&self) -> Vec<String> {
            let told = std::fs::read_to_string(self.told()).unwrap_or_default();
            let folder = self.0.path().display().to_string();
            told.lines().map(|it| it.replace(&folder, "FOLDER")).collect()
        }

        fn settings(&self) -> StatisticsSettings {
            let program = |name: &str| vec![self.0.path().join(name).display().to_string(), "-v".to_owned()];
            StatisticsSettings {
                store: program("store"),
                publish: program("publish"),
                db: self.0.path().join("new/results.db"),
                s3: Some("https://s3.example/metrics".to_owned()),
                prune_over: 10,
                prune_days: 28,
            }
        }

        async fn run(&self, forge: Option<&str>, settings: &StatisticsSettings) -> Result<(), Failure> {
            let task = Statistics {
                forge: forge.map(|it| it.parse().unwrap()),
                repo: "o/r".parse().unwrap(),
                sha: "abcdef".parse().unwrap(),
            };
            let means = Means { settings, forges: &forges(), limit: Some(Duration::from_secs(30)) };
            perform(&task, &work(Queue::Statistics, CancellationToken::new()), means).await
        }
    }

    #[tokio::test]
    async fn results_are_stored_and_published() {
        let programs = Programs::new("");
        programs.run(None, &programs.settings()).await.unwrap();
        let expected = [
            "store -v --db FOLDER/new/results.db --repo o/r abcdef",
            "publish -v --db FOLDER/new/results.db --s3 https://s3.example/metrics",
        ];
        assert_eq!(programs.lines(), expected);
        // By its name, and without a bucket.
        let settings = StatisticsSettings { s3: None, ..programs.settings() };
        programs.run(Some("github"), &settings).await.unwrap();
        assert_eq!(programs.lines().last().unwrap(), "publish -v --db FOLDER/new/results.db");
    }

    #[tokio::test]
    async fn a_database_that_has_grown_too_large_is_pruned() {
        let programs = Programs::new("printf '12345678901' > $3");
        programs.run(None, &programs.settings()).await.unwrap();
        let expected = [
            "store -v --db FOLDER/new/results.db --repo o/r abcdef",
            "publish -v --db FOLDER/new/results.db --prune 28",
            "publish -v --db FOLDER/new/results.db --s3 https://s3.example/metrics",
        ];
        assert_eq!(programs.lines(), expected);
        let settings = StatisticsSettings { prune_over: 11, ..programs.settings() };
        programs.run(None, &settings).await.unwrap();
        assert_eq!(programs.lines().len(), 5, "as large as it may be");
    }

    #[tokio::test]
    async fn what_fails_ends_it_and_is_tried_again() {
        let programs = Programs::new("exit 7");
        let failure = programs.run(None, &programs.settings()).await.unwrap_err();
        let Failure::Retry(reason) = failure else { panic!("{failure:?}") };
        assert!(reason.contains("statistics.store: `/") && reason.contains("exit status: 7"), "{reason}");
        assert_eq!(programs.lines().len(), 1);
        let programs = Programs::new("");
        let settings = StatisticsSettings { publish: vec!["/nonexistent".to_owned()], ..programs.settings() };
        let failure = programs.run(None, &settings).await.unwrap_err();
        let Failure::Retry(reason) = failure else { panic!("{failure:?}") };
        assert!(reason.starts_with("statistics.publish: `/nonexistent` cannot be started: "), "{reason}");
    }

    #[tokio::test]
    async fn the_programs_know_one_forge() {
        let programs = Programs::new("");
        let failure = programs.run(Some("other"), &programs.settings()).await.unwrap_err();
        assert!(matches!(&failure, Failure::Fail(it) if it.contains("`other`")), "{failure:?}");
        assert!(programs.lines().is_empty());
    }
}
