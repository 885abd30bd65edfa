//! Whose pull requests are tested without being asked.

use std::collections::BTreeSet;

/// Logins, compared without regard to case, as forges do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(BTreeSet<String>);

impl AllowList {
    /// From a text with one login or organisation a line; `#` begins a comment.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect()
    }

    /// Whether this author is on it.
    #[must_use]
    pub fn allows(&self, login: &str) -> bool {
        self.0.contains(&login.to_lowercase())
    }
}

impl<T: AsRef<str>> FromIterator<T> for AllowList {
    fn from_iter<I: IntoIterator<Item = T>>(logins: I) -> Self {
        let logins = logins.into_iter().map(|it| it.as_ref().trim().to_lowercase());
        Self(logins.filter(|it| !it.is_empty()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
