//! Texts of the configuration with `%{placeholders}` in them.

use std::fmt;

/// A text with placeholders of a known set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(&'static str),
}

/// A text that is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("%{{{found}}} stands for nothing; there are {known}")]
pub struct InvalidTemplate {
    found: String,
    known: String,
}

impl Template {
    /// Reads a text; its placeholders must be among the known ones. A `%` that no `{` follows is a `%`.
    pub fn parse(text: &str, known: &[&'static str]) -> Result<Self, InvalidTemplate> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("%{") {
            let Some((name, after)) = after.split_once('}') else { break };
            let value = known.iter().find(|it| **it == name).ok_or_else(|| InvalidTemplate {
                found: name.chars().take(40).collect(),
                known: known.iter().map(|it| format!("%{{{it}}}")).collect::<Vec<_>>().join(", "),
            })?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Value(value));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// Whether a placeholder is in it.
    #[must_use]
    pub fn names(&self, placeholder: &str) -> bool {
        self.0.iter().any(|it| matches!(it, Piece::Value(name) if *name == placeholder))
    }

    /// The text with a value for each placeholder.
    #[must_use]
    pub fn fill(&self, values: &[(&str, &str)]) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => {
                let value = values.iter().find(|(it, _)| it == name);
                value.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
            }
        };
        self.0.iter().map(text).collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| match it {
            Piece::Text(text) => f.write_str(text),
            Piece::Value(name) => write!(f, "%{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_values_once() {
        let values = [("a", "%{b}"), ("b", "2")];
        for (text, filled) in [
            ("", ""),
            ("plain 5% {x}", "plain 5% {x}"),
            ("%{a}", "%{b}"),
            ("x%{b}y%{a}%{b}", "x2y%{b}2"),
            ("open %{a", "open %{a"),
        ] {
            let template = Template::parse(text, &["a", "b"]).unwrap();
            assert_eq!((template.fill(&values), template.to_string()), (filled.to_owned(), text.to_owned()));
        }
        let error = Template::parse("%{c}", &["a", "b"]).unwrap_err();
        assert_eq!(error.to_string(), "%{c} stands for nothing; there are %{a}, %{b}");
    }
}
