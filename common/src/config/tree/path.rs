//! The full names of keys, written as TOML writes them: `scan.test-map."octo/app".main[0]`.

use super::Node;

/// A key below another one, or by itself where that is empty.
pub(in super::super) fn at(parent: &str, name: &str) -> String {
    let name = quoted(name);
    if parent.is_empty() { name } else { format!("{parent}.{name}") }
}

/// An item of a list, numbered from 0.
pub(in super::super) fn item(parent: &str, number: usize) -> String {
    format!("{parent}[{number}]")
}

/// What is below a key of this name.
pub(super) fn under(name: &str, rest: &str) -> String {
    let separator = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
    format!("{}{separator}{rest}", quoted(name))
}

/// What is below an item of a list.
pub(super) fn in_list(number: usize, rest: &str) -> String {
    let separator = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
    format!("[{number}]{separator}{rest}")
}

/// A name may come from anybody's file and go into a log line.
fn quoted(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
    if bare {
        return name.to_owned();
    }
    let short: String = name.chars().take(200).collect();
    format!("{short:?}")
}

/// The line of a key, or of the nearest one above it that is in the file.
pub(in super::super) fn line(root: &Node, key: &str) -> Option<usize> {
    let mut found = None;
    let mut node = root;
    let mut rest = key;
    while let Some((name, next)) = descend(node, rest) {
        let line = Some(name.line).filter(|_| !name.is_built_in());
        (found, node, rest) = (line.or(found), name, next);
    }
    found
}

/// The child that a key begins with, and what follows.
fn descend<'n, 'k>(node: &'n Node, key: &'k str) -> Option<(&'n Node, &'k str)> {
    let key = key.strip_prefix('.').unwrap_or(key);
    if let Some(items) = node.as_list() {
        let (number, rest) = key.strip_prefix('[')?.split_once(']')?;
        return Some((items.get(number.parse::<usize>().ok()?)?, rest));
    }
    let follows = |name: &str| {
        let rest = key.strip_prefix(quoted(name).as_str())?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
    };
    node.as_table()?.iter().find_map(|(name, child)| Some((child, follows(name)?)))
}
