//! `{"job": …}`: a repository's tests in a container, from the first status to the last (wire facts, "Running a job").

mod arguments;
mod by_hand;
mod left;
mod origin;
mod plan;
mod report;
mod run;
mod shell;
mod verdict;

use std::time::Duration;

use common::Chain;
use common::forge::{NewStatus, Status, StatusState};
use common::id::{CommitSha, Slug};
use common::logs::{Folder, Log, LogError, Own};
use common::task::{Job, Kind, Task};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) use by_hand::perform as by_hand;
pub use by_hand::{ByHand, Ended};
pub use left::LeftJob;
pub(super) use left::find as find_left;
pub(super) use left::is_open;
pub use verdict::Verdict;

use self::plan::{Plan, Standing};
use self::report::{Beside, Reporter};
use self::run::{Fate, Over, Run, remove};
use super::Executor;
use super::container::{Container, Found};
use super::journal::Begun;
use super::outbox::News;
use super::room;
use super::secrets::{LeftSecrets, SecretFolder};
use crate::handler::{Failure, Work};

/// Runs the job and tells how it ended. What is ours or the infrastructure's is reported as an error and tried again.
pub(super) async fn perform(job: &Job, work: &Work, cx: &Executor) -> Result<(), Failure> {
    room::look([&cx.state_dir, &cx.logs.spool], work).await?;
    let plan = plan::plan(job, cx).await;
    // Which commit a job is about may be known from its pull alone.
    let sha = plan.as_ref().map_or_else(|_| job.sha.clone(), |it| Some(it.sha.clone()));
    let taken = match plan {
        Ok(plan) => take(plan, work, cx).await,
        Err(failure) => Err(failure),
    };
    if let (Err(failure), Some(sha)) = (&taken, &sha) {
        tell_trouble(job, sha, failure, work, cx).await?;
    }
    let Taken { plan, what } = taken?;
    match what {
        Next::Nothing => Ok(()),
        Next::Complete(url) => Reporter { plan: &plan, url, work, cx }.complete().await,
        Next::Tell(stale) => supersede(&plan, &stale, work, cx).await,
        Next::Run(log) => deliver(&plan, log, work, cx).await,
    }
}

/// Tells of a job that went wrong before anything of it began, where that is told.
async fn tell_trouble(
    job: &Job,
    sha: &CommitSha,
    failure: &Failure,
    work: &Work,
    cx: &Executor,
) -> Result<(), Failure> {
    match failure {
        Failure::Fail(reason) => {
            let url = why(job, sha, reason, work, cx).await?;
            report::trouble(job, sha, &url, Beside::Others, work, cx).await;
        }
        Failure::Spent => {
            let url = why(job, sha, Failure::SPENT, work, cx).await?;
            report::trouble(job, sha, &url, Beside::Nobody, work, cx).await;
        }
        // The disk's trouble, or that of the place for logs: there will be no better place to write that down.
        Failure::Retry(_) => report::trouble(job, sha, "", Beside::Others, work, cx).await,
        _ => {}
    }
    Ok(())
}

/// What is to be done about a job, by the one who does it.
struct Taken<'a> {
    plan: Plan<'a>,
    what: Next,
}

enum Next {
    /// Somebody has done it.
    Nothing,
    /// This very job has failed, in an attempt whose log is there, and its issue may be missing.
    Complete(String),
    /// It is stale, and that has to be told.
    Tell(Verdict),
    /// To be run, with its open log.
    Run(Log),
}

async fn take<'a>(plan: Plan<'a>, work: &Work, cx: &'a Executor) -> Result<Taken<'a>, Failure> {
    // The verdict is asked for with the claim in hand: who had it before has told theirs.
    let claim = plan.claim(&work.headers.id);
    let claimed = work.claim(&claim).await;
    // Whoever began it and is gone may have ended it, too.
    if matches!(claimed, Err(Failure::Left(_) | Failure::Spent))
        && let Standing::Judged(verdict) = plan.standing(&page(&plan.slug, cx)).await?
    {
        work.forget_claim(&claim).await;
        let what = judged(&plan, &verdict, cx);
        return Ok(Taken { plan, what });
    }
    claimed?;
    let key = plan.work_key();
    if has_kept_verdict(&plan, work, cx).await? {
        tracing::info!(repo.name = %plan.job.repo, "the verdict is kept here for the forge to take; nothing is run");
        return Ok(Taken { plan, what: Next::Nothing });
    }
    let standing = plan.standing(&page(&plan.slug, cx)).await?;
    if let (Standing::Stale(_) | Standing::Due, Some(key)) = (&standing, &key) {
        cx.outbox.supersede(key).await.map_err(Failure::retry)?;
    }
    let what = match standing {
        Standing::Judged(verdict) => judged(&plan, &verdict, cx),
        Standing::Stale(stale) => Next::Tell(stale),
        Standing::Due => Next::Run(patient(work, cx.logs.open(&plan.slug)).await?.map_err(Failure::retry)?),
    };
    Ok(Taken { plan, what })
}

/// There is a verdict: nothing is run. What is left is an issue that its run was to open.
fn judged(plan: &Plan<'_>, verdict: &Status, cx: &Executor) -> Next {
    tracing::info!(repo.name = %plan.job.repo, "the commit has a verdict for this context; nothing is run");
    let url = page(&plan.slug, cx);
    let is_ours = verdict.state == StatusState::Failure && verdict.target_url.as_ref() == Some(&url);
    if is_ours && plan.job.report.is_some() { Next::Complete(url) } else { Next::Nothing }
}

/// Whether the job was done here, and the forge will hear of it: nobody has asked for another run since.
async fn has_kept_verdict(plan: &Plan<'_>, work: &Work, cx: &Executor) -> Result<bool, Failure> {
    let key = plan.work_key().filter(|_| plan.job.command.is_none());
    let kept = cx.outbox.verdict(&work.headers.id, key.as_ref()).await.map_err(Failure::retry)?;
    let Some(kept) = kept else { return Ok(false) };
    let news = kept.news(plan.forge).await.map_err(Failure::forge)?;
    Ok(!matches!(news, News::Late(_)))
}

/// Where people find the log of this slug.
fn page(slug: &Slug, cx: &Executor) -> String {
    cx.logs.store.url(&Folder::from(slug).own(Own::Page))
}

/// Tells that the job came too late: its pull is closed or has another head. Its log has that one line, for who follows the link.
async fn supersede(plan: &Plan<'_>, stale: &Verdict, work: &Work, cx: &Executor) -> Result<(), Failure> {
    tracing::info!(repo.name = %plan.job.repo, reason = stale.description(), "the job is stale; nothing is run");
    // Who reports nothing has no reader.
    let url =
        if plan.reports() { note(&plan.slug, &plan.title, stale, work, cx).await? } else { String::new() };
    Reporter { plan, url, work, cx }.end(stale, None).await
}

/// Writes down why a job went wrong before its log was open, for who sees the status, and says where; nowhere if nobody will.
async fn why(
    job: &Job,
    sha: &CommitSha,
    reason: &str,
    work: &Work,
    cx: &Executor,
) -> Result<String, Failure> {
    if job.context.is_none() || cx.forges.get(job.forge.as_ref()).is_none() {
        return Ok(String::new());
    }
    let Ok(slug) = plan::slug(job, sha) else { return Ok(String::new()) };
    let verdict = Verdict::Internal(reason.to_owned());
    note(&slug, &plan::title(job, sha), &verdict, work, cx).await
}

/// Writes a log for a job that is not run, and says where it is; nowhere where it can't be stored, which must not keep anybody
/// from being told.
async fn note(
    slug: &Slug,
    title: &str,
    verdict: &Verdict,
    work: &Work,
    cx: &Executor,
) -> Result<String, Failure> {
    let noted = async {
        let mut log = cx.logs.open(slug).await?;
        let url = log.url();
        log.write(format!("{title}\n\nNot run, on: {}\n", cx.host)).await?;
        end(log, verdict).await.map(|()| url)
    };
    Ok(patient(work, noted).await?.unwrap_or_else(|error| {
        tracing::warn!(error = %Chain(&error), "a job that is not run has no log");
        String::new()
    }))
}

/// Runs the job of a delivery and tells how it ended, unless it will be delivered again.
async fn deliver(plan: &Plan<'_>, log: Log, work: &Work, cx: &Executor) -> Result<(), Failure> {
    let reporter = Reporter { plan, url: log.url(), work, cx };
    let run = Run { plan, work, cx, url: &reporter.url, worker: cx.worker(), shell: None };
    let course = course(&reporter, &run, log).await?;
    tell(&reporter, course).await
}

/// Tells how a job has ended, unless it will be delivered again.
async fn tell(reporter: &Reporter<'_>, course: Course) -> Result<(), Failure> {
    let Course { begun, over: Over { verdict, container }, log } = course;
    // Others may be at it: the log is theirs.
    log.into_iter().for_each(Log::leave);
    let told = match verdict {
        Verdict::Abandoned => Err(Failure::Abandoned),
        _ => reporter.end(&verdict, begun).await,
    };
    put_away(container).await;
    told?;
    match verdict {
        Verdict::Internal(reason) => Err(Failure::Retry(reason)),
        _ => Ok(()),
    }
}

async fn put_away(container: Option<Container>) {
    if let Some(container) = container {
        remove(container).await;
    }
}

/// Goes on with a job that another process of this host has left, and tells how it ended.
pub(super) async fn resume(left: LeftJob, work: &Work, cx: &Executor) -> Result<(), Failure> {
    let LeftJob { begun, container, secrets, .. } = left;
    let secrets: Vec<_> = secrets.into_iter().map(LeftSecrets::own).collect();
    // Without one it ended, and that was told; only its message was not settled.
    let Some(found) = container else { return Ok(()) };
    let ended = go_on(&begun, found, work, cx).await;
    if let Err(Failure::HandedOver) = ended {
        secrets.into_iter().for_each(SecretFolder::leave);
        left::forgive(begun, cx).await;
    }
    ended
}

async fn go_on(begun: &Begun, found: Found, work: &Work, cx: &Executor) -> Result<(), Failure> {
    let task = Task::parse(&work.body).map_err(|it| Failure::Fail(it.outline()))?;
    let Kind::Job(mut job) = task.kind else {
        return Err(Failure::Fail("what was left is no job".to_owned()));
    };
    // What was asked for may be a branch, which may have moved.
    job.sha.get_or_insert_with(|| begun.sha.clone());
    let prepared = async {
        let plan = patient_plan(&job, work, cx).await?;
        let log = patient_log(&plan.slug, work, cx).await?;
        Ok::<_, Failure>((plan, log))
    };
    let prepared = tokio::select! {
        prepared = prepared => prepared,
        // It was left once, and is left once more.
        () = work.handover.cancelled() => return Err(Failure::HandedOver),
    };
    let (plan, mut log) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            left::remove(&cx.container.engine, found).await;
            return Err(failure);
        }
    };
    let reporter = Reporter { plan: &plan, url: log.url(), work, cx };
    let run = Run { plan: &plan, work, cx, url: &reporter.url, worker: cx.worker(), shell: None };
    let fate = run.resume(begun, found, &mut log).await;
    let course = close(&run, reporter.said(), log, fate).await?;
    tell(&reporter, course).await
}

/// Puts away what another worker has begun anew.
pub(super) async fn give_up(left: LeftJob, cx: &Executor) {
    if let Some(found) = left.container {
        left::remove(&cx.container.engine, found).await;
    }
    left.secrets.into_iter().for_each(LeftSecrets::remove);
    if let Some(journal) = cx.journal() {
        left::forget(journal, &left.begun).await;
    }
}

/// A container runs already, so a forge that is away is waited for.
async fn patient_plan<'a>(job: &'a Job, work: &Work, cx: &'a Executor) -> Result<Plan<'a>, Failure> {
    loop {
        match plan::plan(job, cx).await {
            Err(Failure::Later { reason, .. }) => {
                tracing::warn!(reason, "what was left has to wait for the forge");
                rest(work).await?;
            }
            planned => return planned,
        }
    }
}

/// So is a place for logs that is away or full.
async fn patient_log(slug: &Slug, work: &Work, cx: &Executor) -> Result<Log, Failure> {
    let end = Instant::now() + LOG_PATIENCE;
    loop {
        match patient(work, cx.logs.resume(slug)).await? {
            Err(error) if Instant::now() < end => {
                tracing::warn!(error = %Chain(&error), "what was left has to wait for its log");
                rest(work).await?;
            }
            resumed => return resumed.map_err(Failure::retry),
        }
    }
}

/// Before it is asked again whether what is away is back.
async fn rest(work: &Work) -> Result<(), Failure> {
    let pause = tokio::time::sleep(REST);
    work.cancelled.run_until_cancelled(pause).await.ok_or(Failure::Abandoned)
}

const REST: Duration = Duration::from_secs(5);
/// As long as most jobs run: who waits has a slot.
const LOG_PATIENCE: Duration = Duration::from_hours(1);

/// What there is to tell of a run.
struct Course {
    /// The first status.
    begun: Option<NewStatus>,
    over: Over,
    /// That of a run that was abandoned, which has no end yet.
    log: Option<Log>,
}

/// From the first status to the end of the log, for whoever wants the job run. Telling the verdict is theirs, and removing the
/// container, as is what a cancellation means, also for the log. An error is that the forge was not told that the job begins, or that
/// somebody else goes on with it.
async fn course(reporter: &Reporter<'_>, run: &Run<'_>, mut log: Log) -> Result<Course, Failure> {
    let begun = match reporter.begin().await {
        Ok(begun) => begun,
        Err(failure) => {
            end(log, &Verdict::Internal("the forge was not told that the job begins".to_owned())).await.ok();
            return Err(failure);
        }
    };
    let fate = run.run(&mut log).await;
    close(run, begun, log, fate).await
}

/// Ends the log of a run that has ended. That of one that goes on is for the next process to go on with.
async fn close(
    run: &Run<'_>,
    begun: Option<NewStatus>,
    log: Log,
    fate: anyhow::Result<Fate>,
) -> Result<Course, Failure> {
    let over = match fate {
        Ok(Fate::Ended(over)) => *over,
        Ok(Fate::HandedOver) => {
            log.leave();
            return Err(Failure::HandedOver);
        }
        Err(error) => Verdict::Internal(format!("{error:#}")).into(),
    };
    if over.verdict == Verdict::Abandoned {
        return Ok(Course { begun, over, log: Some(log) });
    }
    let ended = tokio::select! {
        ended = patient(run.work, end(log, &over.verdict)) => ended,
        () = lasting(&run.work.handover) => {
            over.container.into_iter().for_each(Container::leave);
            return Err(Failure::HandedOver);
        }
    };
    let verdict = match ended {
        // A log that can't be stored is the infrastructure's trouble, and must not keep anybody from being told.
        Ok(Err(error)) if !over.verdict.is_trouble() => Verdict::Internal(Chain(&error).to_string()),
        Ok(_) => over.verdict,
        Err(_) => Verdict::Abandoned,
    };
    Ok(Course { begun, over: Over { verdict, ..over }, log: None })
}

/// A place for logs may be away for minutes. That must not keep a worker from leaving: what a log has stays as it is.
async fn patient<T>(work: &Work, doing: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::select! {
        done = doing => Ok(done),
        () = lasting(&work.cancelled) => Err(Failure::Abandoned),
    }
}

/// Returns when it was cancelled so long ago that nothing is waited for any more.
async fn lasting(cancelled: &CancellationToken) {
    cancelled.cancelled().await;
    tokio::time::sleep(LEAVING).await;
}

/// How long a log's end may take when the worker leaves.
const LEAVING: Duration = Duration::from_secs(5);

async fn end(mut log: Log, verdict: &Verdict) -> Result<(), LogError> {
    log.write(format!("\n{}\n", verdict.trailer())).await?;
    log.finish().await
}

/// An error with its causes, for a log that ends with it.
fn chain(error: &dyn std::error::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", Chain(error))
}
