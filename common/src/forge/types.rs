//! What forges say, as far as we want to know (GitHub's REST API, version 2022-11-28; Forgejo and Gitea say the same).

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::item::is_older;
use crate::id::{BranchName, CommitSha, Context, PullNumber, RepoName};

/// How a commit status stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusState {
    /// Not known yet.
    Pending,
    /// Green.
    Success,
    /// Red: the user's code.
    Failure,
    /// Ours, or the infrastructure's.
    Error,
    /// A word that only some forges have, such as Gitea's `warning` and `skipped`. It can't be posted.
    #[serde(other, skip_serializing)]
    Other,
}

impl StatusState {
    /// Whether the user's code has been judged: these are not tried again.
    #[must_use]
    pub const fn is_verdict(self) -> bool {
        matches!(self, Self::Success | Self::Failure)
    }
}

/// A commit status as the forge has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// What it is filed under.
    pub context: String,
    /// How it stands (`status` is Gitea's word).
    #[serde(alias = "status")]
    pub state: StatusState,
    /// In words.
    pub description: Option<String>,
    /// The log.
    pub target_url: Option<String>,
    /// When it was posted, as the forge writes it; see [`Status::posted_at`].
    pub updated_at: Option<String>,
}

impl Status {
    /// When it was posted; none where the forge does not say so.
    #[must_use]
    pub fn posted_at(&self) -> Option<Timestamp> {
        self.updated_at.as_ref()?.parse().ok()
    }
}

/// A commit status to post. It is also what is kept of one that could not be posted yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewStatus {
    /// What it is filed under.
    pub context: Context,
    /// How it stands.
    pub state: StatusState,
    /// In words, at most 140 characters ([`NewStatus::new`] cuts).
    pub description: String,
    /// The log, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
}

impl NewStatus {
    /// The longest description that GitHub takes (else 422), in characters.
    pub const MAX_DESCRIPTION: usize = 140;

    /// Without a log; a description that is too long is cut at a word and ends in `…`.
    #[must_use]
    pub fn new(context: Context, state: StatusState, description: &str) -> Self {
        Self { context, state, description: cut(description, Self::MAX_DESCRIPTION), target_url: None }
    }

    /// With ` [<host>]` at the end of the description: the text before it is what is cut.
    #[must_use]
    pub fn from_host(self, host: &str) -> Self {
        let host = format!(" [{host}]");
        let room = Self::MAX_DESCRIPTION.saturating_sub(host.chars().count());
        Self { description: cut(&self.description, room) + &host, ..self }
    }

    /// Whether this is what a forge has.
    #[must_use]
    pub fn is(&self, other: &Status) -> bool {
        let Self { context, state, description, target_url } = self;
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        // Some forges say that there is no address with an empty one.
        context.as_str() == other.context
            && *state == other.state
            && *description == text(&other.description)
            && text(target_url) == text(&other.target_url)
    }

    /// With a link to the log.
    #[must_use]
    pub fn with_target_url(self, url: impl Into<String>) -> Self {
        Self { target_url: Some(url.into()), ..self }
    }
}

/// The first `limit` characters at most, the last of them `…` if there were more. Cuts after a word, unless that
/// would take away half of what may stay.
fn cut(text: &str, limit: usize) -> String {
    let Some((room, _)) = text.char_indices().nth(limit.saturating_sub(1)) else { return text.to_owned() };
    let (head, rest) = text.split_at(room);
    if rest.chars().nth(1).is_none() {
        return text.to_owned();
    }
    let word = if rest.starts_with(char::is_whitespace) {
        Some(head.len())
    } else {
        head.rfind(char::is_whitespace)
    };
    let end = word.filter(|it| *it >= room / 2).unwrap_or(room);
    format!("{}…", head.get(..end).unwrap_or(head).trim_end())
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Pull {
    /// Its number on the repository.
    pub number: PullNumber,
    /// Its title.
    #[serde(default, deserialize_with = "null_is_default")]
    pub title: String,
    /// Its text.
    pub body: Option<String>,
    /// Open or closed.
    pub state: PullState,
    /// Who opened it; none where the account is gone.
    pub user: Option<User>,
    /// Its labels.
    #[serde(default, deserialize_with = "null_is_default")]
    pub labels: Vec<Label>,
    /// What is to be merged.
    pub head: Head,
    /// Where it is to be merged.
    pub base: Base,
    /// It was merged; said of a pull that is looked at by itself.
    #[serde(default, deserialize_with = "null_is_default")]
    pub merged: bool,
    /// When it last changed, as the forge writes it; see [`Pull::is_older_than`].
    pub updated_at: Option<String>,
}

impl Pull {
    /// Whether this is what the pull was like before: forges answer from copies that can be seconds behind. Not where either of
    /// them does not say when it last changed.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        is_older(self.updated_at.as_deref(), other.updated_at.as_deref())
    }

    /// Who answers for what is tested: the owner of the head's repository, since nobody else decides what is pushed there; an
    /// organisation where the head is a branch of its own. Who opened the pull counts only where the forge does not know the
    /// owner. Empty where the accounts are gone.
    #[must_use]
    pub fn author(&self) -> &str {
        let owner = || self.head.repo.as_ref().and_then(|it| it.owner.as_ref());
        let author = self.head.user.as_ref().or_else(owner).or(self.user.as_ref());
        author.map_or("", |it| &it.login)
    }

    /// Whether it has the label.
    #[must_use]
    pub fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|it| it.name == name)
    }
}

/// Whether a pull is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullState {
    /// It can be merged.
    Open,
    /// Merged or given up.
    Closed,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Its name.
    pub login: String,
}

/// A label; some have lost their names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// Its name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
}

/// The head of a pull.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// Its commit.
    pub sha: CommitSha,
    /// The owner of its repository, as GitHub says it; none where the account is gone.
    pub user: Option<User>,
    /// Its repository, as all say it; none where it is gone.
    pub repo: Option<HeadRepo>,
}

/// The repository of a pull's head.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HeadRepo {
    /// A person or an organisation.
    pub owner: Option<User>,
}

/// The base of a pull.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Base {
    /// The branch.
    #[serde(rename = "ref")]
    pub branch: BranchName,
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Repo {
    /// `owner/name`.
    pub full_name: RepoName,
    /// The branch of its clones.
    pub default_branch: BranchName,
}

pub(super) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_description_keeps_its_host() {
        let context = Context::new("c").unwrap();
        let status =
            NewStatus::new(context, StatusState::Failure, &"word ".repeat(100)).from_host("worker-1");
        assert!(status.description.ends_with("word… [worker-1]"), "{}", status.description);
        assert!(status.description.chars().count() <= NewStatus::MAX_DESCRIPTION);
    }

    #[test]
    fn a_status_is_known_again() {
        let new = NewStatus::new(Context::new("c").unwrap(), StatusState::Success, "fine");
        let stands = |json: &str| serde_json::from_str::<Status>(json).unwrap();
        let bare = r#"{"context": "c", "state": "success", "description": "fine""#;
        assert!(new.is(&stands(&format!("{bare}}}"))));
        assert!(new.is(&stands(&format!(r#"{bare}, "target_url": ""}}"#))));
        assert!(!new.is(&stands(&format!(r#"{bare}, "target_url": "https://x"}}"#))));
        let linked = new.clone().with_target_url("https://x");
        assert!(linked.is(&stands(&format!(r#"{bare}, "target_url": "https://x"}}"#))));
        assert!(!new.is(&stands(r#"{"context": "c", "state": "error", "description": "fine"}"#)));
        assert!(!new.is(&stands(r#"{"context": "d", "state": "success", "description": "fine"}"#)));
    }

    #[test]
    fn states_are_spelled_as_on_the_wire() {
        for (state, wire) in [
            (StatusState::Pending, "\"pending\""),
            (StatusState::Success, "\"success\""),
            (StatusState::Failure, "\"failure\""),
            (StatusState::Error, "\"error\""),
        ] {
            assert_eq!(serde_json::to_string(&state).unwrap(), wire);
            assert_eq!(serde_json::from_str::<StatusState>(wire).unwrap(), state);
        }
    }

    #[test]
    fn a_state_of_another_forge_is_read_and_never_posted() {
        let state: StatusState = serde_json::from_str("\"skipped\"").unwrap();
        assert_eq!((state, state.is_verdict()), (StatusState::Other, false));
        let status = NewStatus::new(Context::new("c").unwrap(), state, "");
        assert!(serde_json::to_string(&status).is_err());
        assert!(serde_json::from_str::<StatusState>("1").is_err());
    }

    #[test]
    fn a_description_is_cut_at_a_word() {
        let word = "x".repeat(69);
        let fits = format!("{word} {word}y");
        for (text, cut) in [
            ("Success", "Success".to_owned()),
            (fits.as_str(), fits.clone()),
            (&format!("{fits}z"), format!("{word}…")),
            (&format!("{word} {word} z"), format!("{word} {word}…")),
            (&"é".repeat(141), format!("{}…", "é".repeat(139))),
            (&format!("a {}", "é".repeat(200)), format!("a {}…", "é".repeat(137))),
            (&"\u{1F6A2}".repeat(140), "\u{1F6A2}".repeat(140)),
        ] {
            let status = NewStatus::new(Context::new("c").unwrap(), StatusState::Success, text);
            assert_eq!(status.description, cut);
            assert!(status.description.chars().count() <= NewStatus::MAX_DESCRIPTION);
        }
    }

    #[test]
    fn a_status_of_gitea_is_read() {
        let status: Status =
            serde_json::from_str(r#"{"context": "c", "status": "pending", "description": null}"#).unwrap();
        assert_eq!(status.state, StatusState::Pending);
    }

    #[test]
    fn a_pull_without_account_fork_or_label_names_is_read() {
        let pull: Pull = serde_json::from_str(
            r#"{"number": 1, "title": null, "state": "open", "user": null, "labels": [{}, {"name": null}, {"name": "x"}],
                "head": {"sha": "abcdef0", "repo": null}, "base": {"ref": "main"}}"#,
        )
        .unwrap();
        assert_eq!((pull.author(), pull.title.as_str()), ("", ""));
        assert!(pull.has_label("x"));
    }

    #[test]
    fn the_owner_of_the_head_answers_for_a_pull() {
        for (head, author) in [
            (r#""user": {"login": "org"}, "repo": {"owner": {"login": "org"}}"#, "org"),
            (r#""repo": {"owner": {"login": "gitea-user"}}"#, "gitea-user"),
            (r#""user": null, "repo": null"#, "opener"),
        ] {
            let pull = format!(
                r#"{{"number": 1, "title": "", "state": "open", "user": {{"login": "opener"}}, "labels": [],
                    "head": {{"sha": "abcdef0", {head}}}, "base": {{"ref": "main"}}}}"#
            );
            assert_eq!(serde_json::from_str::<Pull>(&pull).unwrap().author(), author);
        }
    }
}
