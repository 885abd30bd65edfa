//! Whose pull requests are tested without being asked.

mod read;

use std::collections::BTreeSet;

/// The longest login of a forge has 39 or 40 characters.
const LONGEST: usize = 40;
/// What GitHub appends to the logins of apps.
const BOT: &str = "[bot]";

/// Users and organisations.
///
/// A pull's author is the owner of the repository that its branch is in, so an organisation stands for whoever may push to the
/// organisation's own repositories, not for its members' forks. One that is listed among the users is allowed all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList {
    users: BTreeSet<Login>,
    organisations: BTreeSet<Login>,
}

/// The name of a user or an organisation, in lower case: forges compare without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Login(String);

/// A text that is no login.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no login: expected one of up to {LONGEST} letters, digits, `-`, `_` and `.`")]
struct InvalidLogin(String);

impl Login {
    fn new(text: &str) -> Result<Self, InvalidLogin> {
        let name = text.strip_suffix(BOT).unwrap_or(text);
        let valid = (1..=LONGEST).contains(&name.len())
            && !name.starts_with(['-', '.'])
            && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it));
        if valid {
            Ok(Self(text.to_lowercase()))
        } else {
            Err(InvalidLogin(text.chars().take(100).collect()))
        }
    }
}

impl AllowList {
    /// From a text with one login or organisation a line; `#` begins a comment. What is no login is left out.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        read::lines(text).map(|(_, login)| login).collect()
    }

    /// Whether this author is on it.
    #[must_use]
    pub fn allows(&self, login: &str) -> bool {
        let login = Login(login.to_lowercase());
        self.users.contains(&login) || self.organisations.contains(&login)
    }

    /// Whether it names nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.organisations.is_empty()
    }

    /// How many users it names, or names of which it does not say what they are.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// How many organisations it names as such.
    #[must_use]
    pub fn organisations(&self) -> usize {
        self.organisations.len()
    }

    fn add(&mut self, login: Login) {
        self.users.insert(login);
    }
}

/// What is no login is left out.
impl<T: AsRef<str>> FromIterator<T> for AllowList {
    fn from_iter<I: IntoIterator<Item = T>>(logins: I) -> Self {
        let users = logins.into_iter().filter_map(|it| Login::new(it.as_ref().trim()).ok()).collect();
        Self { users, organisations: BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::settings::tests::{problems_of, settings_of};

    #[test]
    fn the_plain_form_has_a_login_a_line() {
        let list = AllowList::from_text("# ours\nmartinpitt\n\n  Jelly # since 2020\r\ncockpit-project\n");
        for login in ["martinpitt", "MartinPitt", "jelly", "cockpit-project"] {
            assert!(list.allows(login), "{login}");
        }
        for login in ["", "# ours", "mallory", "since"] {
            assert!(!list.allows(login), "{login}");
        }
    }

    #[test]
    fn every_form_says_who_is_allowed() {
        let table = "users = [\"Alice\", \"renovate[bot]\"]\norganisations = [\"octo\"]\n";
        for (name, text, users, organisations) in [
            ("allow", "alice\nRenovate[bot]\nocto # ours\n", 3, 0),
            ("allow.txt", "\u{feff}alice\r\nrenovate[bot]\r\nocto", 3, 0),
            ("allow.toml", table, 2, 1),
            ("allow.json", r#"["alice", "renovate[bot]", "octo"]"#, 3, 0),
            ("allow.json", r#"{"users": ["alice", "renovate[bot]"], "organisations": ["octo"]}"#, 2, 1),
            ("allow.yaml", "- alice\n- renovate[bot]\n- octo\n", 3, 0),
            ("allow.yml", "users:\n- alice\n- renovate[bot]\norganisations: [octo]\n", 2, 1),
        ] {
            let config = format!("[scan]\nallow-list = \"{name}\"\n");
            let list = settings_of(&[("c.toml", &config), (name, text)]).unwrap().allow_list;
            assert_eq!((list.users(), list.organisations()), (users, organisations), "{name}: {text}");
            for login in ["alice", "Renovate[bot]", "octo"] {
                assert!(list.allows(login), "{login} {name}");
            }
            assert!(!list.allows("renovate"));
        }
        for config in
            [format!("[scan.allow-list]\n{table}"), "[scan]\nallow-list = [\"alice\", \"octo\"]".to_owned()]
        {
            let list = settings_of(&[("c.toml", &config)]).unwrap().allow_list;
            assert!(list.allows("alice") && list.allows("octo"));
        }
    }

    #[test]
    fn what_is_no_login_is_told_with_its_line() {
        let text = "alice bob\n# none\n-x\n@octo\nocto/team\na\u{7}b\nfine\n";
        let long = format!("{text}{}\n", "x".repeat(41));
        let problems = problems_of(&[("c.toml", "[scan]\nallow-list = \"allow\"\n"), ("allow", &long)]);
        let lines: Vec<_> = problems.iter().map(|it| it.split(' ').next().unwrap()).collect();
        assert_eq!(lines, ["allow:1:", "allow:3:", "allow:4:", "allow:5:", "allow:6:", "allow:8:"]);
        assert!(problems[0].contains("\"alice bob\" is no login: expected"), "{}", problems[0]);
        assert!(!problems[4].contains('\u{7}'));
        for (name, text, expected) in [
            ("a.yaml", "users:\n- alice\n- 5\n", "a.yaml:3: users[1]: expected a login in quotes"),
            ("a.yaml", "users: alice\n", "a.yaml:1: users: expected a list of logins"),
            ("a.json", "{\"users\": [],\n\"teams\": []}", "a.json:2: teams: is no known key"),
            ("a.json", "[\n\"a b\"]", "a.json:2: [0]: \"a b\" is no login"),
            ("a.toml", "users = [\"\"]", "a.toml:1: users[0]: \"\" is no login"),
        ] {
            let config = format!("[scan]\nallow-list = \"{name}\"\n");
            let problems = problems_of(&[("c.toml", &config), (name, text)]);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(expected), "{} is not {expected}", problems[0]);
        }
        let config = "[scan]\n\nallow-list = [\"alice\", \"b c\"]\n";
        let problems = problems_of(&[("c.toml", config)]);
        assert!(problems[0].starts_with("c.toml:3: scan.allow-list[1]: "), "{problems:?}");
    }
}
