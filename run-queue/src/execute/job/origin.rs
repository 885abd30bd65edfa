//! Whose code a job runs, for the rules about secrets.

use common::forge::{Forge, ForgeError};
use common::id::CommitSha;
use common::task::Subject;

use super::super::Executor;
use super::super::secrets::{Author, Origin, Rules};
use super::plan::{Content, Plan};
use crate::scan::LiveScanSettings;

/// What is under test and, where that is something else, what runs. Asks the forge whose they are only where a rule does.
pub(super) async fn origins(
    plan: &Plan<'_>,
    content: &Content,
    rules: &Rules<'_>,
    cx: &Executor,
) -> Result<Vec<Origin>, ForgeError> {
    let ask = rules.ask_for_authors(&plan.job.secrets);
    let mut origins = Vec::new();
    let under_test = (plan.forge, plan.job.subject(), &plan.sha);
    let other = plan.job.command_subject.clone();
    let runs = other.and_then(|it| Some((cx.forges.get(it.forge.as_ref())?, it, &content.checkout.sha)));
    for (forge, subject, sha) in [under_test].into_iter().chain(runs) {
        let author = if ask { author(forge, &subject, sha, cx).await? } else { Author::Unknown(sha.clone()) };
        origins.push(Origin { forge: forge.name().clone(), repo: subject.repo, author });
    }
    Ok(origins)
}

/// A message can claim any pull or branch for a commit, and a commit without a pull can be that of one which a stranger has closed
/// since: what counts is what the forge says now.
async fn author(
    forge: &Forge,
    subject: &Subject,
    sha: &CommitSha,
    cx: &Executor,
) -> Result<Author, ForgeError> {
    let Subject { repo, branch, .. } = subject;
    // Commits can be abbreviated.
    let is = |it: &CommitSha| it.as_str().starts_with(sha.as_str());
    let unknown = || Author::Unknown(sha.clone());
    if let Some(number) = subject.pull {
        let pull = forge.pull(repo, number).await?;
        let author = pull.author();
        return Ok(match is(&pull.head.sha) {
            false => unknown(),
            true if is_listed(forge, author, cx) => Author::Listed,
            true => Author::Stranger(author.to_owned()),
        });
    }
    let tip = match branch {
        Some(branch) => forge.tip(repo, branch).await,
        None => forge.tip(repo, &forge.repo(repo).await?.default_branch).await,
    };
    match tip {
        Ok(tip) if is(&tip) => Ok(Author::Repository),
        Ok(_) | Err(ForgeError::NotFound { .. }) => Ok(unknown()),
        Err(error) => Err(error),
    }
}

/// The allow list is about the accounts of the default forge.
fn is_listed(forge: &Forge, author: &str, cx: &Executor) -> bool {
    let list = cx.scan.as_ref().map(LiveScanSettings::now);
    forge.name() == cx.forges.default_forge().name() && list.is_some_and(|it| it.allow_list.allows(author))
}
