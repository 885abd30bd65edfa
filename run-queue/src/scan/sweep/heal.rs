//! What a sweep makes of a decision. Pure.

use std::time::Duration;

use common::forge::Status;
use common::id::Context;
use jiff::Timestamp;

use crate::scan::{Decision, Skipped};

/// What is done about the contexts of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Healing {
    /// Nobody has begun to deal with these.
    pub(super) at_once: Vec<(Context, Decision)>,
    /// Somebody has. They may be lost.
    pub(super) doubtful: Vec<(Context, Decision)>,
}

/// How long a worker may hold a delivery: the broker's ack deadline in existing deployments (wire facts, section 1: 150 minutes),
/// and some more. A run that says for longer that it is in progress is in nobody's hands.
const LONGEST_RUN: Duration = Duration::from_mins(160);

/// Sorts the decisions about a commit.
pub(super) fn heal(decisions: Vec<(Context, Decision)>, statuses: &[Status], now: Timestamp) -> Healing {
    let mut healing = Healing::default();
    for (context, decision) in decisions {
        let status = statuses.iter().find(|it| it.context == context.as_str());
        match (decision, status) {
            (Decision::Skip(Skipped::InProgress), Some(status)) if is_stuck(status, now) => {
                healing.doubtful.push((context, Decision::PostAndRun));
            }
            (Decision::Skip(_), _) => {}
            (Decision::AskFirst, _) | (Decision::PostAndRun | Decision::Run, None) => {
                healing.at_once.push((context, decision));
            }
            (Decision::PostAndRun | Decision::Run, Some(_)) => healing.doubtful.push((context, decision)),
        }
    }
    healing
}

fn is_stuck(status: &Status, now: Timestamp) -> bool {
    status.posted_at().is_some_and(|at| at < now && now.duration_since(at).unsigned_abs() > LONGEST_RUN)
}

#[cfg(test)]
mod tests {
    use common::forge::StatusState;

    use super::*;

    fn status(context: &str, updated_at: Option<&str>) -> Status {
        Status {
            context: context.to_owned(),
            state: StatusState::Pending,
            description: None,
            target_url: None,
            updated_at: updated_at.map(str::to_owned),
        }
    }

    #[test]
    fn what_nobody_began_is_done_at_once_and_the_rest_is_doubtful() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let statuses = [
            status("queued", Some("2026-11-21T11:00:00Z")),
            status("broken", None),
            status("asks", None),
            status("runs", Some("2026-11-21T09:30:00Z")),
            status("stuck", Some("2026-11-21T09:00:00Z")),
            status("ageless", None),
            status("ahead", Some("2026-11-21T18:00:00Z")),
        ];
        let running = Decision::Skip(Skipped::InProgress);
        let decisions = [
            ("new", Decision::PostAndRun),
            ("queued", Decision::Run),
            ("broken", Decision::PostAndRun),
            ("asks", Decision::AskFirst),
            ("done", Decision::Skip(Skipped::Judged)),
            ("runs", running),
            ("stuck", running),
            ("ageless", running),
            ("ahead", running),
        ];
        let decisions = decisions.map(|(context, decision)| (context.parse().unwrap(), decision)).to_vec();
        let Healing { at_once, doubtful } = heal(decisions, &statuses, now);
        let names = |of: &[(Context, Decision)]| of.iter().map(|(it, _)| it.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&at_once), ["new", "asks"]);
        assert_eq!(names(&doubtful), ["queued", "broken", "stuck"]);
        assert_eq!(doubtful[2].1, Decision::PostAndRun);
    }
}
