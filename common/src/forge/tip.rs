//! The tip of a branch, in the shapes that forges give it.

use serde_json::Value;

use crate::id::CommitSha;

/// Where the commit is: GitHub's branch, Gitea's and Forgejo's, and a git reference.
const PLACES: [&str; 3] = ["/commit/sha", "/commit/id", "/object/sha"];

/// Finds the commit in the answer to a branch look-up: one object, or a list of which the first counts (wire facts,
/// section 2, "Resolution of a subject"). The error says what was expected where.
pub(super) fn tip(answer: &Value) -> Result<CommitSha, String> {
    let (branch, at) = match answer {
        Value::Array(list) => (list.first().ok_or("an empty list")?, "[0]"),
        one => (one, ""),
    };
    let found = PLACES.iter().find_map(|place| branch.pointer(place).and_then(Value::as_str));
    let sha = found.ok_or_else(|| format!("{at}.commit.sha: expected a commit"))?;
    CommitSha::new(sha).map_err(|error| format!("{at}.commit.sha: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHA: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn every_forge_is_understood() {
        for answer in [
            json!({"name": "main", "commit": {"sha": SHA, "url": "https://x"}}),
            json!({"name": "main", "commit": {"id": SHA}}),
            json!({"ref": "refs/heads/main", "object": {"type": "commit", "sha": SHA}}),
            json!([{"ref": "refs/heads/main", "object": {"sha": SHA}}, {"object": {"sha": "ffffff"}}]),
        ] {
            assert_eq!(tip(&answer).unwrap().as_str(), SHA, "{answer}");
        }
    }

    #[test]
    fn what_holds_no_commit_is_an_error() {
        for (answer, problem) in [
            (json!([]), "an empty list"),
            (json!({}), ".commit.sha: expected a commit"),
            (json!([1]), "[0].commit.sha: expected a commit"),
            (json!({"commit": {"sha": 1}}), ".commit.sha: expected a commit"),
            (json!(null), ".commit.sha: expected a commit"),
        ] {
            assert_eq!(tip(&answer).unwrap_err(), problem, "{answer}");
        }
        assert!(tip(&json!({"commit": {"sha": "--x"}})).unwrap_err().contains("hexadecimal"));
    }
}
