//! `tests-scan`: what there is to test on one repository.

use common::Chain;
use common::forge::{Forge, ForgeError, Pull};
use common::id::{CommitSha, Context, PullNumber, RepoName};
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;

use super::super::{Asked, Engine, Found, Posting, Subject};
use super::sink::Sink;
use super::{Common, Configured, Failure, Output};

/// How many pulls are looked at side by side.
const PULLS_AT_ONCE: usize = 8;

/// Looks at the pull requests of a repository, and at their statuses, for tests that are to be run.
///
/// Contexts that are to be tested are posted as pending; without --amqp as `Not yet tested (direct trigger)`, so that the event of
/// that status makes a scanner queue them, and the jobs are only printed. With -v nothing is queued, even with --amqp.
#[derive(Debug, clap::Parser)]
#[command(name = "tests-scan", version, after_help = super::EXIT_CODES)]
pub struct TestsScan {
    /// This pull request only
    #[arg(short, long, value_name = "NUMBER", conflicts_with = "pull_data")]
    pub pull_number: Option<String>,
    /// The pull request of this `pull_request` event, as it is told there
    #[arg(long, value_name = "JSON", conflicts_with_all = ["pull_number", "sha"])]
    pub pull_data: Option<String>,
    /// This commit only, by the beginning of its name; where no open pull has it, it is tested by itself and an issue is opened when that fails
    #[arg(short, long, value_name = "SHA")]
    pub sha: Option<String>,
    /// This context only; can be given more than once, and need not be in the test map
    #[arg(short, long, value_name = "CONTEXT")]
    pub context: Vec<Context>,
    /// Change nothing on the forge (tasks are printed or queued all the same)
    #[arg(short = 'n', long)]
    pub dry: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

impl TestsScan {
    /// First thing in the program.
    pub fn install(&self) {
        self.common.install();
    }

    /// All of it.
    pub async fn run(&self) -> Result<(), Failure> {
        let Some(Configured { engine, broker }) = self.common.configure(Some(&self.output))? else {
            return Ok(());
        };
        let told = self.pull_data.as_deref().map(Told::parse).transpose()?;
        let repo = match told.as_ref().and_then(|it| it.repository.as_ref()) {
            Some(repository) if self.common.repo.is_none() => repository.full_name.clone(),
            _ => self.common.repo(&engine.forge)?,
        };
        let mut sink = match &broker {
            _ if self.output.human_readable => Sink::Descending(Vec::new()),
            None => Sink::Jobs,
            Some(broker) => Sink::queue(broker, "tests-scan").await?,
        };
        let subjects = self.subjects(&engine.forge, &repo, told).await?;
        let scanned = self.scan(&engine, &repo, &subjects, &mut sink).await;
        sink.end().await?;
        scanned
    }

    /// Looks at all of them; what is found for one is dealt with before the next is, and one that fails does not keep the others
    /// from it.
    async fn scan(
        &self,
        engine: &Engine,
        repo: &RepoName,
        subjects: &[Subject],
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let asked =
            if self.context.is_empty() { Asked::Nothing } else { Asked::ByName(self.context.clone()) };
        let mut looks = Vec::with_capacity(subjects.len());
        for subject in subjects {
            looks.push(self.one(engine, repo, subject, &asked));
        }
        let mut looks = stream::iter(looks).buffered(PULLS_AT_ONCE);
        let mut first = Ok(());
        while let Some(found) = looks.next().await {
            match found {
                Ok(found) => sink.take(found).await?,
                Err(error) if first.is_ok() => first = Err(error.into()),
                Err(error) => tracing::error!(error = %Chain(&error), "not scanned"),
            }
        }
        first
    }

    async fn one(
        &self,
        engine: &Engine,
        repo: &RepoName,
        subject: &Subject,
        asked: &Asked,
    ) -> Result<Vec<Found>, ForgeError> {
        let decisions = engine.look(repo, subject, asked).await?;
        engine.carry_out(repo, subject, &decisions, self.posting()).await
    }

    const fn posting(&self) -> Posting {
        match (self.dry, self.output.amqp.is_some()) {
            (true, _) => Posting::Dry,
            (false, true) => Posting::Queued,
            (false, false) => Posting::Direct,
        }
    }

    async fn subjects(
        &self,
        forge: &Forge,
        repo: &RepoName,
        told: Option<Told>,
    ) -> Result<Vec<Subject>, Failure> {
        let pulls = match (told, &self.pull_number) {
            (Some(told), _) => vec![told.pull_request],
            (None, Some(number)) => vec![pull(forge, repo, number).await?],
            (None, None) => forge.open_pulls(repo).await?,
        };
        let Some(sha) = &self.sha else { return Ok(pulls.iter().map(Subject::from).collect()) };
        if let Some(pull) = pulls.iter().find(|it| it.head.sha.as_str().starts_with(sha)) {
            return Ok(vec![pull.into()]);
        }
        let sha = CommitSha::new(sha).map_err(|it| Failure::Usage(format!("--sha: {it}")))?;
        tracing::info!(%sha, "a commit without a pull request");
        Ok(vec![Subject::bare(&sha)])
    }
}

async fn pull(forge: &Forge, repo: &RepoName, number: &str) -> Result<Pull, Failure> {
    let refused = || Failure::Refused(format!("Can't find pull request {number}"));
    let parsed = number.parse().ok().and_then(PullNumber::new).ok_or_else(refused)?;
    match forge.pull(repo, parsed).await {
        Err(ForgeError::NotFound { .. }) => Err(refused()),
        other => Ok(other?),
    }
}

/// What `--pull-data` says.
#[derive(Debug, Deserialize)]
struct Told {
    pull_request: Pull,
    repository: Option<common::event::Repository>,
}

impl Told {
    fn parse(text: &str) -> Result<Self, Failure> {
        let json = &mut serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(json)
            .map_err(|it| Failure::Usage(format!("--pull-data: expected a `pull_request` event: {it}")))
    }
}
