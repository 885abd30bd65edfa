//! What a program has understood of its configuration, for `--check-config`. Never a secret's value.

use std::fmt;
use std::io::{Write, stdout};

/// Lines for people, in the order in which they are added.
#[derive(Clone, Debug, Default)]
pub struct Summary(String);

impl Summary {
    /// Begins a table.
    pub fn table(&mut self, name: &str) {
        self.push(0, format_args!("[{name}]"));
    }

    /// What is said of a key.
    pub fn line(&mut self, key: &str, value: impl fmt::Display) {
        self.push(1, format_args!("{key}: {value}"));
    }

    /// What is said of a part of the key before, one level further in.
    pub fn part(&mut self, name: &str, value: impl fmt::Display) {
        self.push(2, format_args!("{name}: {value}"));
    }

    /// What is said of a part of that part.
    pub fn item(&mut self, name: &str, value: impl fmt::Display) {
        self.push(3, format_args!("{name}: {value}"));
    }

    /// Prints it. Somebody who has seen enough is no error.
    pub fn print(&self) {
        let _ = stdout().lock().write_all(self.0.as_bytes());
    }

    fn push(&mut self, level: usize, line: fmt::Arguments<'_>) {
        use fmt::Write;
        // Writing into a String does not fail.
        let _ = writeln!(self.0, "{:indent$}{line}", "", indent = level * 2);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Items with a comma between them, or a dash where there are none.
#[must_use]
pub fn listed(items: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let items: Vec<_> = items.into_iter().map(|it| it.to_string()).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(", ") }
}

/// `1 branch`, `2 branches`.
#[must_use]
pub fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_stands_together() {
        let mut summary = Summary::default();
        summary.table("scan");
        summary.line("test-map", count(1, "repository", "repositories"));
        summary.part("o/r", count(2, "branch", "branches"));
        summary.item("main", listed(["a", "b"]));
        summary.line("internal-patterns", listed([""; 0]));
        let expected = "[scan]\n  test-map: 1 repository\n    o/r: 2 branches\n      main: a, b\n  internal-patterns: -\n";
        assert_eq!(summary.to_string(), expected);
    }
}
