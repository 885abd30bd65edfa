//! One tree over another one, as RFC 7396 has it (JSON Merge Patch).

use std::collections::BTreeMap;

use super::{Node, Value};

impl Node {
    /// This tree with another one over it: tables become one, anything else takes the place of what was there, and null
    /// removes it.
    #[must_use]
    pub(in super::super) fn patched(self, patch: Self) -> Self {
        let line = patch.line;
        let Value::Table(changes) = patch.value else { return patch };
        let mut table = if let Value::Table(table) = self.value { table } else { BTreeMap::new() };
        for (name, change) in changes {
            if change.is_null() {
                table.remove(&name);
                continue;
            }
            let nothing = || Self { line: change.line, value: Value::Null };
            let was = table.remove(&name).unwrap_or_else(nothing);
            table.insert(name, was.patched(change));
        }
        Self { line, value: Value::Table(table) }
    }

    /// The same tree as one that is in no file: line 0.
    #[must_use]
    pub(in super::super) fn built_in(self) -> Self {
        let value = match self.value {
            Value::Table(table) => {
                Value::Table(table.into_iter().map(|(name, node)| (name, node.built_in())).collect())
            }
            Value::List(items) => Value::List(items.into_iter().map(Self::built_in).collect()),
            plain => plain,
        };
        Self { line: 0, value }
    }

    /// Whether it came with the program.
    #[must_use]
    pub(in super::super) const fn is_built_in(&self) -> bool {
        self.line == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;

    /// The examples of RFC 7396, appendix A, that are about objects.
    #[test]
    fn patches_are_those_of_the_rfc() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            (r#"{"a":"foo"}"#, r#"{"a":{"b":{"c":null}}}"#, r#"{"a":{"b":{}}}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let tree = |text| Format::Json.parse(text).unwrap();
            assert_eq!(tree(target).patched(tree(patch)), tree(result), "{target} {patch}");
        }
    }
}
