//! What a scan decides (wire facts, section 3, "tests-scan"). The order of the checks is protocol.

use common::forge::{Status, StatusState};
use common::id::{Context, RepoName};

use super::{ScanSettings, Subject, TestContext};

/// Which contexts a scan is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Those that a commit has or should have.
    Nothing,
    /// These, by somebody who names them.
    ByName(Vec<Context>),
    /// This one, by the event of a status.
    ByStatus(Context),
}

impl Asked {
    /// The contexts that are asked for.
    #[must_use]
    pub fn contexts(&self) -> &[Context] {
        match self {
            Self::Nothing => &[],
            Self::ByName(contexts) => contexts,
            Self::ByStatus(context) => std::slice::from_ref(context),
        }
    }
}

/// What is done about a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Skip(Skipped),
    /// Post `Manual testing required`; no run.
    AskFirst,
    /// Post `Not yet tested`, then run.
    PostAndRun,
    /// Run; the status says so already.
    Run,
}

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// It is green or red already.
    Judged,
    /// Its author wants no tests.
    NoTest,
    /// Some worker is at it.
    InProgress,
    /// It would have to be posted that a maintainer must ask for it, and that is posted.
    WaitsForApproval,
    /// It is not of the grammar.
    NoContext,
    /// The event that asks for it comes too late.
    Outdated,
}

pub(super) const DIRECT_TRIGGER: &str = "Not yet tested (direct trigger)";
pub(super) const MANUAL: &str = "Manual testing required";

/// The contexts to consider, and what is done about each, in order.
#[must_use]
pub fn decide(
    settings: &ScanSettings,
    repo: &RepoName,
    subject: &Subject,
    statuses: &[Status],
    asked: &Asked,
) -> Vec<(Context, Decision)> {
    // The statuses of another CI, which may be faster than we are, are none to us.
    let known: Vec<(Context, &Status)> = statuses
        .iter()
        .filter_map(|it| Some((Context::new(&*it.context).ok()?, it)))
        .filter(|(context, _)| is_known(settings, repo, context))
        .collect();
    let decide = |context: Context| {
        let status = known.iter().find(|(it, _)| *it == context).map(|(_, status)| *status);
        let decision = match asked {
            Asked::ByStatus(_) if status.is_none() && is_settled(statuses, &context) => {
                Decision::Skip(Skipped::Outdated)
            }
            _ => decide_one(settings, subject, status, &context),
        };
        (context, decision)
    };
    contexts(settings, repo, subject, &known, asked.contexts()).into_iter().map(decide).collect()
}

pub(super) fn is_known(settings: &ScanSettings, repo: &RepoName, context: &Context) -> bool {
    context.as_str().parse().is_ok_and(|it: TestContext| settings.test_map.is_valid(repo, &it))
}

/// Those that are asked for, else those that the commit has. A commit without any gets those of its base branch; of what is asked
/// for, this adds the plain form of a context that names a repository or a bots pull, where the base branch lists it.
fn contexts(
    settings: &ScanSettings,
    repo: &RepoName,
    subject: &Subject,
    known: &[(Context, &Status)],
    asked: &[Context],
) -> Vec<Context> {
    let mut contexts: Vec<Context> = Vec::new();
    let mut add = |context: &Context| {
        if !contexts.contains(context) {
            contexts.push(context.clone());
        }
    };
    asked.iter().for_each(&mut add);
    if asked.is_empty() {
        known.iter().map(|(context, _)| context).for_each(&mut add);
    }
    if let (true, Some(base)) = (known.is_empty(), &subject.base) {
        let listed: Vec<&Context> = settings.test_map.contexts(repo, base).collect();
        if asked.is_empty() {
            listed.into_iter().for_each(add);
        } else {
            let asked = asked.iter().filter_map(|it| it.as_str().parse::<TestContext>().ok());
            let plain = asked.map(|it| it.image_scenario);
            plain.filter_map(|it| listed.iter().copied().find(|listed| listed.as_str() == it)).for_each(add);
        }
    }
    contexts
}

/// Whether a context that the test map does not know is done, or being done, since it was asked for: the event comes late.
fn is_settled(statuses: &[Status], context: &Context) -> bool {
    let status = statuses.iter().find(|it| it.context == context.as_str());
    status.is_some_and(|it| {
        it.state.is_verdict() || is_in_progress(it.description.as_deref().unwrap_or_default())
    })
}

/// Old scanners know only the first, while old runners post the second.
fn is_in_progress(description: &str) -> bool {
    description.starts_with("Testing in progress") || description.starts_with("In progress")
}

fn decide_one(
    settings: &ScanSettings,
    subject: &Subject,
    status: Option<&Status>,
    context: &Context,
) -> Decision {
    let state = status.map(|it| it.state);
    let description = status.and_then(|it| it.description.as_deref()).unwrap_or_default();
    if context.as_str().parse::<TestContext>().is_err() {
        return Decision::Skip(Skipped::NoContext);
    }
    if state.is_some_and(StatusState::is_verdict) {
        return Decision::Skip(Skipped::Judged);
    }
    let unwanted = subject.no_test || subject.title.contains("[no-test]");
    if unwanted && description != DIRECT_TRIGGER {
        return Decision::Skip(Skipped::NoTest);
    }
    if is_in_progress(description) {
        return Decision::Skip(Skipped::InProgress);
    }
    let unasked = description.is_empty() || description == MANUAL;
    if unasked && !settings.allow_list.allows(&subject.author) {
        return if description == MANUAL && state == Some(StatusState::Pending) {
            Decision::Skip(Skipped::WaitsForApproval)
        } else {
            Decision::AskFirst
        };
    }
    if state == Some(StatusState::Pending) { Decision::Run } else { Decision::PostAndRun }
}

#[cfg(test)]
mod tests {
    use common::id::PullNumber;

    use super::super::{AllowList, TestMap};
    use super::*;

    fn settings() -> ScanSettings {
        let mut test_map = TestMap::default();
        for context in ["fedora", "fedora/devel", "rhel-9"] {
            test_map.insert("o/r".parse().unwrap(), "main".parse().unwrap(), [context.parse().unwrap()]);
        }
        ScanSettings {
            test_map,
            allow_list: AllowList::from_text("alice\ncockpit-project"),
            ..ScanSettings::default()
        }
    }

    fn pull(author: &str) -> Subject {
        Subject {
            number: PullNumber::new(1),
            author: author.to_owned(),
            title: "a title".to_owned(),
            no_test: false,
            sha: "abcdef0123".parse().unwrap(),
            base: Some("main".parse().unwrap()),
        }
    }

    fn status(context: &str, state: StatusState, description: Option<&str>) -> Status {
        Status {
            context: context.to_owned(),
            state,
            description: description.map(str::to_owned),
            target_url: None,
            updated_at: None,
        }
    }

    fn decisions(subject: &Subject, statuses: &[Status], asked: &[&str]) -> Vec<(String, Decision)> {
        let asked: Vec<Context> = asked.iter().map(|it| it.parse().unwrap()).collect();
        let asked = if asked.is_empty() { Asked::Nothing } else { Asked::ByName(asked) };
        told(&asked, subject, statuses)
    }

    fn told(asked: &Asked, subject: &Subject, statuses: &[Status]) -> Vec<(String, Decision)> {
        let decided = decide(&settings(), &"o/r".parse().unwrap(), subject, statuses, asked);
        decided.into_iter().map(|(context, decision)| (context.to_string(), decision)).collect()
    }

    fn one(author: &str, state: StatusState, description: Option<&str>) -> Decision {
        decisions(&pull(author), &[status("fedora", state, description)], &[])[0].1
    }

    #[test]
    fn a_commit_without_statuses_gets_the_contexts_of_its_base_branch() {
        let decided = decisions(&pull("alice"), &[], &[]);
        let expected = ["fedora", "fedora/devel", "rhel-9"].map(|it| (it.to_owned(), Decision::PostAndRun));
        assert_eq!(decided, expected);
        assert_eq!(
            decisions(&Subject { base: Some("other".parse().unwrap()), ..pull("alice") }, &[], &[]),
            []
        );
        assert_eq!(decisions(&Subject::bare(&"abcdef".parse().unwrap()), &[], &[]), []);
    }

    #[test]
    fn a_commit_with_statuses_gets_those_that_the_test_map_knows() {
        let statuses = [
            status("other-ci", StatusState::Pending, None),
            status("rhel-9", StatusState::Error, Some("Internal error")),
        ];
        assert_eq!(decisions(&pull("alice"), &statuses, &[]), [("rhel-9".to_owned(), Decision::PostAndRun)]);
    }

    #[test]
    fn statuses_of_another_ci_do_not_keep_a_pull_from_its_contexts() {
        let statuses = [status("other-ci", StatusState::Pending, None)];
        assert_eq!(decisions(&pull("alice"), &statuses, &[]), decisions(&pull("alice"), &[], &[]));
        assert_eq!(decisions(&Subject::bare(&"abcdef".parse().unwrap()), &statuses, &[]), []);
    }

    #[test]
    fn contexts_that_are_asked_for_are_the_only_ones() {
        let statuses = [status("rhel-9", StatusState::Pending, Some(DIRECT_TRIGGER))];
        let decided = decisions(&Subject::bare(&"abcdef".parse().unwrap()), &statuses, &["rhel-9", "arch"]);
        assert_eq!(
            decided,
            [("rhel-9".to_owned(), Decision::Run), ("arch".to_owned(), Decision::PostAndRun)]
        );
        assert_eq!(
            decisions(&pull("alice"), &[], &["@"]),
            [("@".to_owned(), Decision::Skip(Skipped::NoContext))]
        );
    }

    #[test]
    fn what_is_asked_for_on_a_fresh_pull_brings_its_plain_form() {
        let plain = ("fedora".to_owned(), Decision::PostAndRun);
        let row = |context: &str| vec![(context.to_owned(), Decision::PostAndRun), plain.clone()];
        assert_eq!(decisions(&pull("alice"), &[], &["fedora@bots#7"]), row("fedora@bots#7"));
        assert_eq!(decisions(&pull("alice"), &[], &["fedora@o/x"]), row("fedora@o/x"));
        assert_eq!(decisions(&pull("alice"), &[], &["fedora", "fedora"]), row("fedora")[..1]);
        let other = status("rhel-9", StatusState::Error, None);
        assert_eq!(decisions(&pull("alice"), &[other], &["fedora@bots#7"]), row("fedora@bots#7")[..1]);
        let bare = Subject::bare(&"abcdef".parse().unwrap());
        assert_eq!(decisions(&bare, &[], &["fedora@bots#7"]), row("fedora@bots#7")[..1]);
    }

    #[test]
    fn statuses_that_the_test_map_does_not_know_do_not_count() {
        let unknown = |state, description| [status("arch", state, Some(description))];
        let asked = Asked::ByStatus("arch".parse().unwrap());
        let one = |asked: &Asked, statuses: &[Status]| told(asked, &pull("alice"), statuses)[0].1;
        let by_name = Asked::ByName(vec!["arch".parse().unwrap()]);
        assert_eq!(one(&by_name, &unknown(StatusState::Success, "Success")), Decision::PostAndRun);
        assert_eq!(one(&asked, &unknown(StatusState::Pending, DIRECT_TRIGGER)), Decision::PostAndRun);
        assert_eq!(one(&asked, &unknown(StatusState::Error, "Internal error")), Decision::PostAndRun);
        let outdated = Decision::Skip(Skipped::Outdated);
        assert_eq!(one(&asked, &unknown(StatusState::Success, "Success")), outdated);
        assert_eq!(one(&asked, &unknown(StatusState::Pending, "In progress [host]")), outdated);
    }

    #[test]
    fn states_and_descriptions_decide_in_the_order_of_the_wire_facts() {
        use Decision::{AskFirst, PostAndRun, Run, Skip};
        use StatusState::{Error, Failure, Pending, Success};
        let skip = Skip;
        for (author, state, description, expected) in [
            ("alice", Success, None, skip(Skipped::Judged)),
            ("alice", Failure, Some("Timeout"), skip(Skipped::Judged)),
            ("alice", Error, None, PostAndRun),
            ("alice", Pending, Some("Not yet tested"), Run),
            ("alice", Pending, Some(DIRECT_TRIGGER), Run),
            ("alice", Pending, Some("In progress [host]"), skip(Skipped::InProgress)),
            ("alice", Pending, Some("Testing in progress [host]"), skip(Skipped::InProgress)),
            ("alice", Pending, Some(MANUAL), Run),
            ("mallory", Pending, None, AskFirst),
            ("mallory", Pending, Some(MANUAL), skip(Skipped::WaitsForApproval)),
            ("mallory", Error, Some(MANUAL), AskFirst),
            ("mallory", Pending, Some(DIRECT_TRIGGER), Run),
            ("mallory", Pending, Some("Not yet tested"), Run),
            ("mallory", Success, None, skip(Skipped::Judged)),
        ] {
            assert_eq!(one(author, state, description), expected, "{author} {state:?} {description:?}");
        }
        assert_eq!(decisions(&pull("mallory"), &[], &["fedora"])[0].1, AskFirst);
    }

    #[test]
    fn pulls_that_want_no_tests_get_none_unless_triggered_by_hand() {
        let labelled = Subject { no_test: true, ..pull("alice") };
        let titled = Subject { title: "fix [no-test]".to_owned(), ..pull("alice") };
        for subject in [labelled, titled] {
            assert_eq!(decisions(&subject, &[], &[])[0].1, Decision::Skip(Skipped::NoTest));
            let triggered = [status("fedora", StatusState::Pending, Some(DIRECT_TRIGGER))];
            assert_eq!(decisions(&subject, &triggered, &[])[0].1, Decision::Run);
        }
    }
}
