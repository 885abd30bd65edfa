//! What the program is told by files and the environment.

use std::path::PathBuf;

use common::config::{ConfigError, Environment, Forges, Reader, Source, Summary};
use common::crypto;
use common::telemetry::LogArgs;

use super::JobRunner;
use crate::execute::{ExecuteSettings, Executor};
use crate::scan::ScanArgs;
use crate::settings::WorkerArgs;

/// The configuration that a file is a patch of.
const DEFAULTS: &str = include_str!("defaults.toml");
/// Where a person's own configuration is, below the folder for those.
const OWN_FILE: &str = "cockpit-dev/job-runner.toml";
/// What `--debug` says of our doings.
const DEBUG: &str = "info,common=debug,run_queue=debug";

impl JobRunner {
    /// First thing in the program.
    pub(super) fn install(&self) {
        let mut log = LogArgs { ..self.log.clone() };
        if self.debug && log.log == "info" {
            DEBUG.clone_into(&mut log.log);
        }
        log.install();
        crypto::install();
    }

    /// Reads everything and opens nothing.
    pub(super) fn configure(&self) -> Result<(Executor, Summary), ConfigError> {
        let environment = Environment::read();
        let file = self.config_file.clone().or_else(|| file(&environment));
        let reader = Reader::new(Source::over(DEFAULTS, file.as_deref())?, environment);
        let settings = ExecuteSettings::by_hand(&reader);
        let forges = Forges::read_for_a_person(&reader);
        // Nothing is kept for a person; whose code it is counts for the secrets all the same.
        let state_dir = WorkerArgs::default().read(&reader).state_dir;
        let scan = ScanArgs::default().read(&reader);
        let Some(mut executor) = Executor::read(&reader, forges, &settings, &state_dir) else {
            return Err(reader.into_problems());
        };
        executor.scan = Some(scan.into());
        let mut summary = Summary::default();
        summary.table("job-runner");
        let none = || "none, only defaults".to_owned();
        summary.line("file", file.map_or_else(none, |it| it.display().to_string()));
        summary.table("execute");
        summary.line("poll-seconds", settings.poll.as_secs_f64());
        let longest = settings.longest.limit();
        summary.line("longest-minutes", longest.map_or("-".to_owned(), |_| settings.longest.0.to_string()));
        executor.summarize(&mut summary);
        reader.finish((executor, summary))
    }
}

/// The one that the environment names, else the person's own where it exists.
fn file(environment: &Environment) -> Option<PathBuf> {
    let own = || environment.config_home.as_ref().map(|it| it.join(OWN_FILE)).filter(|it| it.exists());
    environment.job_runner_config.clone().or_else(own)
}
