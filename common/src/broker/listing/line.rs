//! Any text as one line that is harmless to a terminal.

use std::fmt::{self, Display, Write};

/// Shows a text as one line: a line break and the indentation after it become a space, and control characters (also those
/// that change the direction of writing) become `\uXXXX`. JSON stays JSON and means the same, since within
/// its texts a bare line break cannot be.
#[derive(Clone, Copy, Debug)]
pub struct OneLine<'a>(pub &'a str);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(is_harmful) {
            let (harmless, harmful) = rest.split_at(at);
            f.write_str(harmless)?;
            rest = replace(harmful, f)?;
        }
        f.write_str(rest)
    }
}

/// Writes something else for the first character, or for all of a line break; returns what comes after.
fn replace<'a>(text: &'a str, f: &mut fmt::Formatter<'_>) -> Result<&'a str, fmt::Error> {
    let after = text.trim_start_matches([' ', '\t', '\r', '\n']);
    if after.len() < text.len() {
        f.write_char(' ')?;
        return Ok(after);
    }
    let mut chars = text.chars();
    if let Some(first) = chars.next() {
        write!(f, "\\u{:04x}", u32::from(first))?;
    }
    Ok(chars.as_str())
}

fn is_harmful(c: char) -> bool {
    let breaks_lines = matches!(c, '\u{2028}' | '\u{2029}');
    let turns_text =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || breaks_lines || turns_text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_line(text: &str) -> String {
        OneLine(text).to_string()
    }

    #[test]
    fn what_is_one_harmless_line_stays_as_it_is() {
        for text in ["", r#"{"human": "pull-1      fedora   é漢😀", "x": "\n\u001b[2J"}"#, " a  b "] {
            assert_eq!(one_line(text), text);
        }
    }

    #[test]
    fn indented_json_becomes_a_line_that_means_the_same() {
        let text = "{\n  \"job\": {\r\n\t\"repo\": \"o/r  x\"\n  }\n}";
        let line = one_line(text);
        assert_eq!(line, r#"{ "job": { "repo": "o/r  x" } }"#);
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(json(&line), json(text));
    }

    #[test]
    fn terminals_are_told_nothing() {
        assert_eq!(one_line("a\u{1b}[2Jb\u{7}\u{0}"), r"a\u001b[2Jb\u0007\u0000");
        assert_eq!(one_line("\u{9b}1m\u{7f}\u{202e}x\u{2028}"), r"\u009b1m\u007f\u202ex\u2028");
        // Legal within a text of JSON, and the same text afterwards.
        let text = "\"\u{9b}\u{7f}\u{202e}\"";
        let json = |text: &str| serde_json::from_str::<String>(text).unwrap();
        assert_eq!(json(&one_line(text)), json(text));
    }
}
