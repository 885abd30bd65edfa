//! Asking for runs by hand (wire facts, section 3, "tests-trigger"): which contexts may be triggered is decided here.

use common::forge::{Status, StatusState};
use common::id::Context;

use super::TestMap;
use super::decide::{DIRECT_TRIGGER, MANUAL};

/// What may be triggered beside what has failed or was never run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Anything.
    pub force: bool,
    /// What was triggered before and has not begun.
    pub requeue: bool,
}

/// What is done about a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Triggering {
    /// Post [`DIRECT_TRIGGER`], with this link.
    Post {
        /// The link of the status before, until testing begins.
        target_url: Option<String>,
    },
    /// It is not in a state for that.
    Refuse {
        /// The state that it is in.
        state: StatusState,
    },
}

/// Decides about one context.
#[must_use]
pub fn trigger(status: Option<&Status>, may: Permission) -> Triggering {
    let Some(status) = status else { return Triggering::Post { target_url: None } };
    let says =
        |text: &str| status.state == StatusState::Pending && status.description.as_deref() == Some(text);
    let failed = matches!(status.state, StatusState::Error | StatusState::Failure);
    if failed || may.force || says(MANUAL) || (may.requeue && says(DIRECT_TRIGGER)) {
        Triggering::Post { target_url: status.target_url.clone().filter(|it| !it.is_empty()) }
    } else {
        Triggering::Refuse { state: status.state }
    }
}

/// With `@bots#N`, where the grammar of contexts has it: behind the image and its scenario.
#[must_use]
pub fn with_bots(context: &Context, number: &str) -> String {
    match context.as_str().split_once('@') {
        None => format!("{context}@bots#{number}"),
        Some((image, rest)) => format!("{image}@bots#{number}@{rest}"),
    }
}

/// Every context of any repository that tests an image (`image:NAME`), as another repository names it. Those that are run only
/// when asked for by name are not among them.
#[must_use]
pub fn contexts_of_image(map: &TestMap, image: &str) -> Vec<Context> {
    let mut found = Vec::new();
    for listed in map.listed().filter(|it| !it.is_manual()) {
        let project = listed.project;
        let branch = Some(listed.branch).filter(|it| map.default_branch(project).as_ref() != Some(it));
        let branch = branch.map(|it| format!("/{it}")).unwrap_or_default();
        let tests = listed.contexts.iter().filter(|it| it.as_str().split(['/', '@']).next() == Some(image));
        found.extend(tests.filter_map(|it| Context::new(format!("{it}@{project}{branch}")).ok()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_tested_by_contexts_of_many_repositories() {
        let mut map = TestMap::default();
        for (project, branch, contexts) in [
            ("o/r", "main", vec!["fedora", "fedora/x", "fedora-rawhide", "arch"]),
            ("o/r", "stable", vec!["fedora/x"]),
            ("o/r", "_manual", vec!["fedora/slow"]),
            ("p/q", "master", vec!["fedora"]),
            ("p/q", "main", vec!["fedora"]),
            ("gitea:o/r", "main", vec!["fedora"]),
        ] {
            let contexts: Vec<Context> = contexts.into_iter().map(|it| it.parse().unwrap()).collect();
            map.insert(project.parse().unwrap(), branch.parse().unwrap(), contexts);
        }
        let mut found: Vec<_> = contexts_of_image(&map, "fedora").iter().map(ToString::to_string).collect();
        found.sort();
        assert_eq!(
            found,
            [
                "fedora/x@o/r",
                "fedora/x@o/r/stable",
                "fedora@gitea:o/r",
                "fedora@o/r",
                "fedora@p/q",
                "fedora@p/q/main"
            ]
        );
        assert_eq!(contexts_of_image(&map, "suse"), []);
    }

    #[test]
    fn states_permit_or_refuse() {
        use StatusState::{Error, Failure, Other, Pending, Success};
        let may = |force, requeue| Permission { force, requeue };
        let posts = |state, text: Option<&str>, may| {
            let status = Status {
                context: "fedora".to_owned(),
                state,
                description: text.map(str::to_owned),
                target_url: Some("http://log".to_owned()),
                updated_at: None,
            };
            match trigger(Some(&status), may) {
                Triggering::Post { target_url } => {
                    assert_eq!(target_url.as_deref(), Some("http://log"));
                    true
                }
                Triggering::Refuse { state: found } => {
                    assert_eq!(found, state);
                    false
                }
            }
        };
        let (nothing, force, requeue) = (may(false, false), may(true, false), may(false, true));
        for (state, text, expected) in [
            (Error, None, [true, true, true]),
            (Failure, Some("x"), [true, true, true]),
            (Success, None, [false, true, false]),
            (Other, None, [false, true, false]),
            (Pending, None, [false, true, false]),
            (Pending, Some("In progress [host]"), [false, true, false]),
            (Pending, Some("Not yet tested"), [false, true, false]),
            (Pending, Some(MANUAL), [true, true, true]),
            (Pending, Some(DIRECT_TRIGGER), [false, true, true]),
            (Success, Some(MANUAL), [false, true, false]),
        ] {
            let found = [nothing, force, requeue].map(|it| posts(state, text, it));
            assert_eq!(found, expected, "{state:?} {text:?}");
        }
        assert_eq!(trigger(None, nothing), Triggering::Post { target_url: None });
    }

    #[test]
    fn a_bots_pull_is_named_where_the_grammar_has_it() {
        for (context, with) in [
            ("fedora", "fedora@bots#7"),
            ("fedora/x", "fedora/x@bots#7"),
            ("fedora@o/r/b", "fedora@bots#7@o/r/b"),
        ] {
            assert_eq!(with_bots(&context.parse().unwrap(), "7"), with);
        }
    }
}
