//! Situations of `issue-scan`.

use fastrand::Rng;
use serde_json::{Value, json};

use super::super::world::{Issue, Pull, Repository};
use super::super::{AMQP, Program, Situation};
use super::words::{AUTHORS, CHECKLISTS, ISSUE_TITLES};
use super::{BOTS, COCKPIT, Draft, group, one, percent, sha};

const OUTPUTS: [&[&str]; 4] = [&["--amqp", AMQP], &["--amqp", AMQP], &[], &["-v"]];

const LABELS: [&[&str]; 6] = [&["bot"], &["bot", "bug"], &["bot"], &["bug"], &["Bot"], &[]];

pub(super) fn all() -> Vec<Situation> {
    let mut all = each_checklist();
    all.extend(group("issue-scan of an event", 11, 60, event));
    all.extend(group("issue-scan of a repository", 12, 24, sweep));
    all
}

/// Every text once, where nothing else is in its way.
fn each_checklist() -> Vec<Situation> {
    let mut rng = Rng::with_seed(10);
    let situation = |(number, body): (usize, &&str)| {
        let item = json!({
            "number": number + 1, "title": "Image refresh", "body": body, "user": {"login": "alice"},
            "labels": [{"name": "bot"}],
        });
        let event = json!({"action": "opened", "issue": item, "repository": {"full_name": BOTS}});
        let draft =
            Draft::bare(Program::IssueScan).with(&["--issues-data", &event.to_string(), "--amqp", AMQP]);
        let name = format!("issue-scan of text {number}");
        draft.on(BOTS, Repository { branches: main(&mut rng), ..Repository::default() }).named(&name)
    };
    CHECKLISTS.iter().enumerate().map(situation).collect()
}

fn event(rng: &mut Rng) -> Draft {
    let repo = one(rng, &[BOTS, BOTS, BOTS, "octo/bots", COCKPIT, "octo/unlisted-bots"]);
    let (head, is_pull) = (sha(rng), percent(rng, 40));
    let labels: Vec<_> = one(rng, &LABELS).iter().map(|it| json!({"name": it})).collect();
    let mut item = json!({
        "number": 1, "title": one(rng, &ISSUE_TITLES), "body": body(rng), "user": {"login": one(rng, &AUTHORS)},
        "labels": labels, "state": "open",
    });
    if is_pull {
        let place = |branch: &str, sha: &str, user: &Value| json!({"ref": branch, "sha": sha, "user": user, "repo": {"full_name": repo}});
        item["commits"] = json!(1);
        item["base"] = place("main", &"0".repeat(40), &json!({"login": "octo"}));
        item["head"] = place("work", &head, &item["user"]);
    }
    let action = one(rng, &["opened", "labeled", "edited"]);
    let name = if is_pull { "pull_request" } else { "issue" };
    let event = json!({
        "action": action, name: item, "repository": {"full_name": repo}, "changes": {"body": {"from": "before"}},
    });
    let draft = Draft::bare(Program::IssueScan).with(&["--issues-data", &event.to_string()]);
    let pulls = if is_pull { vec![pull(rng, &head)] } else { Vec::new() };
    let repository = Repository { branches: main(rng), pulls, ..Repository::default() };
    draft.with(one(rng, &OUTPUTS)).on(repo, repository)
}

fn body(rng: &mut Rng) -> Value {
    if percent(rng, 5) { Value::Null } else { Value::from(one(rng, &CHECKLISTS)) }
}

/// All open issues and pulls of a repository.
fn sweep(rng: &mut Rng) -> Draft {
    let repo = one(rng, &[BOTS, BOTS, "octo/bots", COCKPIT]);
    let open_pull = |rng: &mut Rng| {
        let head = sha(rng);
        Pull { body: one(rng, &CHECKLISTS).to_owned(), labels: vec!["bot".to_owned()], ..pull(rng, &head) }
    };
    let repository = Repository {
        branches: main(rng),
        pulls: (0..rng.usize(..3)).map(|_| open_pull(rng)).collect(),
        issues: (0..rng.usize(..4)).map(|_| issue(rng)).collect(),
        ..Repository::default()
    };
    Draft::new(Program::IssueScan, repo).with(one(rng, &OUTPUTS)).on(repo, repository)
}

fn issue(rng: &mut Rng) -> Issue {
    let label = if percent(rng, 80) { "bot" } else { "bug" };
    Issue {
        title: one(rng, &ISSUE_TITLES).to_owned(),
        author: one(rng, &AUTHORS).to_owned(),
        body: one(rng, &CHECKLISTS).to_owned(),
        labels: vec![label.to_owned()],
    }
}

fn pull(rng: &mut Rng, head: &str) -> Pull {
    Pull {
        title: one(rng, &ISSUE_TITLES).to_owned(),
        author: one(rng, &AUTHORS).to_owned(),
        head: head.to_owned(),
        base: "main".to_owned(),
        labels: Vec::new(),
        body: String::new(),
        closed: false,
    }
}

fn main(rng: &mut Rng) -> std::collections::BTreeMap<String, String> {
    [("main".to_owned(), sha(rng))].into()
}
