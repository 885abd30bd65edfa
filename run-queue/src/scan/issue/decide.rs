//! Whether an issue asks for a job, and for which one.

use common::forge::Item;
use common::id::RepoName;

use super::super::ScanSettings;
use super::{IssueItem, LABEL, first_unchecked};

/// The longest argument, in bytes: it becomes part of a context and of a log's path.
const LONGEST_ARGUMENT: usize = 100;

/// An item of the configuration that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// What the configuration says of it.
    pub item: &'a IssueItem,
    /// What stands behind its name; one harmless word, or nothing.
    pub argument: &'a str,
}

/// Why nothing comes of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// It is not for us.
    NoLabel,
    /// Its title says that it is not finished.
    Unfinished,
    /// Its author may not ask for anything.
    NotAllowed,
    /// No item of its check list is left.
    NothingLeft,
    /// The first item that is left is for somebody else, or not for this repository.
    NoItemOfOurs,
    /// The first item lacks its argument, or it is more than one word of letters, digits and `_@%+=:,./-`.
    NoArgument,
}

/// Decides; the order of the checks is that of the old scanner.
pub fn decide<'a>(
    settings: &'a ScanSettings,
    repo: &RepoName,
    issue: &'a Item,
) -> Result<Wanted<'a>, Skipped> {
    if !issue.has_label(LABEL) {
        return Err(Skipped::NoLabel);
    }
    if issue.title.trim().starts_with("WIP") {
        return Err(Skipped::Unfinished);
    }
    if !settings.allow_list.allows(issue.author()) {
        return Err(Skipped::NotAllowed);
    }
    let text = issue.body.as_deref().and_then(first_unchecked).ok_or(Skipped::NothingLeft)?;
    let (name, argument) = text.split_once(' ').unwrap_or((text, ""));
    let argument = argument.trim();
    let item = settings.issue_items.get(repo, name).ok_or(Skipped::NoItemOfOurs)?;
    if (item.takes_argument() && argument.is_empty()) || !is_harmless(argument) {
        return Err(Skipped::NoArgument);
    }
    Ok(Wanted { item, argument })
}

/// A word that is no option and needs no quotes anywhere, and a path that leads nowhere else.
fn is_harmless(argument: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&it);
    argument.is_empty()
        || (argument.len() <= LONGEST_ARGUMENT
            && argument.bytes().all(plain)
            && !argument.starts_with('-')
            && argument.split('/').all(|it| !matches!(it, "" | "." | "..")))
}

#[cfg(test)]
mod tests {
    use super::super::super::AllowList;
    use super::*;

    fn decided(repo: &str, issue: &serde_json::Value) -> Result<(String, String), Skipped> {
        let settings = ScanSettings { allow_list: AllowList::from_text("alice"), ..ScanSettings::default() };
        let issue: Item = serde_json::from_value(issue.clone()).unwrap();
        let decided = decide(&settings, &repo.parse().unwrap(), &issue);
        decided.map(|it| (it.item.name.clone(), it.argument.to_owned()))
    }

    fn issue(changes: serde_json::Value) -> serde_json::Value {
        let mut issue = serde_json::json!({
            "number": 7, "title": "Refresh", "body": "* [ ] image-refresh fedora-42", "state": "open",
            "user": {"login": "alice"}, "labels": [{"name": "x"}, {"name": "bot"}],
        });
        let serde_json::Value::Object(changes) = changes else { panic!("{changes}") };
        issue.as_object_mut().unwrap().extend(changes);
        issue
    }

    #[test]
    fn an_issue_asks_for_the_first_item_that_is_left() {
        use serde_json::json;
        let found = Ok(("image-refresh".to_owned(), "fedora-42".to_owned()));
        for (repo, changes, expected) in [
            ("o/bots", json!({}), found.clone()),
            ("x/bots", json!({"title": " a WIP"}), found.clone()),
            ("o/bots", json!({"user": {"login": "Alice"}}), found),
            ("o/app", json!({}), Err(Skipped::NoItemOfOurs)),
            ("o/mybots", json!({}), Err(Skipped::NoItemOfOurs)),
            ("o/bots", json!({"labels": []}), Err(Skipped::NoLabel)),
            ("o/bots", json!({"labels": null}), Err(Skipped::NoLabel)),
            ("o/bots", json!({"labels": [{}, {"name": null}]}), Err(Skipped::NoLabel)),
            ("o/bots", json!({"title": "  WIP: x"}), Err(Skipped::Unfinished)),
            ("o/bots", json!({"user": {"login": "mallory"}}), Err(Skipped::NotAllowed)),
            ("o/bots", json!({"user": null}), Err(Skipped::NotAllowed)),
            ("o/bots", json!({"body": null}), Err(Skipped::NothingLeft)),
            ("o/bots", json!({"body": ""}), Err(Skipped::NothingLeft)),
            ("o/bots", json!({"body": "* [x] image-refresh a"}), Err(Skipped::NothingLeft)),
            ("o/bots", json!({"body": "* [ ] talk\n* [ ] image-refresh a"}), Err(Skipped::NoItemOfOurs)),
            ("o/bots", json!({"body": "* [ ] image-refresh"}), Err(Skipped::NoArgument)),
        ] {
            assert_eq!(decided(repo, &issue(changes.clone())), expected, "{repo} {changes}");
        }
    }

    #[test]
    fn an_argument_is_one_harmless_word() {
        let argument = |text: &str| {
            let body = format!("* [ ] image-refresh {text}");
            decided("o/bots", &issue(serde_json::json!({ "body": body }))).map(|it| it.1)
        };
        for good in ["fedora-42", "rhel-9.6", "a_b", "x/y", "a@b:c"] {
            assert_eq!(argument(good), Ok(good.to_owned()));
        }
        let long = "x".repeat(101);
        for bad in ["a b", "--store", "-x", "$(id)", "a;b", "`a`", "é", "../x", "/x", "x/", "a\\b", &long] {
            assert_eq!(argument(bad), Err(Skipped::NoArgument), "{bad}");
        }
    }
}
