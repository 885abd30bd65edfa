//! What is wrong with a JSON text, without a word of the text: payloads and jobs may carry secrets, and logs are read by many.

use serde_json::error::Category;

/// What was expected, never what was found. Syntax errors keep their line and column.
///
/// serde builds its messages from what was found and what was expected, so it is the shape of a message that says which part
/// is whose. A message of an unknown shape is left out altogether.
#[must_use]
pub fn outline(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match error.classify() {
        Category::Io | Category::Syntax | Category::Eof => format!("not valid JSON: {text}"),
        Category::Data => {
            let place = format!(" at line {} column {}", error.line(), error.column());
            expected(text.strip_suffix(&place).unwrap_or(&text))
        }
    }
}

/// What was found is quoted or comes first, so the last mark is ours.
fn expected(text: &str) -> String {
    if text.starts_with("missing field `") || text.starts_with("expected ") {
        text.to_owned()
    } else if let Some((_, expected)) = text.rsplit_once(", expected ") {
        format!("expected {expected}")
    } else if let (true, Some((_, expected))) = (text.starts_with('"'), text.rsplit_once("\" is not ")) {
        format!("not {expected}")
    } else {
        "not what was expected".to_owned()
    }
}

/// A path in a JSON text, fit for a log line. Its keys are the sender's: it ends where one is no plain name (people write
/// `"TOKEN=…"` for one).
pub(crate) fn place(path: &str) -> String {
    let is_plain = |it: &char| it.is_ascii_alphanumeric() || "_-.[]".contains(*it);
    path.chars().take_while(is_plain).take(100).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::id::{ImageRef, PullNumber, RepoName};

    fn wrong<T: DeserializeOwned>(text: &str) -> String {
        serde_json::from_str::<T>(text).err().map(|it| outline(&it)).unwrap()
    }

    #[derive(Deserialize)]
    struct Named {
        #[expect(dead_code, reason = "only read by serde")]
        repo: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Green,
    }

    #[test]
    fn what_was_expected_stays_and_what_was_found_goes() {
        for (found, expected) in [
            (wrong::<u32>(r#""hunter2""#), "expected u32"),
            (wrong::<u32>("-7355608"), "expected u32"),
            (wrong::<u32>(r#"", expected hunter2""#), "expected u32"),
            (wrong::<[u8; 2]>("[1]"), "expected an array of length 2"),
            (wrong::<PullNumber>("0"), "expected a nonzero u64"),
            (wrong::<Named>("{}"), "missing field `repo`"),
            (wrong::<Named>(r#"{"repo": "hunter2", "repo": "hunter2"}"#), "not what was expected"),
            (wrong::<Colour>(r#""hunter2, expected hunter2""#), "expected `red` or `green`"),
            (
                wrong::<RepoName>(r#""hunter2\" is not hunter2""#),
                "not a repository `owner/name` of letters, digits, `-`, `_` and `.`",
            ),
            (wrong::<ImageRef>(r#""-hunter2""#), "not an image reference such as `quay.io/owner/name:tag`"),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_no_json_is_placed() {
        assert_eq!(
            wrong::<Named>("{\"repo\": \"hunter2\"\n\"x\"}"),
            "not valid JSON: expected `,` or `}` at line 2 column 1"
        );
        assert!(wrong::<Named>(r#"{"repo": "hunter2"#).starts_with("not valid JSON: EOF"));
    }

    #[test]
    fn a_place_is_short_and_plain() {
        assert_eq!(place("job.env.A_B[1]"), "job.env.A_B[1]");
        assert_eq!(place("job.env.TOKEN=hunter2"), "job.env.TOKEN");
        assert_eq!(place("job.env.A\u{1b}[31m"), "job.env.A");
        assert_eq!(place(&"x".repeat(5000)).len(), 100);
    }
}
