//! What a job comes to once the forge has been asked (wire facts, "Resolution of a subject").

use common::broker::ClaimKey;
use common::forge::{Forge, ForgeError, Pull, PullState, Status};
use common::id::{BranchName, CommitSha, ImageRef, InvalidId, RepoName, Slug, TaskId};
use common::task::{Job, Subject, WorkKey};

use super::super::Executor;
use super::{Verdict, chain};
use crate::handler::Failure;

/// The file that names the image.
const CONTAINER_FILE: &str = ".cockpit-ci/container";

/// Where a job reports: all that has to be known before anybody can be told how it stands.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) job: &'a Job,
    /// The forge that statuses go to.
    pub(super) forge: &'a Forge,
    /// The commit that statuses go to.
    pub(super) sha: CommitSha,
    pub(super) slug: Slug,
    pub(super) title: String,
    under_test: Checkout,
    /// The job's pull as the forge just said it is, where the plan had to ask.
    pull: Option<Pull>,
}

/// Whether there is anything left to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The commit is green or red under this context already: whatever asks for it is a duplicate, or late.
    Judged(Status),
    /// The pull is closed or has another head.
    Stale(Verdict),
    /// It is to be run.
    Due,
}

/// What runs.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) checkout: Checkout,
    pub(super) image: ImageRef,
}

/// A commit, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkout {
    pub(super) repo: RepoName,
    pub(super) url: String,
    pub(super) sha: CommitSha,
    /// The branch to rebase onto.
    pub(super) target: Option<BranchName>,
}

/// Asks the forge for what the job leaves open about the commit.
pub(super) async fn plan<'a>(job: &'a Job, cx: &'a Executor) -> Result<Plan<'a>, Failure> {
    let subject = job.subject();
    let forge = forge(cx, &subject).map_err(Failure::Fail)?;
    let Resolved { checkout: under_test, pull } = resolve(forge, &subject).await.map_err(Failure::forge)?;
    let sha = under_test.sha.clone();
    let slug = slug(job, &sha).map_err(Failure::fail)?;
    Ok(Plan { job, forge, slug, title: title(job, &sha), sha, under_test, pull })
}

fn forge<'a>(cx: &'a Executor, subject: &Subject) -> Result<&'a Forge, String> {
    cx.forges.get(subject.forge.as_ref()).ok_or_else(|| {
        let name = subject.forge.as_ref().map_or("", |it| it.as_str());
        format!("the job is on the forge `{name}`, which this worker's configuration does not have")
    })
}

/// A subject's commit, and its pull where that said which one it is or where it goes.
struct Resolved {
    checkout: Checkout,
    pull: Option<Pull>,
}

async fn resolve(forge: &Forge, subject: &Subject) -> Result<Resolved, ForgeError> {
    let repo = &subject.repo;
    let pull = match subject.pull {
        // Everything that the pull could say is said.
        Some(number) if subject.sha.is_none() || subject.target.is_none() => {
            Some(forge.pull(repo, number).await?)
        }
        _ => None,
    };
    let sha = match (&subject.sha, &pull) {
        (Some(sha), _) => sha.clone(),
        (None, Some(pull)) => pull.head.sha.clone(),
        (None, None) => tip(forge, repo, subject.branch.as_ref()).await?,
    };
    let target = subject.target.clone().or_else(|| pull.as_ref().map(|it| it.base.branch.clone()));
    let checkout = Checkout { repo: repo.clone(), url: forge.clone_url(repo), sha, target };
    Ok(Resolved { checkout, pull })
}

async fn tip(forge: &Forge, repo: &RepoName, branch: Option<&BranchName>) -> Result<CommitSha, ForgeError> {
    match branch {
        Some(branch) => forge.tip(repo, branch).await,
        None => forge.tip(repo, &forge.repo(repo).await?.default_branch).await,
    }
}

/// The image, or why what names it names none: that is its author's to mend.
async fn image(
    job: &Job,
    forge: &Forge,
    checkout: &Checkout,
    default: Option<&ImageRef>,
) -> anyhow::Result<Result<ImageRef, String>> {
    if let Some(text) = &job.container {
        return Ok(ImageRef::new(text.trim()).map_err(|it| it.to_string()));
    }
    let file = match forge.file(&checkout.repo, CONTAINER_FILE, &checkout.sha).await {
        // Its author's to mend, like a text that names none.
        Err(ForgeError::TooLong { limit, .. }) => {
            return Ok(Err(format!("{CONTAINER_FILE}: more than {limit} bytes are no image reference")));
        }
        read => read.map_err(|it| chain(&it))?,
    };
    match (file, default) {
        (Some(text), _) => {
            let text = String::from_utf8_lossy(&text);
            Ok(ImageRef::new(text.trim()).map_err(|it| format!("{CONTAINER_FILE}: {it}")))
        }
        (None, Some(image)) => Ok(Ok(image.clone())),
        (None, None) => anyhow::bail!(
            "no image: neither the job, nor {CONTAINER_FILE} at {}, nor container.default-image names one",
            checkout.sha
        ),
    }
}

pub(super) fn slug(job: &Job, sha: &CommitSha) -> Result<Slug, InvalidId> {
    let context = job.context.as_ref().map_or("-", |it| it.as_str());
    job.slug.clone().map_or_else(|| Slug::new(format!("{}/{context}/{}", job.repo, sha.short(12))), Ok)
}

pub(super) fn title(job: &Job, sha: &CommitSha) -> String {
    let context = job.context.as_ref().map_or("-", |it| it.as_str());
    job.title.clone().unwrap_or_else(|| format!("{context}@{}#{}", job.repo, sha.short(12)))
}

impl Plan<'_> {
    /// What is claimed: another message that asks for the same finds it taken.
    pub(super) fn claim(&self, message: &TaskId) -> ClaimKey {
        self.work_key().map_or_else(|| ClaimKey::of_message(message), |it| ClaimKey::of_work(&it))
    }

    /// What it reports on; none where it reports nothing.
    pub(super) fn work_key(&self) -> Option<WorkKey> {
        let context = self.job.context.clone()?;
        Some(WorkKey::new(self.forge.name().clone(), &self.job.repo, self.sha.clone(), context))
    }

    /// Whether anybody is told how it ends.
    pub(super) fn reports(&self) -> bool {
        self.job.context.is_some() || self.job.report.is_some()
    }

    /// Whether there is anything left to do. A verdict comes first: a commit that was judged in its time is told nothing more.
    /// `page` is that of its log.
    pub(super) async fn standing(&self, page: &str) -> Result<Standing, Failure> {
        if let Some(verdict) = self.verdict(page).await.map_err(Failure::forge)? {
            return Ok(Standing::Judged(verdict));
        }
        let stale = match &self.pull {
            Some(pull) => stale(pull, &self.job.repo, &self.sha),
            None => self.staleness().await.map_err(Failure::forge)?,
        };
        Ok(stale.map_or(Standing::Due, Standing::Stale))
    }

    /// The commit's verdict, if it has one. Work that brings its own command, such as a refresh of an image, depends on more than
    /// the commit, and is done whenever it is asked for; only what has this very log was asked for before.
    async fn verdict(&self, page: &str) -> Result<Option<Status>, ForgeError> {
        let Some(context) = &self.job.context else { return Ok(None) };
        let is_named = self.job.slug.is_some();
        if self.job.command.is_some() && !is_named {
            return Ok(None);
        }
        let statuses = self.forge.statuses(&self.job.repo, &self.sha).await?;
        let counts = |it: &Status| self.job.command.is_none() || it.target_url.as_deref() == Some(page);
        let is_verdict = |it: &Status| it.context == context.as_str() && it.state.is_verdict() && counts(it);
        Ok(statuses.into_iter().find(is_verdict))
    }

    /// Asks the forge for what the job leaves open about what runs.
    pub(super) async fn content(&self, cx: &Executor) -> anyhow::Result<Result<Content, Verdict>> {
        let (forge, checkout) = match &self.job.command_subject {
            None => (self.forge, self.under_test.clone()),
            Some(other) => {
                let forge = forge(cx, other).map_err(anyhow::Error::msg)?;
                (forge, resolve(forge, other).await.map_err(|it| chain(&it))?.checkout)
            }
        };
        let image = image(self.job, forge, &checkout, cx.container.default_image.as_ref()).await?;
        Ok(image.map(|image| Content { checkout, image }).map_err(Verdict::Refused))
    }

    /// Whether the work has become stale: the job's pull is closed or has another head. A job without a pull is for its
    /// commit, wherever that is; the pull of a `command_subject` only says where the command comes from.
    pub(super) async fn staleness(&self) -> Result<Option<Verdict>, ForgeError> {
        let Some(number) = self.job.pull else { return Ok(None) };
        let pull = self.forge.pull(&self.job.repo, number).await?;
        Ok(stale(&pull, &self.job.repo, &self.sha))
    }
}

fn stale(pull: &Pull, repo: &RepoName, sha: &CommitSha) -> Option<Verdict> {
    // An abbreviated commit is the head when the head begins with it.
    let is_head = pull.head.sha.as_str().starts_with(sha.as_str());
    match pull.state {
        PullState::Closed => Some(Verdict::Closed(repo.clone(), pull.number)),
        PullState::Open if !is_head => Some(Verdict::Changed(repo.clone(), pull.number)),
        PullState::Open => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(json: &str) -> Job {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn slug_and_title_have_the_defaults_of_the_wire() {
        let sha: CommitSha = "0123456789abcdef0123".parse().unwrap();
        let plain = job(r#"{"repo": "o/r"}"#);
        assert_eq!(slug(&plain, &sha).unwrap().as_str(), "o/r/-/0123456789ab");
        assert_eq!(title(&plain, &sha), "-@o/r#0123456789ab");
        let named = job(r#"{"repo": "o/r", "context": "fedora/x"}"#);
        assert_eq!(slug(&named, &sha).unwrap().as_str(), "o/r/fedora/x/0123456789ab");
        assert_eq!(title(&named, &sha), "fedora/x@o/r#0123456789ab");
        let own = job(r#"{"repo": "o/r", "slug": "s", "title": "t"}"#);
        assert_eq!((slug(&own, &sha).unwrap().as_str(), title(&own, &sha).as_str()), ("s", "t"));
    }

    #[test]
    fn closed_and_moved_pulls_are_stale() {
        let pull = |state: &str, sha: &str| -> Pull {
            let json = format!(
                r#"{{"number": 5, "state": "{state}", "head": {{"sha": "{sha}"}}, "base": {{"ref": "main"}}}}"#
            );
            serde_json::from_str(&json).unwrap()
        };
        let ending = |pull: &Pull| stale(pull, &"o/r".parse().unwrap(), &"abcdef".parse().unwrap());
        assert_eq!(ending(&pull("open", "abcdef0123456789")), None);
        assert!(matches!(ending(&pull("open", "0abcdef123456789")), Some(Verdict::Changed(..))));
        assert!(matches!(ending(&pull("closed", "abcdef0123456789")), Some(Verdict::Closed(..))));
    }
}
