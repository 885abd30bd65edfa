//! Situations of `tests-scan`.

use fastrand::Rng;
use serde_json::{Value, json};

use super::super::world::{Pull, Repository, Status};
use super::super::{AMQP, Program, Situation};
use super::words::{AUTHORS, BROKEN, DESCRIPTIONS, KNOWN, LABELS, STATES, TITLES, UNKNOWN};
use super::{BOTS, COCKPIT, Draft, UPSTREAM, group, one, percent, sha};

/// Where most of it happens, and where it is decided otherwise.
const REPOS: [&str; 9] = [
    COCKPIT,
    COCKPIT,
    COCKPIT,
    COCKPIT,
    BOTS,
    "rhinstaller/anaconda-webui",
    "weldr/lorax",
    "cockpit-project/starter-kit",
    "octo/unlisted",
];

const OUTPUTS: [&[&str]; 8] = [
    &["--amqp", AMQP],
    &["--amqp", AMQP],
    &["--amqp", AMQP],
    &[],
    &["-v"],
    &["-n"],
    &["--dry", "--human-readable"],
    &["-n", "--amqp", AMQP],
];

const INJECTED: [&str; 4] =
    ["main/injected/scenario", "_manual/injected", "rhel-8/rhel-injected", "new/arch/new"];

pub(super) fn all() -> Vec<Situation> {
    let mut all = matrix();
    all.extend(group("tests-scan", 1, 300, |rng| any(rng, &KNOWN)));
    all.extend(group("tests-scan without statuses", 2, 60, fresh));
    all.extend(group("tests-scan of what is broken", 3, 48, broken));
    all.extend(group("tests-scan by options alone", 4, 12, options));
    all.extend(pages());
    all
}

/// Every state with every description, for every kind of pull.
fn matrix() -> Vec<Situation> {
    let mut rng = Rng::with_seed(0);
    let mut all = Vec::new();
    for author in ["alice", "mallory"] {
        for (title, labels) in
            [("A change", &[][..]), ("[no-test] A change", &[][..]), ("A change", &["no-test"][..])]
        {
            for output in [&["--amqp", AMQP][..], &["-n", "-v"]] {
                let head = sha(&mut rng);
                let pulls = vec![pull(title, author, &head, "main", labels)];
                let repository = Repository { pulls, statuses: every_status(&head), ..Repository::default() };
                let draft = Draft::new(Program::TestsScan, COCKPIT).with(&["-p", "1"]).with(output);
                let name = format!("tests-scan of all states {}", all.len());
                all.push(draft.on(COCKPIT, repository).named(&name));
            }
        }
    }
    all
}

fn every_status(head: &str) -> Vec<Status> {
    let pairs = STATES.iter().flat_map(|&state| DESCRIPTIONS.iter().map(move |&it| (state, it)));
    let numbered = pairs.enumerate();
    numbered.map(|(number, (state, it))| plain(head, &format!("arch/{number}"), state, it)).collect()
}

fn any(rng: &mut Rng, contexts: &[&str]) -> Draft {
    let repo = one(rng, &REPOS);
    let pulls = (0..rng.usize(1..4)).map(|_| any_pull(rng)).collect::<Vec<_>>();
    let mut repository = Repository { pulls, ..Repository::default() };
    for pull in &repository.pulls {
        for _ in 0..rng.usize(..4) {
            let context = if percent(rng, 15) { one(rng, &UNKNOWN) } else { one(rng, contexts) };
            repository.statuses.push(status(rng, &pull.head, context));
        }
    }
    finish(rng, repo, repository, contexts)
}

/// Nobody of ours has said anything yet: the map decides.
fn fresh(rng: &mut Rng) -> Draft {
    let repo = one(rng, &REPOS);
    let mut repository = Repository { pulls: vec![any_pull(rng), any_pull(rng)], ..Repository::default() };
    if percent(rng, 30) {
        let (head, context) = (repository.pulls[0].head.clone(), one(rng, &UNKNOWN));
        repository.statuses.push(status(rng, &head, context));
    }
    let mut draft = finish(rng, repo, repository, &KNOWN);
    if percent(rng, 30) {
        draft.environment.insert("COCKPIT_TESTMAP_INJECT".to_owned(), one(rng, &INJECTED).to_owned());
    }
    draft
}

fn broken(rng: &mut Rng) -> Draft {
    let draft = any(rng, &BROKEN);
    if percent(rng, 50) { draft.with(&["-c", one(rng, &BROKEN)]) } else { draft }
}

fn options(rng: &mut Rng) -> Draft {
    let head = sha(rng);
    let pull = pull("A change", "alice", &head, "main", &[]);
    let payload = payload(rng, COCKPIT, &pull, 7).to_string();
    let draft = Draft::new(Program::TestsScan, COCKPIT)
        .on(COCKPIT, Repository { pulls: vec![pull], ..Repository::default() });
    match rng.u32(..6) {
        0 => draft.with(&["--pull-data", &payload, "--sha", &head]),
        1 => draft.with(&["--pull-data", &payload, "--pull-number", "1"]),
        2 => draft.with(&["--pull-number", "1", "--sha", &head]),
        3 => draft.with(&["--pull-number", "77"]),
        4 => draft.with(&["--no-such-option"]),
        _ => draft.with(&["--pull-number", "1", "--sha", UPSTREAM, "-c", "arch"]),
    }
}

/// More statuses and more pulls than fit on a page.
fn pages() -> Vec<Situation> {
    let mut rng = Rng::with_seed(5);
    let head = sha(&mut rng);
    let many = |context: &str, times| Status {
        times: Some(times),
        ..plain(&head, context, "success", Some("Success"))
    };
    let statuses = vec![
        many("arch/done", 199),
        plain(&head, "arch/early", "pending", Some("Not yet tested")),
        many("other/done", 50),
        plain(&head, "debian-testing/late", "pending", Some("Not yet tested (direct trigger)")),
    ];
    let mut pulls = vec![pull("A change", "alice", &head, "main", &[])];
    pulls.extend((0..129).map(|_| pull("[no-test]", "alice", &sha(&mut rng), "main", &[])));
    let late = pulls[3].head.clone();
    let scan = |arguments: &[&str], repository: Repository| {
        Draft::new(Program::TestsScan, COCKPIT).with(arguments).on(COCKPIT, repository)
    };
    let one = Repository { pulls: pulls[..1].to_vec(), statuses, ..Repository::default() };
    let all = Repository { pulls, ..one.clone() };
    vec![
        scan(&["-p", "1", "--amqp", AMQP], one).named("tests-scan of many statuses"),
        scan(&["-v", "-n"], all.clone()).named("tests-scan of many pulls"),
        scan(&["-s", &late, "-c", "arch/x", "-n"], all).named("tests-scan of a late commit"),
    ]
}

/// Adds what is asked for, in which form, and the repositories around.
fn finish(rng: &mut Rng, repo: &str, mut repository: Repository, contexts: &[&str]) -> Draft {
    let mut draft = select(rng, Draft::new(Program::TestsScan, repo), repo, &repository);
    for _ in 0..one(rng, &[0, 0, 0, 1, 2]) {
        let context = if percent(rng, 10) { one(rng, &UNKNOWN) } else { one(rng, contexts) };
        draft = draft.with(&["-c", context]);
    }
    draft = draft.with(one(rng, &OUTPUTS));
    if percent(rng, 8) {
        draft.refused = repository.statuses.iter().map(|it| it.context.clone()).collect();
        draft.refused.push("arch/networking".to_owned());
    }
    if repo != BOTS {
        let pulls = vec![any_pull(rng), Pull { closed: true, ..any_pull(rng) }];
        draft = draft.on(BOTS, Repository { pulls, ..Repository::default() });
    }
    if draft.arguments.iter().any(|it| it == UPSTREAM) && percent(rng, 85) {
        repository.branches.insert("nightly".to_owned(), UPSTREAM.to_owned());
        if percent(rng, 50) {
            let context = one(rng, contexts);
            repository.statuses.push(status(rng, UPSTREAM, context));
        }
    }
    draft.on(repo, repository)
}

fn select(rng: &mut Rng, draft: Draft, repo: &str, repository: &Repository) -> Draft {
    let pull = repository.pulls[rng.usize(..repository.pulls.len())].clone();
    match rng.u32(..10) {
        0..3 => draft,
        3..5 => draft.with(&["-p", &rng.usize(1..=repository.pulls.len()).to_string()]),
        5 => draft.with(&["-s", &pull.head]),
        6 => draft.with(&["--sha", &pull.head[..rng.usize(7..40)]]),
        7 => draft.with(&["-s", UPSTREAM, "-c", one(rng, &KNOWN)]),
        8 => draft.with(&["-p", "1", "-s", &pull.head]),
        _ => {
            let number = one(rng, &[1, 12, 1_234_567]);
            draft.with(&["--pull-data", &payload(rng, repo, &pull, number).to_string()])
        }
    }
}

/// The fields of an event that matter.
fn payload(rng: &mut Rng, repo: &str, pull: &Pull, number: u64) -> Value {
    let Pull { title, author, head, base, labels, .. } = pull;
    let labels: Vec<_> = labels.iter().map(|it| json!({"name": it})).collect();
    json!({
        "action": one(rng, &["opened", "synchronize"]),
        "number": number,
        "pull_request": {
            "number": number, "title": title, "state": "open", "labels": labels, "user": {"login": author},
            "head": {"sha": head, "ref": "work", "user": {"login": author}, "repo": {"full_name": repo}},
            "base": {"ref": base, "sha": "0".repeat(40), "repo": {"full_name": repo}},
        },
        "repository": {"full_name": repo},
    })
}

fn any_pull(rng: &mut Rng) -> Pull {
    let (title, author, labels) = (one(rng, &TITLES), one(rng, &AUTHORS), one(rng, &LABELS));
    let base = one(rng, &["main", "main", "main", "main", "master", "rhel-8", "no-such-branch"]);
    pull(title, author, &sha(rng), base, labels)
}

fn pull(title: &str, author: &str, head: &str, base: &str, labels: &[&str]) -> Pull {
    Pull {
        title: title.to_owned(),
        author: author.to_owned(),
        head: head.to_owned(),
        base: base.to_owned(),
        labels: labels.iter().map(|&it| it.to_owned()).collect(),
        body: String::new(),
        closed: false,
    }
}

fn status(rng: &mut Rng, head: &str, context: &str) -> Status {
    let state = if percent(rng, 50) { "pending" } else { one(rng, &STATES) };
    let url = percent(rng, 20).then(|| "https://logs.example.com/1/log.html".to_owned());
    Status { target_url: url, ..plain(head, context, state, one(rng, &DESCRIPTIONS)) }
}

fn plain(head: &str, context: &str, state: &str, description: Option<&str>) -> Status {
    Status {
        sha: head.to_owned(),
        context: context.to_owned(),
        state: state.to_owned(),
        description: description.map(str::to_owned),
        target_url: None,
        times: None,
    }
}
