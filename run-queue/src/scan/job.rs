//! The job that a context becomes (wire facts, section 3).

use std::collections::BTreeMap;

use common::id::{BranchName, CommitSha, Context, InvalidId, RepoName, Slug};
use common::queue::{Priority, Queue};
use common::task::{EnvName, EnvValue, Job, Kind, Minutes, Subject as TaskSubject, Task};
use jiff::Timestamp;

use super::context::OtherRepo;
use super::{ScanSettings, Subject, TestContext};

/// All that a job is made of.
#[derive(Debug)]
pub struct JobContext<'a> {
    /// The configuration.
    pub settings: &'a ScanSettings,
    /// Where the status is.
    pub repo: &'a RepoName,
    /// The pull or commit.
    pub subject: &'a Subject,
    /// What is asked for.
    pub context: &'a Context,
    /// The same in its parts.
    pub parsed: &'a TestContext,
    /// The pull of the bots repository that the context names.
    pub bots: BotsPull,
    /// For the slug.
    pub now: Timestamp,
}

/// What `bots#PULL` in a context leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BotsPull {
    /// The context names none.
    NotNamed,
    /// Its head.
    Head(CommitSha),
    /// There is no such pull. The job is made all the same, as its failure is what tells the one who asked for it.
    Missing,
}

/// The task, where it goes and how urgent it is.
pub fn job_task(cx: &JobContext<'_>) -> Result<(Task, Queue, Priority), InvalidId> {
    let context = cx.context.as_str();
    let queue = if cx.settings.is_internal(context) { Queue::Internal } else { Queue::Public };
    let priority = if context.contains("/devel") { Priority::HIGH } else { Priority::NORMAL };
    let task = Task { human: Some(human(cx)), kind: Kind::Job(Box::new(job(cx)?)) };
    Ok((task, queue, priority))
}

fn job(cx: &JobContext<'_>) -> Result<Job, InvalidId> {
    let subject = cx.subject;
    Ok(Job {
        repo: cx.repo.clone(),
        forge: None,
        sha: Some(subject.sha.clone()),
        pull: subject.number,
        branch: None,
        target: None,
        context: Some(cx.context.clone()),
        slug: Some(slug(cx)?),
        title: None,
        container: None,
        command: None,
        command_subject: command_subject(cx),
        env: env(cx),
        secrets: cx.settings.secrets_for(cx.repo),
        timeout: Minutes::default(),
        report: subject.number.is_none().then(|| report(&subject.sha)),
    })
}

fn report(sha: &CommitSha) -> common::task::Issue {
    let title = format!("Tests failed on {sha}");
    [("title".to_owned(), title.into()), ("labels".to_owned(), vec!["nightly"].into())].into_iter().collect()
}

fn number(cx: &JobContext<'_>) -> String {
    cx.subject.number.map_or_else(|| "0".to_owned(), |it| it.to_string())
}

fn slug(cx: &JobContext<'_>) -> Result<Slug, InvalidId> {
    let time = cx.now.strftime("%Y%m%d-%H%M%S");
    let context = cx.context.as_str().replace(['/', '@'], "-");
    Slug::new(format!("pull-{}-{}-{time}-{context}", number(cx), cx.subject.sha.short(8)))
}

/// The repository that is tested instead of the one that the status is on. One that names itself is no other.
fn other<'a>(cx: &JobContext<'a>) -> Option<&'a OtherRepo> {
    let named = cx.parsed.other.as_ref();
    named.filter(|it| it.project.forge.is_some() || it.project.repo != *cx.repo)
}

fn command_subject(cx: &JobContext<'_>) -> Option<TaskSubject> {
    let other = other(cx)?;
    Some(TaskSubject {
        forge: other.project.forge.clone(),
        repo: other.project.repo.clone(),
        sha: None,
        branch: tested_branch(cx),
        pull: None,
        target: None,
    })
}

/// The branch that is tested: of the repository that the context names, else the pull's base.
fn tested_branch(cx: &JobContext<'_>) -> Option<BranchName> {
    match &cx.parsed.other {
        Some(other) => other.branch.clone().or_else(|| cx.settings.test_map.default_branch(&other.project)),
        None => cx.subject.base.clone(),
    }
}

/// The bots that the test uses. Tests of the bots repository itself bring their own.
fn bots_ref(cx: &JobContext<'_>) -> Option<String> {
    if *cx.repo == cx.settings.bots_repo {
        return other(cx).map(|_| cx.subject.sha.to_string());
    }
    Some(match &cx.bots {
        BotsPull::Head(head) => head.to_string(),
        // No commit and no branch, to the letter as in existing deployments.
        BotsPull::Missing => "xxx".to_owned(),
        BotsPull::NotNamed => "main".to_owned(),
    })
}

fn env(cx: &JobContext<'_>) -> BTreeMap<EnvName, EnvValue> {
    let variables = [
        ("TEST_OS", Some(cx.parsed.image.clone())),
        ("TEST_SCENARIO", cx.parsed.scenario.clone()),
        ("TEST_REVISION", Some(cx.subject.sha.to_string())),
        ("COCKPIT_BOTS_REF", bots_ref(cx)),
        ("BASE_BRANCH", tested_branch(cx).map(String::from)),
        ("TEST_PULL", cx.subject.number.map(|it| it.to_string())),
    ];
    let typed = |(name, value): (&str, Option<String>)| {
        Some((EnvName::try_from(name.to_owned()).ok()?, EnvValue::try_from(value?).ok()?))
    };
    variables.into_iter().filter_map(typed).collect()
}

/// The line for people: columns as the old scanner pads them.
fn human(cx: &JobContext<'_>) -> String {
    let pull = format!("pull-{}", number(cx));
    let image = &cx.parsed.image_scenario;
    let project = cx.parsed.other.as_ref().map_or(cx.repo, |it| &it.project.repo);
    let bots = bots_ref(cx).map(|it| format!(" [bots@{it}]")).unwrap_or_default();
    let branch = tested_branch(cx).map(|it| format!("   {{{it}}}")).unwrap_or_default();
    format!("{pull:11} {image:25} {:10}   ({project}){bots}{branch}", cx.subject.sha.short(7))
}

#[cfg(test)]
mod tests {
    use common::id::PullNumber;

    use super::*;

    fn subject(number: u64) -> Subject {
        Subject {
            number: PullNumber::new(number),
            author: "alice".to_owned(),
            title: String::new(),
            no_test: false,
            sha: "abcdef".parse().unwrap(),
            base: (number > 0).then(|| "main".parse().unwrap()),
        }
    }

    fn task(repo: &str, subject: &Subject, context: &str, bots: BotsPull) -> (Task, Queue, Priority) {
        job_task(&JobContext {
            settings: &ScanSettings::default(),
            repo: &repo.parse().unwrap(),
            subject,
            context: &context.parse().unwrap(),
            parsed: &context.parse().unwrap(),
            bots,
            now: "2026-11-20T08:00:00Z".parse().unwrap(),
        })
        .unwrap()
    }

    fn env_of(task: &Task, name: &str) -> Option<String> {
        let Kind::Job(job) = &task.kind else { return None };
        job.env.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value.as_str().to_owned())
    }

    #[test]
    fn a_pull_becomes_the_job_of_the_golden_file() {
        let (task, queue, priority) = task("o/r", &subject(1), "fedora/nightly", BotsPull::NotNamed);
        let golden = include_str!("../../../common/golden/job-scan-1.json");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&task.to_json()), value(golden));
        assert_eq!((queue, priority), (Queue::Public, Priority::NORMAL));
    }

    #[test]
    fn a_commit_without_a_pull_reports_an_issue() {
        let (task, ..) = task("o/r", &subject(0), "fedora", BotsPull::NotNamed);
        let Kind::Job(job) = &task.kind else { panic!("{task:?}") };
        let report = serde_json::to_value(&job.report).unwrap();
        assert_eq!(report, serde_json::json!({"title": "Tests failed on abcdef", "labels": ["nightly"]}));
        assert_eq!(env_of(&task, "TEST_PULL"), None);
        assert_eq!(
            task.human.unwrap(),
            "pull-0      fedora                    abcdef       (o/r) [bots@main]"
        );
    }

    #[test]
    fn contexts_choose_queue_and_priority() {
        let (_, queue, priority) = task("o/r", &subject(1), "rhel-9/devel", BotsPull::NotNamed);
        assert_eq!((queue, priority), (Queue::Internal, Priority::HIGH));
    }

    #[test]
    fn a_context_that_names_a_repository_runs_the_command_from_there() {
        let (task, ..) =
            task("cockpit-project/bots", &subject(3), "fedora@gitea:o/r/stable", BotsPull::NotNamed);
        let Kind::Job(job) = &task.kind else { panic!("{task:?}") };
        let subject = serde_json::to_value(&job.command_subject).unwrap();
        assert_eq!(subject, serde_json::json!({"forge": "gitea", "repo": "o/r", "branch": "stable"}));
        assert_eq!(env_of(&task, "COCKPIT_BOTS_REF").unwrap(), "abcdef");
        assert_eq!(env_of(&task, "BASE_BRANCH").unwrap(), "stable");
        assert!(task.human.unwrap().ends_with("(o/r) [bots@abcdef]   {stable}"));
    }

    #[test]
    fn the_bots_repository_tests_itself_without_other_bots() {
        let (task, ..) = task("cockpit-project/bots", &subject(3), "fedora@bots#7", BotsPull::NotNamed);
        assert_eq!(env_of(&task, "COCKPIT_BOTS_REF"), None);
        assert!(task.human.unwrap().ends_with("abcdef       (cockpit-project/bots)   {main}"));
    }

    #[test]
    fn a_context_that_names_its_own_repository_is_tested_there() {
        let (task, ..) = task("o/r", &subject(1), "fedora@o/r/stable", BotsPull::NotNamed);
        let Kind::Job(job) = &task.kind else { panic!("{task:?}") };
        assert_eq!(job.command_subject, None);
        assert_eq!(env_of(&task, "BASE_BRANCH").unwrap(), "stable");
    }

    #[test]
    fn a_context_that_names_a_bots_pull_uses_its_head() {
        let head = "0123456789".parse().unwrap();
        for (bots, reference) in [(BotsPull::Head(head), "0123456789"), (BotsPull::Missing, "xxx")] {
            let (task, ..) = task("o/r", &subject(1), "fedora@bots#7", bots);
            assert_eq!(env_of(&task, "COCKPIT_BOTS_REF").unwrap(), reference);
            assert!(task.human.unwrap().contains(&format!(" [bots@{reference}] ")));
        }
    }
}
