//! `tests-trigger`: asking for runs by hand.

use std::io::{self, Write};
use std::num::NonZeroU64;

use common::forge::{Forge, ForgeError, NewStatus, Status, StatusState};
use common::id::{CommitSha, Context, PullNumber, RepoName};

use super::super::decide::{DIRECT_TRIGGER, is_known};
use super::super::trigger::{Permission, Triggering, contexts_of_image, trigger, with_bots};
use super::super::{Engine, ScanSettings};
use super::origin::git;
use super::{Common, Configured, Failure};

/// Asks for runs of tests, by posting `Not yet tested (direct trigger)` on their contexts.
///
/// Without contexts, all those are triggered that the commit has. What is running, waits or was successful is left alone unless
/// --force (or, for what waits to be queued, --requeue) is given.
#[derive(Debug, clap::Parser)]
#[command(name = "tests-trigger", version, after_help = super::EXIT_CODES)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of a command line")]
pub struct TestsTrigger {
    /// Trigger whatever the state is
    #[arg(short, long)]
    force: bool,
    /// Trigger for an author who is not on the allow list
    #[arg(short, long)]
    allow: bool,
    /// Trigger what was triggered already and has not been queued
    #[arg(long)]
    requeue: bool,
    /// Use the bots of this pull request of the bots repository: appends `@bots#NUMBER` to the contexts
    #[arg(long, value_name = "NUMBER")]
    bots_pr: Option<NonZeroU64>,
    /// Only say what would be triggered
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// The number of the pull request, or `-` for the commit that the current git branch tracks
    #[arg(value_name = "PULL|-", required_unless_present = "check_config")]
    target: Option<String>,
    /// What to trigger; `image:NAME` for every context of any repository that tests this image
    context: Vec<Context>,
    #[command(flatten)]
    common: Common,
}

/// The commit to trigger on.
struct Target {
    sha: CommitSha,
    /// For people.
    name: String,
}

/// Contexts, and whether somebody named them.
struct Contexts {
    list: Vec<Context>,
    named: bool,
}

impl TestsTrigger {
    /// First thing in the program.
    pub fn install(&self) {
        self.common.install();
    }

    /// All of it.
    pub async fn run(&self) -> Result<(), Failure> {
        let (Some(Configured { engine, .. }), Some(target)) = (self.common.configure(None)?, &self.target)
        else {
            return Ok(());
        };
        let repo = self.common.repo(&engine.forge)?;
        let target = match target.as_str() {
            "-" => upstream()?,
            number => self.pull(&engine, &repo, number).await?,
        };
        let statuses = engine.forge.statuses(&repo, &target.sha).await?;
        let known: Vec<(Context, Status)> = statuses
            .into_iter()
            .filter_map(|it| Some((Context::new(&*it.context).ok()?, it)))
            .filter(|(context, _)| is_known(&engine.settings, &repo, context))
            .collect();
        let contexts = self.contexts(&engine.settings, &repo, &known)?;
        let mut done = Ok(());
        for context in &contexts.list {
            let status = known.iter().find(|(it, _)| it == context).map(|(_, status)| status);
            match trigger(status, Permission { force: self.force, requeue: self.requeue }) {
                Triggering::Post { target_url } => {
                    say(&format!("{context}: triggering on {}", target.name))?;
                    if !self.dry_run {
                        post(&engine.forge, &repo, &target.sha, context, target_url).await?;
                    }
                }
                Triggering::Refuse { state } if contexts.named => {
                    say(&format!("{context}: isn't in triggerable state (is: {})", word(state)))?;
                    done = Err(Failure::Said);
                }
                Triggering::Refuse { .. } => {}
            }
        }
        done
    }

    async fn pull(&self, engine: &Engine, repo: &RepoName, number: &str) -> Result<Target, Failure> {
        let none = || Failure::Refused(format!("{number} is not a pull request."));
        let parsed = number.parse().ok().and_then(PullNumber::new).ok_or_else(none)?;
        let pull = match engine.forge.pull(repo, parsed).await {
            Err(ForgeError::NotFound { .. }) => return Err(none()),
            other => other?,
        };
        let author = pull.author();
        if !self.allow && !engine.settings.allow_list.allows(author) {
            return Err(Failure::Refused(format!(
                "Pull request author '{author}' isn't allowed. Override with --allow."
            )));
        }
        Ok(Target { sha: pull.head.sha, name: format!("pull request {number}") })
    }

    /// What is named, else what the commit has; each once, in the order in which it is named or found.
    fn contexts(
        &self,
        settings: &ScanSettings,
        repo: &RepoName,
        known: &[(Context, Status)],
    ) -> Result<Contexts, Failure> {
        if self.context.is_empty() {
            return Ok(Contexts { list: known.iter().map(|(it, _)| it.clone()).collect(), named: false });
        }
        let mut list: Vec<Context> = Vec::new();
        let mut add = |context: Context| {
            if !list.contains(&context) {
                list.push(context);
            }
        };
        for context in &self.context {
            if let Some(image) = context.as_str().strip_prefix("image:") {
                contexts_of_image(&settings.test_map, image).into_iter().for_each(&mut add);
            } else if !is_known(settings, repo, context) {
                say(&format!("ignoring unknown context {context}"))?;
            } else if let Some(number) = self.bots_pr {
                let text = with_bots(context, &number.to_string());
                add(text.parse().map_err(|it| Failure::Usage(format!("--bots-pr: {it}")))?);
            } else {
                add(context.clone());
            }
        }
        Ok(Contexts { list, named: true })
    }
}

/// What `git push` of the current branch would push to.
fn upstream() -> Result<Target, Failure> {
    let none = || {
        Failure::Refused("the current git branch tracks no other; say which pull request is meant".to_owned())
    };
    let sha = git(&["rev-parse", "@{upstream}"]).ok_or_else(none)?;
    let name = git(&["rev-parse", "--abbrev-ref", "@{upstream}"]).ok_or_else(none)?;
    Ok(Target { sha: sha.parse().map_err(|_| none())?, name })
}

async fn post(
    forge: &Forge,
    repo: &RepoName,
    sha: &CommitSha,
    context: &Context,
    target_url: Option<String>,
) -> Result<(), ForgeError> {
    let status = NewStatus::new(context.clone(), StatusState::Pending, DIRECT_TRIGGER);
    let status = match target_url {
        Some(url) => status.with_target_url(url),
        None => status,
    };
    forge.post_status(repo, sha, &status).await
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{text}")
}

/// A state as forges write it.
const fn word(state: StatusState) -> &'static str {
    match state {
        StatusState::Pending => "pending",
        StatusState::Success => "success",
        StatusState::Failure => "failure",
        StatusState::Error => "error",
        StatusState::Other => "other",
    }
}
