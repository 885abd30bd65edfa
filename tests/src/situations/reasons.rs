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
struct Spot<'a> {
    author: Option<&'a str>,
    status: Option<&'a Status>,
}

/// All of them.
pub const REASONS: [Reason; 3] = [
    Reason {
        why: "old scanners don't know `In progress`, which old runners post: theirs queue a running test again",
        fits: |spot| spot.description().is_some_and(|it| it.starts_with("In progress")),
    },
    Reason {
        why: "logins of a forge don't differ in case, so neither do those of the allow list",
        fits: |spot| {
            spot.author.is_some_and(|it| !ALLOWED.contains(&it) && ALLOWED.contains(&&*it.to_lowercase()))
        },
    },
    Reason {
        why: "an empty description is none: some forges say none so, and a stranger's test is not to run for it",
        fits: |spot| spot.description() == Some("") && spot.author.is_some_and(|it| !ALLOWED.contains(&it)),
    },
];

/// Reasons that are about a whole situation: why ours need not do what the old program did.
pub fn whole(decision: &Decision) -> Option<&'static str> {
    let Decision { situation, old } = decision;
    let crash = old.crash.as_deref()?;
    Some(match situation.program {
        _ if crash.contains("GitHubError") => {
            "a refusal by the forge is an error with an exit code of its own"
        }
        _ => "the old program crashes over a context; ours deals with the others",
    })
}

impl Spot<'_> {
    fn description(&self) -> Option<&str> {
        self.status?.description.as_deref()
    }
}

/// Commits and contexts, or a whole commit, that are not compared.
#[derive(Debug, Default)]
pub struct Excused(Vec<(String, Option<String>)>);

/// What in a situation has a reason to be dealt with otherwise.
pub fn excused(situation: &Situation) -> Excused {
    let mut excused = Excused::default();
    for repository in situation.forge.0.values() {
        let author =
            |sha: &str| repository.pulls.iter().find(|it| it.head == sha).map(|it| it.author.as_str());
        for status in &repository.statuses {
            let spot = Spot { author: author(&status.sha), status: Some(status) };
            if REASONS.iter().any(|it| (it.fits)(&spot)) {
                excused.0.push((status.sha.clone(), Some(status.context.clone())));
            }
        }
        for Pull { head, author, .. } in &repository.pulls {
            let spot = Spot { author: Some(author), status: None };
            if REASONS.iter().any(|it| (it.fits)(&spot)) {
                excused.0.push((head.clone(), None));
            }
        }
    }
    excused
}

impl Excused {
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
        self.0.iter().any(|(excused, of)| excused == sha && of.as_deref().is_none_or(|it| it == context))
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
            words.contains(&&sha[..7]) && image.is_none_or(|it| words.contains(&it))
        })
    }
}
