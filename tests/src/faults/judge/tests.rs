//! The judge is judged: each wrong has its finding, and what is right has none.

use common::forge::StatusState;
use common::id::{PullNumber, RepoName};
use jiff::Timestamp;

use super::super::fault::Place;
use super::super::schedule::Change;
use super::super::send::Unanswered;
use super::super::shelf::printed;
use super::super::times::Times;
use super::*;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffff";
const URL: &str = "http://logs/a/log.html";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn excuse(loss: Loss, from: i64, to: i64) -> Excuse {
    Excuse { place: Place::Worker(0), loss, worker: Some(7), from: at(from), to: Some(at(to)) }
}

fn excuses(all: &[Excuse]) -> Excuses {
    Excuses::new(all, Times::Short)
}

/// A pull with one commit that is green, and what is known of it.
#[derive(Clone)]
struct Case {
    end: End,
    triggers: usize,
    statuses: Vec<StatusRecord>,
    runs: Vec<Signed>,
    log: String,
    excuses: Vec<Excuse>,
}

impl Case {
    /// Begun, run, told.
    fn clean() -> Self {
        let case = Self {
            end: End::Open,
            triggers: 0,
            statuses: Vec::new(),
            runs: Vec::new(),
            log: format!("title\n\n{}\nJob ran successfully.  :)\n", printed(SHA, "r1")),
            excuses: Vec::new(),
        };
        case.waits(9).begun(10, URL).ran("r1", 11, 15).green(16, URL)
    }

    fn bare(self) -> Self {
        Self { statuses: Vec::new(), runs: Vec::new(), ..self }
    }

    fn status(mut self, second: i64, state: StatusState, description: &str, url: &str) -> Self {
        let id = self.statuses.len() + 1;
        let (sha, context) = (SHA.parse().unwrap(), "debian".to_owned());
        let (description, target_url) = (Some(description.to_owned()), Some(url.to_owned()));
        self.statuses.push(StatusRecord { id, sha, context, state, description, target_url, at: at(second) });
        self
    }

    fn waits(self, second: i64) -> Self {
        self.status(second, StatusState::Pending, "Not yet tested", "")
    }

    fn begun(self, second: i64, url: &str) -> Self {
        self.status(second, StatusState::Pending, "In progress [host]", url)
    }

    fn green(self, second: i64, url: &str) -> Self {
        self.status(second, StatusState::Success, "Success [host]", url)
    }

    fn ran(mut self, run: &str, begin: i64, last: i64) -> Self {
        let (run, sha, context) = (run.to_owned(), SHA.to_owned(), "debian".to_owned());
        self.runs.push(Signed { run, sha, context, begin: at(begin), last: at(last) });
        self
    }

    fn excused(mut self, loss: Loss, from: i64, to: i64) -> Self {
        self.excuses.push(excuse(loss, from, to));
        self
    }

    fn triggered(self) -> Self {
        let case = self.status(20, StatusState::Pending, "Not yet tested (direct trigger)", URL);
        Self { triggers: 1, ..case }
    }

    fn pull(&self) -> PullStory {
        let change = Change { takes: std::time::Duration::ZERO, passes: true };
        let head = Head { sha: SHA.parse().unwrap(), change, triggers: self.triggers };
        PullStory {
            repo: RepoName::new("o/r").unwrap(),
            contexts: vec!["debian".to_owned()],
            number: PullNumber::new(1).unwrap(),
            heads: vec![head],
            end: self.end,
        }
    }

    /// What is found, without the beginning that is the same for all.
    fn found(&self) -> Vec<String> {
        let pull = self.pull();
        let stored = |_: &StatusRecord| Stored {
            names: vec!["log".to_owned(), "log.html".to_owned()],
            log: Some(self.log.clone()),
        };
        let mut verdict = Verdict::default();
        verdict.pull(&pull, |_| self.statuses.clone(), stored, &self.runs, &excuses(&self.excuses));
        let words = |it: &str| it.trim_start_matches("debian of o/r#1 at 0123456789ab ").to_owned();
        verdict.findings().map(|(kind, it)| format!("{kind}: {}", words(&it.what))).collect()
    }
}

fn one(case: &Case) -> String {
    let found = case.found();
    assert_eq!(found.len(), 1, "{found:?}");
    found.concat()
}

#[test]
fn a_clean_ledger_has_no_finding() {
    let none: [String; 0] = [];
    assert_eq!(Case::clean().found(), none);
    let again = Case::clean().triggered().begun(21, URL).ran("r1", 22, 25).green(26, URL);
    assert_eq!(again.found(), none, "asked for twice");
    let closed = Case { end: End::Closed, ..Case::clean().bare() };
    assert_eq!(closed.found(), none, "nobody wants it any more");
    let given_up = closed.begun(10, URL).ran("r1", 11, 12);
    let given_up = given_up.status(13, StatusState::Failure, "o/r#1 is closed [host]", URL);
    assert_eq!(given_up.found(), none);
}

#[test]
fn a_lost_task_is_found() {
    let bare = Case::clean().bare();
    assert_eq!(one(&bare), "lost: has no status");
    assert_eq!(one(&bare.clone().waits(9)), "lost: has no verdict");
    assert_eq!(one(&bare.clone().begun(10, URL)), "lost: was begun and has no end");
    let closed = Case { end: End::Closed, ..bare };
    assert_eq!(one(&closed.begun(10, URL)), "lost: was begun and has no end");
    let error = Case::clean().status(17, StatusState::Error, "Internal error [host]", URL);
    assert_eq!(one(&error), "lost: has no verdict", "the error of an older attempt came after it");
}

#[test]
fn a_doubled_verdict_is_found() {
    assert_eq!(one(&Case::clean().green(17, URL)), "doubled: has more than one verdict");
    let again = Case::clean().begun(18, URL).ran("r2", 19, 20).green(21, URL);
    let found = again.found();
    assert_eq!(found[0], "doubled: has more than one verdict");
    assert!(found[1].starts_with("doubled: ran again at "), "{found:?}");
}

#[test]
fn what_begins_again_for_no_reason_is_found() {
    let twice = |first: i64, second: i64| {
        let case = Case::clean().bare().begun(10, URL).ran("r0", 11, first).begun(second, URL);
        case.ran("r1", second, second + 2).green(second + 3, URL)
    };
    let found = twice(12, 30).found();
    assert!(
        found
            .iter()
            .all(|it| it.starts_with("doubled: was begun again") || it.starts_with("doubled: ran again"))
    );
    assert_eq!(found.len(), 2, "{found:?}");
    let none: [String; 0] = [];
    assert_eq!(twice(12, 30).excused(Loss::Process, 12, 14).found(), none);
    assert_eq!(twice(12, 30).excused(Loss::Broker, 12, 25).found(), none);
    let forge = twice(12, 30).excused(Loss::Forge, 12, 25);
    assert!(
        one(&forge).starts_with("doubled: ran again at "),
        "a forge that is away is no reason to run again"
    );
    assert_eq!(twice(12, 30).excused(Loss::Process, 40, 41).found().len(), 2, "long after");
}

#[test]
fn what_runs_twice_at_once_is_found() {
    let at_once = |loss, until| {
        let case = Case::clean().bare().begun(10, URL).ran("r0", 11, 35).begun(30, URL);
        case.ran("r1", 30, 32).green(33, URL).excused(loss, 12, until)
    };
    assert!(one(&at_once(Loss::Broker, 29)).contains("while it ran already"), "the fence did not hold");
    assert!(one(&at_once(Loss::Process, 13)).contains("while it ran already"), "the next one takes it over");
    let none: [String; 0] = [];
    assert_eq!(at_once(Loss::Process, 28).found(), none, "a container whose worker is gone runs on");
}

#[test]
fn a_verdict_of_an_older_attempt_is_found() {
    let older = Case::clean().bare().begun(10, URL).waits(11).begun(12, "http://logs/b/log.html");
    let older = older.ran("r1", 12, 14).green(15, URL).excused(Loss::Process, 10, 11);
    assert!(one(&older).ends_with("which is not of the attempt that began last"));
    assert!(
        one(&Case::clean().bare().green(15, URL)).ends_with("which is not of the attempt that began last")
    );
}

#[test]
fn a_verdict_that_is_not_the_commits_own_is_found() {
    let red = Case::clean().bare().begun(10, URL).ran("r1", 11, 12);
    let red = red.status(13, StatusState::Failure, "Container exited with code 1 [host]", URL);
    assert!(one(&red).contains("must be Success"));
    let given_up = Case::clean().bare().begun(10, URL);
    let given_up = given_up.status(13, StatusState::Failure, "o/r#1 changed [host]", URL);
    assert_eq!(one(&given_up), "wrong: was given up: o/r#1 changed [host]");
    let log = format!("title\n\n{}\nJob ran successfully.  :)\n", printed(OTHER, "r1"));
    assert!(one(&Case { log, ..Case::clean() }).contains(&format!("its log is that of {OTHER}")));
    let log = Case::clean().log.replacen("part 3 line 50\n", "", 1);
    let gap = Case { log, ..Case::clean() };
    assert!(one(&gap).contains("its log differs"));
    let full = |from, to| {
        let full = Excuse { place: Place::Disk, ..excuse(Loss::Disk, from, to) };
        Case { excuses: vec![full], ..gap.clone() }
    };
    let none: [String; 0] = [];
    assert_eq!(full(12, 14).found(), none);
    assert!(one(&full(12, 17)).contains("its log differs"), "it is full at the end, which is seen");
    assert!(one(&full(2, 9)).contains("its log differs"), "it was full before");
}

#[test]
fn who_asks_nobody_may_do_it_twice_but_not_lose_it() {
    let shared = Case::clean().status(20, StatusState::Pending, "In progress [older]", "");
    assert_eq!(one(&shared), "lost: was begun and has no end");
    let none: [String; 0] = [];
    assert_eq!(shared.status(25, StatusState::Success, "Success [older]", "").found(), none);
}

fn sent(wrong: &[&str], unanswered: &[(i64, i64)]) -> Sent {
    let unanswered = unanswered
        .iter()
        .map(|(from, to)| Unanswered { what: "no answer".to_owned(), time: (at(*from), at(*to)) });
    let wrong = wrong.iter().map(ToString::to_string).collect();
    Sent {
        tries: 2,
        accepted: true,
        wrong,
        unanswered: unanswered.collect(),
        ..Sent::new("an event".to_owned())
    }
}

#[test]
fn only_a_receiver_that_is_killed_gives_no_answer() {
    let wrong = |sent: &Sent, all: &[Excuse]| {
        let mut verdict = Verdict::default();
        verdict.sent(std::slice::from_ref(sent), &excuses(all));
        verdict.wrong.len()
    };
    let killed = excuse(Loss::Receiver, 10, 12);
    assert_eq!(wrong(&sent(&[], &[]), &[]), 0);
    assert_eq!(wrong(&sent(&["500"], &[]), &[killed]), 1);
    assert_eq!(wrong(&sent(&[], &[(11, 12)]), &[killed]), 0);
    assert_eq!(wrong(&sent(&[], &[(13, 14)]), &[killed]), 1);
    assert_eq!(wrong(&sent(&[], &[(11, 12)]), &[excuse(Loss::Broker, 10, 12)]), 1, "it has to say 503");
    assert_eq!(wrong(&Sent::new("an event".to_owned()), &[]), 1, "never accepted");
}

/// A command that was asked for once, and what is said of these runs of it: lost, doubled.
fn judged(runs: &[(i64, Option<i64>)], all: &[Excuse]) -> (usize, usize) {
    let name = "command-0".to_owned();
    let run = |(begin, end): &(i64, Option<i64>)| Run {
        name: name.clone(),
        worker: 7,
        begin: at(*begin),
        end: end.map(at),
    };
    let asked = Asked { pulls: Vec::new(), commands: vec![name.clone()] };
    let sent = [Sent { tries: 1, accepted: true, ..Sent::new(name.clone()) }];
    let mut verdict = Verdict::default();
    verdict.commands(&asked, &runs.iter().map(run).collect::<Vec<_>>(), &sent, &excuses(all));
    (verdict.lost.len(), verdict.doubled.len())
}

#[test]
fn a_command_runs_once_unless_its_worker_was_in_trouble() {
    let trouble = |worker, from| Excuse { worker: Some(worker), ..excuse(Loss::Process, from, from + 1) };
    assert_eq!(judged(&[(1, Some(2))], &[]), (0, 0));
    assert_eq!(judged(&[], &[]), (1, 0));
    assert_eq!(judged(&[(1, None)], &[trouble(7, 1)]), (1, 0));
    let twice = [(10, None), (20, Some(21))];
    assert_eq!(judged(&twice, &[]), (0, 1));
    assert_eq!(judged(&twice, &[trouble(7, 12)]), (0, 0));
    assert_eq!(judged(&twice, &[trouble(8, 12)]), (0, 1), "another worker's trouble");
    assert_eq!(judged(&twice, &[trouble(7, 2)]), (0, 1), "long before");
    assert_eq!(judged(&twice, &[excuse(Loss::Handover, 12, 12)]), (0, 0));
    let beside = [(10, Some(30)), (20, None)];
    assert_eq!(judged(&beside, &[excuse(Loss::Broker, 12, 25)]), (0, 0), "the first has settled it");
    assert_eq!(judged(&[(10, None), (20, None)], &[trouble(7, 12)]), (1, 0));
}

/// What is found of a claim on the job of a case, which so many hold.
fn claim_left(case: &Case, holders: u32) -> Vec<String> {
    let pull = case.pull();
    let head = pull.heads.first().unwrap();
    let work = Claimable::job(&pull, head, "debian", &case.statuses, &case.runs).unwrap();
    let left = [LeftClaim { name: work.claim(), holders }];
    let mut verdict = Verdict::default();
    verdict.claims(&left, &[work], &excuses(&case.excuses));
    verdict.wrong.into_iter().map(|it| it.what).collect()
}

#[test]
fn a_claim_is_left_by_who_is_lost_before_giving_it_up_and_by_nobody_else() {
    let found = claim_left(&Case::clean(), 0).concat();
    assert!(found.ends_with(" is left, on debian of o/r#1 at 0123456789ab, with 0 who hold it"), "{found}");
    let none: [String; 0] = [];
    assert_eq!(claim_left(&Case::clean().excused(Loss::Process, 16, 17), 0), none);
    assert_eq!(claim_left(&Case::clean().excused(Loss::Broker, 18, 30), 0), none);
    assert_eq!(claim_left(&Case::clean().excused(Loss::Process, 16, 17), 1).len(), 1, "somebody has it");
    assert_eq!(claim_left(&Case::clean().excused(Loss::Process, 10, 14), 0).len(), 1, "before the end");
    assert_eq!(claim_left(&Case::clean().excused(Loss::Broker, 40, 50), 0).len(), 1, "long after");
    assert_eq!(claim_left(&Case::clean().excused(Loss::Forge, 16, 17), 0).len(), 1);
    let shared = Case::clean().status(20, StatusState::Success, "Success [older]", "");
    assert_eq!(claim_left(&shared, 0), none);
}
