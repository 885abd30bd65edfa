//! What people do with a fleet.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::forge::StatusState;
use common::id::{BranchName, CommitSha, RepoName};
use rustix::process::Signal;

use super::program::Program;
use super::{DEADLINE, Fleet, Pull};
use crate::forge::{Delivered, Delivery, Hook, NewPull, StatusRecord};
use crate::git::File;
use crate::secrets;

/// Between two looks at what is awaited.
const POLL: Duration = Duration::from_millis(10);

impl Fleet {
    /// Starts the receiver, and says where it listens to events.
    pub async fn start_webhook(&mut self) -> Result<()> {
        self.start_webhook_with(&[]).await
    }

    /// The same with more arguments.
    pub async fn start_webhook_with(&mut self, arguments: &[&str]) -> Result<()> {
        let mut all: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        all.extend(["--config".to_owned(), self.config_file().display().to_string()]);
        let mut program = Program::start("webhook", 0, self.folder.path(), &all, &[])?;
        let address = program.listening("events").await?;
        let ready = |event: &serde_json::Value| (event["message"] == "connected to the broker").then_some(());
        program.wait_until("that it is connected", DEADLINE, ready).await?;
        self.hook = Some(Hook::new(&format!("http://{address}/"), secrets::WEBHOOK_TOKEN)?);
        self.webhook = Some(program);
        Ok(())
    }

    /// What sends events to the receiver.
    pub fn hook(&self) -> Result<Hook> {
        self.hook.clone().context("this fleet has no receiver")
    }

    /// The receiver.
    pub fn webhook(&mut self) -> Result<&mut Program> {
        self.webhook.as_mut().context("this fleet has no receiver")
    }

    /// Where the receiver listens to events.
    pub async fn webhook_address(&mut self) -> Result<String> {
        self.webhook()?.listening("events").await
    }

    /// Starts one more worker; arguments come before those that every worker gets.
    pub async fn start_worker(&mut self, arguments: &[&str]) -> Result<()> {
        let mut all: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        all.extend(["--config".to_owned(), self.config_file().display().to_string()]);
        let mut environment = self.engine.environment();
        // What containers and secrets leave must be in the fleet's own folder, so that the end of a test sees it.
        let scratch = self.folder.path().join("tmp");
        std::fs::create_dir_all(&scratch)?;
        environment.push(("TMPDIR", scratch.display().to_string()));
        let number = self.workers.len();
        let mut worker = Program::start("run-queue", number, self.folder.path(), &all, &environment)?;
        worker.listening("operator endpoints").await?;
        self.workers.push(worker);
        Ok(())
    }

    /// A worker, in the order of their starts.
    pub fn worker(&mut self, number: usize) -> Result<&mut Program> {
        self.workers.get_mut(number).with_context(|| format!("this fleet has no worker {number}"))
    }

    /// Kills a worker at once, as a power cut does.
    pub async fn kill_worker(&mut self, number: usize) -> Result<()> {
        let mut worker = self.workers.remove(number);
        worker.signal(Signal::KILL)?;
        worker.ended(DEADLINE).await?;
        Ok(())
    }

    /// A repository with these files on its branch `main`.
    pub async fn create_repo(&self, name: &str, files: &[File]) -> Result<RepoName> {
        let repo = RepoName::new(name)?;
        let tip = CommitSha::new(self.git.create(name, files).await?)?;
        self.forge.add_repo(&repo, &BranchName::new("main")?, &tip);
        Ok(repo)
    }

    /// Opens a pull that adds these files, as `alice`, and tells the receiver about it.
    pub async fn open_pull(&self, repo: &RepoName, files: &[File]) -> Result<Pull> {
        self.open_pull_as("alice", repo, files).await
    }

    /// The same as somebody else.
    pub async fn open_pull_as(&self, author: &str, repo: &RepoName, files: &[File]) -> Result<Pull> {
        let (pull, delivery) = self.draft_pull(author, repo, files).await?;
        self.deliver_ok(&delivery).await?;
        Ok(pull)
    }

    /// Opens a pull without telling anybody: the event is the caller's to send.
    pub async fn draft_pull(
        &self,
        author: &str,
        repo: &RepoName,
        files: &[File],
    ) -> Result<(Pull, Delivery)> {
        // The forge numbers pulls; the commit has to be there before.
        let next = self.forge.next_number(repo)?;
        let sha = self.git.push_pull(repo.as_str(), next.get(), "main", files).await?;
        let sha = CommitSha::new(sha)?;
        let new = NewPull::new("A change", author, sha.clone(), BranchName::new("main")?);
        let (number, delivery) = self.forge.open_pull(repo, new)?;
        Ok((Pull { repo: repo.clone(), number, sha }, delivery))
    }

    /// Pushes a commit with these files to a pull, and tells the receiver.
    pub async fn push(&self, pull: &Pull, files: &[File]) -> Result<Pull> {
        let sha = self.git.extend_pull(pull.repo.as_str(), pull.number.get(), files).await?;
        let sha = CommitSha::new(sha)?;
        let delivery = self.forge.push(&pull.repo, pull.number, &sha)?;
        self.deliver_ok(&delivery).await?;
        Ok(Pull { sha, ..pull.clone() })
    }

    /// Has the forge know the receiver as the webhook of a repository, under this id.
    pub fn add_hook(&self, repo: &RepoName, id: u64) -> Result<()> {
        self.forge.add_hook(repo, id, self.hook.clone().context("this fleet has no receiver")?);
        Ok(())
    }

    /// Sends an event to the receiver, once, as the forge does.
    pub async fn deliver(&self, delivery: &Delivery) -> Result<Delivered> {
        self.hook.as_ref().context("this fleet has no receiver")?.deliver(delivery).await
    }

    /// The same, and the receiver must take it.
    pub async fn deliver_ok(&self, delivery: &Delivery) -> Result<()> {
        let answer = self.deliver(delivery).await?;
        ensure!(answer.status == 200, "{} was answered {answer:?}", delivery.event);
        Ok(())
    }

    /// Waits until a pull's head has a status in this state under this context.
    pub async fn wait_for(&self, pull: &Pull, context: &str, state: StatusState) -> Result<StatusRecord> {
        self.forge.wait_for_state(&pull.repo, &pull.sha, context, state, DEADLINE).await
    }

    /// All statuses of a commit in the order in which they were posted, a line each, without this machine's name.
    pub fn statuses(&self, repo: &RepoName, sha: &CommitSha) -> Vec<String> {
        let host = format!(" [{}]", common::hostname());
        let line = |it: &StatusRecord| {
            let state = format!("{:?}", it.state).to_lowercase();
            format!(
                "{} {state}: {}",
                it.context,
                it.description.as_deref().unwrap_or("-").replace(&host, " [host]")
            )
        };
        self.forge.statuses(repo, sha).iter().rev().map(line).collect()
    }

    /// The names of the files in which workers keep reports that the forge has not taken, oldest first.
    pub fn kept_reports(&self) -> Result<Vec<String>> {
        let folder = self.state_dir().join("reports");
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let names =
            std::fs::read_dir(folder)?.map(|it| it.map(|it| it.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<Result<Vec<_>, _>>()?;
        names.retain(|it| !it.starts_with('.'));
        names.sort();
        Ok(names)
    }

    /// Waits until so many reports are kept.
    pub async fn wait_for_kept(&self, count: usize) -> Result<()> {
        let end = std::time::Instant::now() + DEADLINE;
        while self.kept_reports()?.len() != count {
            let kept = self.kept_reports()?;
            ensure!(
                std::time::Instant::now() < end,
                "not {count} kept reports within {DEADLINE:?}: {kept:?}"
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The log's folder that a status points to.
    pub fn log_folder(&self, status: &StatusRecord) -> Result<std::path::PathBuf> {
        let url = status.target_url.as_deref().context("a status without a log")?;
        let path = url
            .strip_prefix(self.logs.url())
            .with_context(|| format!("{url} is not below {}", self.logs.url()))?;
        let path = percent_encoding::percent_decode_str(path).decode_utf8()?;
        let folder = path.strip_suffix("/log.html").with_context(|| format!("{url} is no log's page"))?;
        Ok(self.logs_dir().join(folder.trim_start_matches('/')))
    }

    /// The whole log that a status points to, as a person would get it from the web.
    pub async fn log_text(&self, status: &StatusRecord) -> Result<String> {
        let url = status.target_url.as_deref().context("a status without a log")?;
        let url = url.strip_suffix(".html").with_context(|| format!("{url} is no log's page"))?;
        let answer = reqwest::get(url).await?;
        ensure!(answer.status() == 200, "{url}: {}", answer.status());
        Ok(answer.text().await?)
    }
}
