//! `[scan.sweep]`: when everything is looked at, and how patiently.

use std::collections::BTreeMap;
use std::time::Duration;

use common::config::Table;
use common::id::RepoName;

/// When everything is looked at, and how patiently.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepSettings {
    /// When the worker starts.
    pub at_start: bool,
    /// And so often; none for never.
    pub every: Option<Duration>,
    /// How much of that the pauses differ by, from 0 to 1.
    pub jitter: f64,
    /// Between the two looks at what may be lost.
    pub second_look: Duration,
    /// The hooks whose failed deliveries are asked for again.
    pub hooks: BTreeMap<RepoName, u64>,
}

impl Default for SweepSettings {
    fn default() -> Self {
        Self {
            at_start: true,
            every: Some(Duration::from_hours(1)),
            jitter: 0.2,
            second_look: Duration::from_secs(10),
            hooks: BTreeMap::new(),
        }
    }
}

impl SweepSettings {
    /// Reads `[scan.sweep]`.
    #[must_use]
    pub fn read(table: Table<'_>) -> Self {
        let default = Self::default();
        let every = table.decimal("every-minutes", 0.0, 1440.0).map(|it| Duration::from_secs_f64(it * 60.0));
        let settings = Self {
            at_start: table.flag("at-start").unwrap_or(default.at_start),
            every: every.or(default.every).filter(|it| !it.is_zero()),
            jitter: table.decimal("jitter", 0.0, 1.0).unwrap_or(default.jitter),
            second_look: table.seconds("second-look-seconds", 0.1, 600.0).unwrap_or(default.second_look),
            hooks: hooks(table.table("hooks")),
        };
        table.done();
        settings
    }
}

fn hooks(table: Table<'_>) -> BTreeMap<RepoName, u64> {
    let mut hooks = BTreeMap::new();
    for repo in table.names() {
        match (RepoName::new(repo), table.number(repo, 1, i64::MAX.cast_unsigned())) {
            (Ok(name), Some(hook)) => {
                hooks.insert(name, hook);
            }
            (Err(error), _) => table.problem(repo, error.to_string()),
            (Ok(_), None) => {}
        }
    }
    table.done();
    hooks
}
