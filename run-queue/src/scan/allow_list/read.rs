//! Reads an allow list: a text with a login a line, a list, or a table of users and organisations.

use std::collections::BTreeSet;
use std::path::Path;

use common::config::{Format, Node, Place, Reader};

use super::{AllowList, Login};

impl AllowList {
    /// Reads a file: a tree by the end of its name, else a text.
    #[must_use]
    pub fn read_file(reader: &Reader, file: &Path) -> Self {
        let mut list = Self::default();
        match Format::of(file) {
            Some(format) => {
                if let Some((root, place)) = reader.tree_of(file, format) {
                    list = Self::read(&root, &place);
                }
            }
            None => {
                for (line, login) in lines(&reader.text_of(file).unwrap_or_default()) {
                    match Login::new(login) {
                        Ok(login) => list.add(login),
                        Err(error) => reader.problem_in(file, Some(line), error.to_string()),
                    }
                }
            }
        }
        list
    }

    /// Reads a list of logins, or a table `{ users = […], organisations = […] }`.
    #[must_use]
    pub fn read(node: &Node, place: &Place<'_>) -> Self {
        let mut list = Self::default();
        let Some(table) = node.as_table() else {
            list.users = logins(node, place);
            return list;
        };
        for (name, node) in table {
            let place = place.at(name);
            match name.as_str() {
                "users" => list.users = logins(node, &place),
                "organisations" => list.organisations = logins(node, &place),
                _ => place.problem(node.line, "is no known key; there are organisations, users"),
            }
        }
        list
    }
}

/// What is left of each line without its comment, with its number.
pub(super) fn lines<'t>(text: &'t str) -> impl Iterator<Item = (usize, &'t str)> {
    let login =
        |(number, line): (usize, &'t str)| (number + 1, line.split('#').next().unwrap_or_default().trim());
    text.lines().enumerate().map(login).filter(|(_, login)| !login.is_empty())
}

fn logins(node: &Node, place: &Place<'_>) -> BTreeSet<Login> {
    let items = node.as_list().unwrap_or_else(|| {
        place.problem(node.line, "expected a list of logins");
        &[]
    });
    let mut logins = BTreeSet::new();
    for (number, item) in items.iter().enumerate() {
        let login = item.as_str().map(Login::new);
        match login {
            Some(Ok(login)) => {
                logins.insert(login);
            }
            Some(Err(error)) => place.item(number).problem(item.line, error.to_string()),
            None => place.item(number).problem(item.line, "expected a login in quotes"),
        }
    }
    logins
}
