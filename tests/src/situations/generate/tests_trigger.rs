//! Situations of `tests-trigger`.

use fastrand::Rng;

use super::super::world::{Pull, Repository, Status};
use super::super::{Program, Situation};
use super::words::{DESCRIPTIONS, STATES, UNKNOWN};
use super::{BOTS, COCKPIT, Draft, UPSTREAM, group, one, percent, sha};

const CONTEXTS: [&str; 9] = [
    "arch/networking",
    "arch/storage",
    "arch",
    "debian-testing/other",
    "rhel-9-8/networking",
    "fedora-rawhide",
    "arch@bots#1",
    "fedora-43@cockpit-project/starter-kit",
    "arch@codeberg:lis/test.thing",
];

const IMAGES: [&str; 7] = [
    "image:arch",
    "image:fedora-43",
    "image:rhel-8-10",
    "image:centos-10",
    "image:wrongos",
    "image:",
    "image:debian-testing",
];

/// Options, and in how many of a hundred situations they are given.
const OPTIONS: [(&[&str], u32); 5] =
    [(&["--force"], 20), (&["-a"], 30), (&["--requeue"], 30), (&["--bots-pr", "7"], 15), (&["-n"], 10)];

pub(super) fn all() -> Vec<Situation> {
    let mut all = group("tests-trigger", 21, 110, any);
    all.extend(group("tests-trigger of an image", 22, 14, image));
    all.extend(group("tests-trigger of a branch", 23, 16, branch));
    all
}

fn any(rng: &mut Rng) -> Draft {
    let repo = one(rng, &[COCKPIT, COCKPIT, COCKPIT, BOTS]);
    let head = sha(rng);
    let statuses = (0..rng.usize(..5)).map(|_| status(rng, &head)).collect();
    let repository = Repository { pulls: vec![pull(rng, &head)], statuses, ..Repository::default() };
    let target = if percent(rng, 5) { "99" } else { "1" };
    let draft = options(rng, Draft::new(Program::TestsTrigger, repo)).with(&[target]);
    contexts(rng, draft).on(repo, repository)
}

fn image(rng: &mut Rng) -> Draft {
    let head = sha(rng);
    let statuses = (0..rng.usize(..3)).map(|_| status(rng, &head)).collect();
    let repository = Repository { pulls: vec![pull(rng, &head)], statuses, ..Repository::default() };
    let draft = options(rng, Draft::new(Program::TestsTrigger, BOTS));
    draft.with(&["1", one(rng, &IMAGES)]).on(BOTS, repository)
}

/// `-`: the commit that the branch tracks, pull or not.
fn branch(rng: &mut Rng) -> Draft {
    let statuses = (0..rng.usize(..4)).map(|_| status(rng, UPSTREAM)).collect();
    let branches = [("topic".to_owned(), UPSTREAM.to_owned())].into();
    let draft = options(rng, Draft::new(Program::TestsTrigger, COCKPIT)).with(&["-"]);
    contexts(rng, draft).on(COCKPIT, Repository { branches, statuses, ..Repository::default() })
}

fn options(rng: &mut Rng, draft: Draft) -> Draft {
    let given = |rng: &mut Rng, often| percent(rng, often);
    OPTIONS
        .iter()
        .fold(draft, |draft, (words, often)| if given(rng, *often) { draft.with(words) } else { draft })
}

fn contexts(rng: &mut Rng, draft: Draft) -> Draft {
    (0..one(rng, &[0, 0, 1, 1, 2, 3])).fold(draft, |draft, _| {
        let known = percent(rng, 90);
        draft.with(&[if known { one(rng, &CONTEXTS) } else { one(rng, &UNKNOWN) }])
    })
}

fn pull(rng: &mut Rng, head: &str) -> Pull {
    Pull {
        title: "A change".to_owned(),
        author: one(rng, &["alice", "alice", "alice", "mallory"]).to_owned(),
        head: head.to_owned(),
        base: "main".to_owned(),
        labels: Vec::new(),
        body: String::new(),
        closed: percent(rng, 5),
    }
}

fn status(rng: &mut Rng, head: &str) -> Status {
    let url = percent(rng, 50).then(|| "https://logs.example.com/1/log.html".to_owned());
    let context = if percent(rng, 90) { one(rng, &CONTEXTS) } else { one(rng, &UNKNOWN) };
    let state = if percent(rng, 40) { "pending" } else { one(rng, &STATES) };
    Status {
        sha: head.to_owned(),
        context: context.to_owned(),
        state: state.to_owned(),
        description: one(rng, &DESCRIPTIONS).map(str::to_owned),
        target_url: url,
        times: None,
    }
}
