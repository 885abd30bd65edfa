//! The scanner's settings of the moment: files that change are read again without a restart, and one that is broken leaves
//! everything as it was.
//!
//! Files are looked at every so often. That costs a few system calls a second, works where notifications do not (network file
//! systems), and sees what Kubernetes does with a `ConfigMap`: the links that lead to the file are turned around.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::Clock;
use common::config::{ConfigError, Environment, Reader, Source};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::metrics::Metrics;
use super::{ScanArgs, ScanSettings};

mod metrics;

/// The settings of the moment, for everybody who scans.
#[derive(Clone, Debug)]
pub struct LiveScanSettings(watch::Receiver<Arc<ScanSettings>>);

impl LiveScanSettings {
    /// Those that count now. What begins with them ends with them.
    #[must_use]
    pub fn now(&self) -> Arc<ScanSettings> {
        Arc::clone(&self.0.borrow())
    }
}

/// Settings that never change.
impl From<ScanSettings> for LiveScanSettings {
    fn from(settings: ScanSettings) -> Self {
        Self(watch::channel(Arc::new(settings)).1)
    }
}

/// Where the scanner's settings are read from.
#[derive(Clone, Debug)]
pub struct ScanSource {
    /// The options.
    pub args: ScanArgs,
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment at the start.
    pub environment: Environment,
}

/// The files that were looked into, and what came of it.
struct Reading {
    files: BTreeSet<PathBuf>,
    read: Result<(ScanSettings, Source), ConfigError>,
}

impl ScanSource {
    fn read(&self) -> Reading {
        let mut files: BTreeSet<_> = self.file.clone().into_iter().collect();
        let source =
            match self.file.as_deref().map_or_else(|| Ok(Source::default()), |it| Source::load(Some(it))) {
                Ok(source) => source,
                Err(error) => return Reading { files, read: Err(error) },
            };
        let reader = Reader::new(source.clone(), self.environment.clone());
        let settings = self.args.read(&reader);
        files.extend(reader.files());
        Reading { files, read: reader.finish((settings, source)) }
    }
}

/// What tells one state of a file from another, without reading it; none for one that is not there.
type Print = Option<[i64; 5]>;
/// The prints of some files.
type Prints = BTreeMap<PathBuf, Print>;

fn print(file: &PathBuf) -> Print {
    let it = fs::metadata(file).ok()?;
    let [inode, device, size] = [it.ino(), it.dev(), it.size()].map(u64::cast_signed);
    // The time of the last change of any kind: a file that has become readable is worth a look too.
    let changed = it.ctime().wrapping_mul(1_000_000_000).wrapping_add(it.ctime_nsec());
    let modified = it.mtime().wrapping_mul(1_000_000_000).wrapping_add(it.mtime_nsec());
    Some([inode ^ device.rotate_left(32), size, changed, modified, it.mode().into()])
}

/// Looks at the files and reads them again.
#[derive(Debug)]
pub struct SettingsWatch {
    source: ScanSource,
    every: Duration,
    clock: Clock,
    settings: watch::Sender<Arc<ScanSettings>>,
    metrics: Metrics,
    /// What to look at.
    files: BTreeSet<PathBuf>,
    /// As they were at the last look.
    seen: Prints,
    /// As they were when they were read.
    read: Prints,
    /// What was wrong with them then.
    broken: Option<ConfigError>,
    /// The whole configuration as it was at the first reading.
    first: Option<Source>,
}

impl SettingsWatch {
    /// Begins with settings that have been read already.
    #[must_use]
    pub fn new(
        source: ScanSource,
        settings: ScanSettings,
        every: Duration,
        clock: Clock,
    ) -> (LiveScanSettings, Self) {
        let (sender, receiver) = watch::channel(Arc::new(settings));
        let watch = Self {
            files: source.file.clone().into_iter().collect(),
            source,
            every,
            clock,
            settings: sender,
            metrics: Metrics::new(clock.now()),
            seen: Prints::new(),
            read: Prints::new(),
            broken: None,
            first: None,
        };
        (LiveScanSettings(receiver), watch)
    }

    /// Shows how the readings went.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// Looks every so often until it is told to stop.
    pub async fn run(mut self, stopping: &CancellationToken) {
        let pause = self.every;
        while stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            // A file system that does not answer holds up this part alone.
            let look = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match stopping.run_until_cancelled(look).await {
                Some(Ok(watch)) => self = watch,
                Some(Err(error)) => {
                    tracing::error!(%error, "the scanner's settings cannot be read again");
                    return;
                }
                None => return,
            }
        }
    }

    /// One look. A file that has changed since the last one is left alone until it is still: somebody may be writing it.
    fn look(&mut self) {
        let seen: Prints = self.files.iter().map(|it| (it.clone(), print(it))).collect();
        let still = seen == self.seen;
        self.seen = seen;
        if still && self.read != self.seen {
            self.read.clone_from(&self.seen);
            self.read_again();
        }
    }

    fn read_again(&mut self) {
        let Reading { files, read } = self.source.read();
        match read {
            Ok((settings, source)) => {
                self.files = files;
                self.take(settings);
                self.mention_other_tables(source);
            }
            Err(error) => {
                // What is named by a file that cannot be read is looked at all the same.
                self.files.extend(files);
                self.complain(error);
            }
        }
    }

    fn take(&mut self, settings: ScanSettings) {
        let repaired = self.broken.take().is_some();
        let changed = **self.settings.borrow() != settings;
        self.metrics.good(self.clock.now(), changed || repaired);
        if !changed && !repaired {
            return;
        }
        let repositories = settings.test_map.projects().count();
        let contexts: usize = settings.test_map.listed().map(|it| it.contexts.len()).sum();
        tracing::info!(repositories, contexts, changed, repaired, "the scanner's settings were read again");
        if self.settings.borrow().sweep != settings.sweep {
            tracing::warn!("scan.sweep has changed: it counts after a restart");
        }
        if changed {
            self.settings.send_replace(Arc::new(settings));
        }
    }

    /// Once for each state of the files.
    fn complain(&mut self, error: ConfigError) {
        if self.broken.as_ref() == Some(&error) {
            return;
        }
        self.metrics.broken();
        let problems: Vec<_> = error.0.iter().map(ToString::to_string).collect();
        let problems = problems.join("; ");
        tracing::error!(
            problems,
            "the scanner's settings are broken: what was read before counts until this is repaired"
        );
        self.broken = Some(error);
    }

    fn mention_other_tables(&mut self, source: Source) {
        let Some(first) = &self.first else {
            self.first = Some(source);
            return;
        };
        let tables = source.tables_that_differ(first, "scan");
        if !tables.is_empty() {
            tracing::warn!(
                tables = tables.join(", "),
                "these tables have changed: they count after a restart"
            );
        }
    }
}

#[cfg(test)]
mod tests;
