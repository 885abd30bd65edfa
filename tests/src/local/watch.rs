//! Everything that happens to a pull request, from everywhere where it can be seen.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use common::Clock;

use super::alive;
use super::containers::Containers;
use super::facts::{self, Work};
use super::follow::Follow;
use super::screen::{Screen, Step, Tone};
use super::tail::Tail;
use crate::fleet::{DEADLINE, Fleet, Pull};
use crate::forge::StatusRecord;

const POLL: Duration = Duration::from_millis(40);

/// The eyes.
pub(super) struct Watch {
    clock: Clock,
    receiver: Tail,
    worker: Tail,
    /// The deliveries that were shown.
    taken: BTreeSet<Work>,
    /// The messages that are not done with.
    open: BTreeSet<String>,
    statuses: usize,
    verdict: Option<StatusRecord>,
    /// The logs of the jobs that run.
    logs: Vec<Follow>,
    containers: Containers,
    /// What others have seen since the last look.
    noted: Vec<Step>,
    last_step: Instant,
}

impl Watch {
    pub(super) fn new(fleet: &mut Fleet) -> Result<Self> {
        Ok(Self {
            clock: Clock::system(),
            receiver: Tail::new(fleet.webhook()?.log_file()),
            worker: Tail::new(fleet.worker(0)?.log_file()),
            taken: BTreeSet::new(),
            open: BTreeSet::new(),
            statuses: 0,
            verdict: None,
            logs: Vec::new(),
            containers: Containers::default(),
            noted: Vec::new(),
            last_step: Instant::now(),
        })
    }

    /// Takes in what happens elsewhere now, to be shown in its place.
    pub(super) fn note(&mut self, label: &'static str, text: String) {
        self.noted.push(Step { at: self.clock.now(), label, text, tone: Tone::Plain });
    }

    /// Shows what happens until the pull's job is done with, and gives its last status.
    pub(super) async fn until_verdict(
        &mut self,
        fleet: &mut Fleet,
        pull: &Pull,
        screen: &Screen,
    ) -> Result<StatusRecord> {
        loop {
            self.pass_once(fleet, pull, screen).await?;
            if let (true, Some(verdict)) = (self.is_quiet(), &self.verdict) {
                return Ok(verdict.clone());
            }
            if self.containers.is_empty() && self.last_step.elapsed() > DEADLINE {
                let said = alive::said(fleet.worker(0)?.log_file())?;
                bail!("nothing has happened for {DEADLINE:?}. The end of the worker's log:\n{said}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Shows what happens, for ever.
    pub(super) async fn for_ever(&mut self, fleet: &mut Fleet, pull: &Pull, screen: &Screen) -> Result<()> {
        loop {
            self.pass_once(fleet, pull, screen).await?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// Shows what is new: containers, what they say, and then all the rest, because a log is complete before its job's last
    /// status is posted. One that the news are the first to tell of is for the next pass.
    async fn pass_once(&mut self, fleet: &mut Fleet, pull: &Pull, screen: &Screen) -> Result<()> {
        alive::check(fleet)?;
        let followed = self.logs.len();
        let mut news = std::mem::take(&mut self.noted);
        news.extend(self.events()?);
        news.extend(self.new_statuses(fleet, pull)?);
        news.sort_by_key(|it| it.at);
        if followed > 0 || !self.containers.is_empty() {
            let changes = self.containers.changes(&fleet.engine, self.clock).await?;
            self.show(screen, &changes);
        }
        for log in self.logs.iter_mut().take(followed) {
            log.lines().await?.iter().for_each(|it| screen.output(it));
        }
        self.logs.retain(|it| !it.has_ended());
        self.show(screen, &news);
        Ok(())
    }

    fn show(&mut self, screen: &Screen, steps: &[Step]) {
        for step in steps {
            screen.step(step);
            self.last_step = Instant::now();
        }
    }

    /// What the programs log.
    fn events(&mut self) -> Result<Vec<Step>> {
        let mut steps: Vec<_> = self.receiver.events()?.iter().filter_map(facts::receiver).collect();
        for event in self.worker.events()? {
            if let Some(work) = Work::of(&event) {
                if self.taken.insert(work.clone()) {
                    steps.push(work.taken(&event));
                }
                if facts::is_settled(&event) {
                    self.open.remove(&work.id);
                } else {
                    self.open.insert(work.id);
                }
            }
            steps.extend(facts::worker(&event));
        }
        Ok(steps)
    }

    /// What the forge was told. A pending status with an address is where a log begins.
    fn new_statuses(&mut self, fleet: &Fleet, pull: &Pull) -> Result<Vec<Step>> {
        let mut all = fleet.forge.statuses(&pull.repo, &pull.sha);
        all.reverse();
        let new = all.split_off(self.statuses.min(all.len()));
        self.statuses += new.len();
        for status in &new {
            if status.is_final() {
                self.verdict = Some(status.clone());
            } else if let Some(url) = &status.target_url {
                self.logs.retain(|it| !it.is_at(url));
                self.logs.push(Follow::new(url)?);
            }
        }
        Ok(new.iter().map(facts::status).collect())
    }

    fn is_quiet(&self) -> bool {
        self.open.is_empty() && self.logs.is_empty() && self.containers.is_empty()
    }
}
