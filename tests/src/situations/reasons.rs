//! Where ours do otherwise than the old programs, and why. What has a reason is taken out of both sides before they are compared;
//! the rest must be the same.

use serde_json::Value;

use super::generate::ALLOWED;
use super::observe::{Message, Observed, Write};
use super::world::{Pull, Status};
use super::{Decision, Program, Situation};

/// A reason that is about single contexts of commits.
pub struct Reason {
    /// In words.
    pub why: &'static str,
    fits: fn(&Spot<'_>) -> bool,
}

/// What is known of a context of a commit when a program starts.
#[derive(Clone, Copy)]
struct Spot<'a> {
    author: Option<&'a str>,
    context: Option<&'a str>,
    status: Option<&'a Status>,
}

const ANY_CASE: &str = "logins of a forge don't differ in case, so neither do those of the allow list";

/// All of them.
pub const REASONS: [Reason; 4] = [
    Reason {
        why: "old scanners don't know `In progress`, which old runners post: theirs queue a running test again",
        fits: |spot| spot.description().is_some_and(|it| it.starts_with("In progress")),
    },
    Reason {
        why: ANY_CASE,
        fits: |spot| {
            spot.author.is_some_and(|it| !ALLOWED.contains(&it) && ALLOWED.contains(&&*it.to_lowercase()))
        },
    },
    Reason {
        why: "an empty description is none: some forges say none so, and a stranger's test is not to run for it",
        fits: |spot| spot.description() == Some("") && spot.author.is_some_and(|it| !ALLOWED.contains(&it)),
    },
    Reason {
        why: "what breaks the grammar of contexts is left alone: theirs post and queue it, without an image or for a pull -1",
        fits: |spot| spot.context.is_some_and(|it| NO_CONTEXTS.contains(&it)),
    },
];

/// Texts that are no contexts to ours, among those that situations have.
const NO_CONTEXTS: [&str; 6] =
    ["@", "@bots#1", "arch@bots#", "arch@bots#x", "arch@bots#-1", "arch@:owner/name"];

/// A reason in words, and what it is about.
type Whole<T> = (&'static str, fn(&T) -> bool);

/// Reasons that are about a whole situation of `issue-scan`: what one of the texts has.
const ITEMS: [Whole<str>; 4] = [
    ("`+` begins an item too", |body| body.starts_with("+ [ ]")),
    ("what is code is no item", |body| ["```", "    *", "\t-"].iter().any(|it| body.starts_with(it))),
    (
        "an item without an image, or with a text that is none, is nobody's: theirs make a job of it, quotes and all",
        |body| {
            let image = body.trim_end().strip_prefix("* [ ] image-refresh");
            image
                .is_some_and(|it| it.is_empty() || it.trim().contains(|it: char| it == ' ' || !it.is_ascii()))
        },
    ),
    ("`redhat` is no internal pattern unless it is configured", |body| body.contains("redhat")),
];

/// Reasons that are about a whole situation of `tests-trigger`: what its arguments have.
const TRIGGERS: [Whole<[String]>; 2] = [
    (
        "`--bots-pr` goes before the repository that a context names: behind it, theirs take it for a repository",
        |all| all.iter().any(|it| it == "--bots-pr") && all.iter().any(|it| it.contains('@')),
    ),
    ("an image is what a context names, not that with `-distropkg` behind it", |all| {
        all.iter().any(|it| it == "image:rhel-8-10")
    }),
];

/// Why ours need not do what the old program did, if there is a reason that is about a whole situation.
pub fn whole(decision: &Decision) -> Option<&'static str> {
    let Decision { situation, old } = decision;
    match &old.crash {
        Some(it) if it.contains("GitHubError") => Some("a refusal by the forge has an exit code of its own"),
        Some(_) => Some("the old program crashes over a context; ours deals with the others"),
        None => match situation.program {
            Program::TestsScan => None,
            Program::IssueScan => of_issues(situation),
            Program::TestsTrigger => {
                TRIGGERS.iter().find(|(_, fits)| fits(&situation.arguments)).map(|(why, _)| *why)
            }
        },
    }
}

fn of_issues(situation: &Situation) -> Option<&'static str> {
    let texts = texts(situation);
    let item = ITEMS.iter().find(|(_, fits)| texts.iter().any(|it| fits(it))).map(|(why, _)| *why);
    let anywhere = |text: &str| serde_json::to_string(situation).is_ok_and(|it| it.contains(text));
    item.or_else(|| (anywhere("\"Alice\"") || anywhere("\\\"Alice\\\"")).then_some(ANY_CASE))
}

/// The texts of the issues and pulls that `issue-scan` looks at.
fn texts(situation: &Situation) -> Vec<String> {
    let told = situation.arguments.iter().filter_map(|it| serde_json::from_str::<Value>(it).ok());
    let told = told.flat_map(|event| [event["issue"]["body"].clone(), event["pull_request"]["body"].clone()]);
    let told = told.filter_map(|it| it.as_str().map(str::to_owned));
    let repositories = situation.forge.0.values();
    let pulls = repositories.clone().flat_map(|it| it.pulls.iter().map(|it| it.body.clone()));
    told.chain(pulls).chain(repositories.flat_map(|it| it.issues.iter().map(|it| it.body.clone()))).collect()
}

impl Spot<'_> {
    fn description(&self) -> Option<&str> {
        self.status?.description.as_deref()
    }
}

/// What is not compared: contexts of commits. None stands for all of them.
#[derive(Debug, Default)]
pub struct Excused(Vec<(Option<String>, Option<String>)>);

/// What in a situation has a reason to be dealt with otherwise.
pub fn excused(situation: &Situation) -> Excused {
    let mut excused = Excused::default();
    let nothing = Spot { author: None, context: None, status: None };
    for repository in situation.forge.0.values() {
        let author =
            |sha: &str| repository.pulls.iter().find(|it| it.head == sha).map(|it| it.author.as_str());
        for status in &repository.statuses {
            let spot =
                Spot { author: author(&status.sha), context: Some(&status.context), status: Some(status) };
            excused.add(spot, Some(&status.sha));
        }
        for Pull { head, author, .. } in &repository.pulls {
            excused.add(Spot { author: Some(author), ..nothing }, Some(head));
        }
    }
    for argument in &situation.arguments {
        excused.add(Spot { context: Some(argument), ..nothing }, None);
    }
    excused
}

impl Excused {
    fn add(&mut self, spot: Spot<'_>, sha: Option<&str>) {
        if REASONS.iter().any(|it| (it.fits)(&spot)) {
            self.0.push((sha.map(str::to_owned), spot.context.map(str::to_owned)));
        }
    }

    /// What is left of what a program did.
    #[must_use]
    pub fn without(&self, observed: &Observed, situation: &Situation) -> Observed {
        let mut left = observed.clone();
        if self.0.is_empty() || situation.program != Program::TestsScan {
            return left;
        }
        left.writes.retain(|it| !self.write(it));
        left.messages.retain(|Message { body, .. }| !self.job(&body["job"]));
        left.out.retain(|it| !self.job(it) && !it.as_str().is_some_and(|line| self.line(line)));
        // Which bots pulls are asked about follows from the jobs.
        left.reads.retain(|it| !it.contains("/bots/pulls/"));
        left.err.clear();
        left
    }

    fn has(&self, sha: &str, context: &str) -> bool {
        let fits =
            |excused: &Option<String>, it: &str| excused.as_deref().is_none_or(|excused| excused == it);
        self.0.iter().any(|(of, excused)| fits(of, sha) && fits(excused, context))
    }

    fn write(&self, Write { request, body, .. }: &Write) -> bool {
        let sha = request.rsplit('/').next().unwrap_or_default();
        self.has(sha, body["context"].as_str().unwrap_or_default())
    }

    fn job(&self, job: &Value) -> bool {
        let text = |name: &str| job[name].as_str();
        text("sha").zip(text("context")).is_some_and(|(sha, context)| self.has(sha, context))
    }

    /// Of the form `pull-1      arch/x                    1234567      (o/r) …`.
    fn line(&self, line: &str) -> bool {
        let words: Vec<_> = line.split_whitespace().collect();
        self.0.iter().any(|(sha, context)| {
            let image = context.as_deref().map(|it| it.split('@').next().unwrap_or_default());
            sha.as_deref().is_none_or(|it| words.contains(&&it[..7]))
                && image.is_none_or(|it| words.contains(&it))
        })
    }
}
