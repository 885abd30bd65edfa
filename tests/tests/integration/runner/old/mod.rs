//! The same jobs by an older job-runner and by ours, against the same forge and bucket: what the older one did is in
//! `tests/interop/jobs.json`, and ours does the same, but for what `same` explains.
//!
//! The file is written anew by this test where `$FLOTILLA_OLD_RUNNER` names a folder with an older `job-runner` and its `lib`, and in
//! `venv` a python with aiohttp. What is there was recorded from cockpit-project/bots: `lib/aio` with job.py of 9d459928, jobcontext.py of
//! 2e10b9ea, github.py of 0646fc1c, s3.py of 9e067a0c, s3streamer.py of 02bd7293, util.py of 91eb9cea. What they run in a container is a
//! program in python, which `tests/interop/old_engine.sh` replaces by the job's own command.

mod same;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use common::id::CommitSha;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tests::fleet::{DEADLINE, Fleet};
use tests::git::File;
use tests::s3::S3Server;
use tests::settings::{OLD_RUNNER, get};
use tokio::process::Command;

use super::{file, program, run_test, settings};

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Observed {
    exit: Option<i32>,
    /// What the commit was told, with where that leads.
    statuses: Vec<String>,
    /// What was asked of the forge: what is read, once each, and what is written.
    forge: Vec<String>,
    issues: Vec<String>,
    /// What was asked of the bucket, with types; sizes of chunks are left out, and so are repetitions.
    bucket: Vec<String>,
    /// What the bucket has in the end: a name, and a type.
    objects: BTreeMap<String, String>,
    /// The log's first line, what the job printed, the last line.
    log: Vec<String>,
}

struct Job {
    name: &'static str,
    command: &'static str,
    more: Value,
    world: World,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum World {
    Still,
    Closed,
    Moved,
    Cancelled,
}

fn jobs() -> Vec<Job> {
    let job = |name, command, more, world| Job { name, command, more, world };
    let files = "cd $TEST_ATTACHMENTS; mkdir sub; echo text > a.txt; printf P > shot.png; echo log > sub/b.log; echo x > c.unknown; \
                 gzip -c a.txt > d.log.gz; echo e > e.html; echo say this";
    vec![
        job("green", files, json!({}), World::Still),
        job("red", "echo about to fail; exit 3", json!({}), World::Still),
        job("reported", "exit 3", json!({"report": {"labels": ["nightly"]}}), World::Still),
        job("slug", "true", json!({"slug": "a:b//c", "title": "my title"}), World::Still),
        job("silent", "true", json!({"context": null}), World::Still),
        job("no-image", "true", json!({"container": "localhost/nowhere:none"}), World::Still),
        // An older program that sees it before the container is there waits until that has ended, and leaves it there.
        job("closed", "sleep 3", json!({}), World::Closed),
        job("moved", "sleep 3", json!({}), World::Moved),
        job("cancelled", "sleep 1000", json!({}), World::Cancelled),
    ]
}

/// A repository with a pull, a bucket, and the program that plays.
struct Stage<'f> {
    fleet: &'f Fleet,
    server: S3Server,
    sha: CommitSha,
}

impl<'f> Stage<'f> {
    async fn set(fleet: &'f Fleet, repo: &str, world: World) -> Result<Self> {
        let server = S3Server::start().await?;
        let repo = fleet.create_repo(repo, &[File::new("README", "x\n")]).await?;
        let (pull, _) = fleet.draft_pull("alice", &repo, &[File::new("README", "y\n")]).await?;
        if world == World::Moved {
            let new = fleet.git.extend_pull(repo.as_str(), 1, &[File::new("README", "z\n")]).await?;
            fleet.forge.push(&repo, pull.number, &new.parse()?)?;
        }
        if world == World::Closed {
            fleet.forge.close(&repo, pull.number)?;
        }
        Ok(Self { fleet, server, sha: pull.sha })
    }

    fn message(&self, repo: &str, job: &Job) -> Value {
        let mut fields = json!({
            "repo": repo, "pull": 1, "sha": self.sha, "context": "debian/x", "container": self.fleet.engine.image(),
            "command": ["sh", "-c", job.command],
        });
        for (name, value) in job.more.as_object().into_iter().flatten() {
            fields[name] = value.clone();
        }
        fields
    }

    async fn play(&self, mut command: Command, repo: &str, job: &Job) -> Result<Observed> {
        let asked_before = self.fleet.forge.requests().len();
        command.args(["json", &self.message(repo, job).to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        if job.world == World::Cancelled {
            self.fleet.wait_for_container().await?;
            // The older one has no handler for signals before it runs, and none for SIGTERM.
            let id = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
            kill_process(id.context("it has ended")?, Signal::INT)?;
        }
        let output =
            tokio::time::timeout(DEADLINE, child.wait_with_output()).await.context("it does not end")??;
        let observed = self.observe(repo, output.status.code(), asked_before).await;
        observed.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    async fn observe(&self, repo: &str, exit: Option<i32>, asked_before: usize) -> Result<Observed> {
        let name = repo.parse()?;
        let known = [
            (self.sha.as_str().to_owned(), "SHA"),
            (self.sha.short(12).to_owned(), "SHORT"),
            (self.server.url(), "BUCKET"),
            (common::hostname(), "HOST"),
            (repo.to_owned(), "REPO"),
        ];
        let plain =
            |text: &str| known.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        let statuses = self.fleet.forge.statuses(&name, &self.sha);
        let status = |it: &tests::forge::StatusRecord| {
            let (text, url) =
                (it.description.as_deref().unwrap_or("-"), it.target_url.as_deref().unwrap_or("-"));
            plain(&format!("{} {:?}: {text} {url}", it.context, it.state))
        };
        let mut forge: Vec<String> = Vec::new();
        for request in self.fleet.forge.requests().iter().skip(asked_before) {
            let line = plain(&format!("{} {}", request.method, request.path));
            if request.method != "GET" || !forge.contains(&line) {
                forge.push(line);
            }
        }
        let keys = self.server.keys()?;
        let folder = keys.iter().find_map(|it| it.strip_suffix("/log.html")).context("no page")?.to_owned();
        let mut objects = BTreeMap::new();
        for key in &keys {
            let object = self.server.get(key).await?.context("no object")?;
            let encoding = object.encoding.map(|it| format!(" {it}")).unwrap_or_default();
            objects.insert(plain(key), format!("{}{encoding}", object.kind));
        }
        let log = self.server.get(&format!("{folder}/log")).await?.context("no log")?;
        let log = plain(log.text()?);
        let lines: Vec<&str> = log.lines().filter(|it| !it.is_empty()).collect();
        let said = lines.iter().filter(|it| ["say this", "about to fail"].contains(it));
        let ends = [lines.first(), lines.last()].map(|it| it.copied().unwrap_or_default());
        Ok(Observed {
            exit,
            statuses: statuses.iter().rev().map(status).collect(),
            forge,
            issues: self
                .fleet
                .forge
                .issues(&name)?
                .iter()
                .map(|it| plain(&format!("{}\n{}", it.title, it.body)))
                .collect(),
            bucket: bucket(&self.server, &folder),
            objects,
            log: std::iter::once(ends[0]).chain(said.copied()).chain([ends[1]]).map(str::to_owned).collect(),
        })
    }
}

/// The requests below a folder, without what depends on time: how often a log grew.
fn bucket(server: &S3Server, folder: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for request in server.requests() {
        let key = request.key.strip_prefix(folder).unwrap_or(&request.key).trim_start_matches('/');
        let is_chunk =
            key.strip_prefix("log.").is_some_and(|it| it.starts_with(|it: char| it.is_ascii_digit()));
        let key = if is_chunk { "log.CHUNK" } else { key };
        let header = |name: &str| request.header(name).map(|it| format!(" {it}")).unwrap_or_default();
        let kind = if request.method == "PUT" {
            header("content-type") + &header("content-encoding")
        } else {
            String::new()
        };
        let line = format!("{} {key}{kind}{}", request.method, header("x-amz-acl"));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn record() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/jobs.json")
}

fn bucket_settings(stage: &Stage<'_>) -> String {
    settings(stage.fleet, "post = true") + &stage.server.config()
}

fn ours(stage: &Stage<'_>) -> Result<Command> {
    let text = bucket_settings(stage) + "acl = \"public-read\"\n";
    std::fs::write(file(stage.fleet, "job-runner.toml"), text)?;
    program(stage.fleet)
}

/// An older one in this folder.
fn old(stage: &Stage<'_>, folder: &Path) -> Result<Command> {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/old_engine.sh");
    let text = bucket_settings(stage)
        .replace("[container]\n", &format!("[container]\ncommand = [\"{}\"]\n", engine.display()));
    std::fs::write(file(stage.fleet, "job-runner.toml"), text)?;
    let with_environment = program(stage.fleet)?;
    let mut command = Command::new(folder.join("venv/bin/python"));
    for (name, value) in with_environment.as_std().get_envs() {
        command.envs(value.map(|it| (name, it)));
    }
    command.arg(folder.join("job-runner")).stdin(Stdio::null());
    Ok(command)
}

#[tokio::test]
async fn jobs_go_as_they_did_with_an_older_program() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let older = get(OLD_RUNNER).map(PathBuf::from);
        if let Some(folder) = older {
            let mut recorded = BTreeMap::new();
            for job in jobs() {
                let repo = format!("old/{}", job.name);
                let stage = Stage::set(fleet, &repo, job.world).await?;
                let observed = stage.play(old(&stage, &folder)?, &repo, &job).await.context(job.name)?;
                recorded.insert(job.name.to_owned(), observed);
                fleet.engine.remove_containers().await?;
            }
            std::fs::write(record(), serde_json::to_string_pretty(&recorded)? + "\n")?;
        }
        let recorded: BTreeMap<String, Observed> = serde_json::from_str(&std::fs::read_to_string(record())?)?;
        let mut wrong = Vec::new();
        for job in jobs() {
            let repo = format!("new/{}", job.name);
            let stage = Stage::set(fleet, &repo, job.world).await?;
            let observed = stage.play(ours(&stage)?, &repo, &job).await.context(job.name)?;
            let theirs = recorded.get(job.name).with_context(|| format!("{} is not recorded", job.name))?;
            if let Err(error) = same::same(job.name, &observed, theirs) {
                wrong.push(format!("{}: {error:#}\nours: {observed:#?}\ntheirs: {theirs:#?}", job.name));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        Ok(())
    })
    .await;
}
