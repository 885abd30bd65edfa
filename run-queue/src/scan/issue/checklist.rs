//! Check lists as people write them, in GitHub's Markdown.

use std::collections::HashMap;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// No forge takes a longer text (GitHub: 65,536 characters); what is beyond it is not looked at.
const LONGEST: usize = 1024 * 1024;

/// The first item that is to be done, as it is written.
///
/// What Markdown says is code, a comment or a quotation holds no items, whatever it looks like, and neither does a numbered list.
/// An item that begins with a word in capitals and a colon (`FAIL: …`) has been tried and counts as done; of an item that is
/// there twice, the last one counts.
#[must_use]
pub fn first_unchecked(text: &str) -> Option<&str> {
    let items = items(text);
    let done: HashMap<&str, bool> = items.iter().map(|it| (it.text, it.done)).collect();
    items.into_iter().map(|it| it.text).find(|it| done.get(it) == Some(&false))
}

struct Item<'a> {
    text: &'a str,
    done: bool,
}

fn items(text: &str) -> Vec<Item<'_>> {
    let text = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text);
    let mut lists = Vec::new();
    let mut quotes = 0_usize;
    let mut items = Vec::new();
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TASKLISTS).into_offset_iter() {
        match event {
            Event::Start(Tag::List(number)) => lists.push(number),
            Event::End(TagEnd::List(_)) => drop(lists.pop()),
            Event::Start(Tag::BlockQuote(_)) => quotes += 1,
            Event::End(TagEnd::BlockQuote(_)) => quotes = quotes.saturating_sub(1),
            Event::TaskListMarker(checked) if quotes == 0 && lists.last() == Some(&None) => {
                items.extend(text.get(range.end..).and_then(|rest| item(rest, checked)));
            }
            _ => {}
        }
    }
    items
}

/// What stands behind a box, to the end of its line.
fn item(rest: &str, checked: bool) -> Option<Item<'_>> {
    let line = rest.lines().next()?.trim();
    match line.split_once(|c: char| c.is_whitespace()) {
        Some((word, text)) if is_verdict(word) => Some(Item { text: text.trim_start(), done: true }),
        _ => (!line.is_empty()).then_some(Item { text: line, done: checked }),
    }
}

/// `FAIL:`
fn is_verdict(word: &str) -> bool {
    word.strip_suffix(':').is_some_and(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_unchecked_item_counts() {
        for (text, found) in [
            ("* [ ] a b", Some("a b")),
            ("- [ ] a", Some("a")),
            ("+ [ ] a", Some("a")),
            ("* [x] a\n* [ ] b", Some("b")),
            ("* [X] a\n* [ ] b", Some("b")),
            ("* [x] a", None),
            ("* [ ] a\n* [ ] b", Some("a")),
            ("* [ ] a\r\n* [ ] b\r\n", Some("a")),
            ("* [x] a\r\n* [ ] b\r\n", Some("b")),
            ("* [x] a\n\n* [ ] b\n", Some("b")),
            ("  * [ ]   a  b  \n", Some("a  b")),
            ("*   [ ] a", Some("a")),
            ("* [ ]\ta", Some("a")),
            (" * [ ] `a` **b**", Some("`a` **b**")),
            ("* [x] a\n  * [ ] b", Some("b")),
            ("* [x] a\n    * [ ] b", Some("b")),
            ("* [ ] a\n  more of it", Some("a")),
            ("Please do\n* [ ] a\nand tell me.", Some("a")),
            ("Please do\n\n- [ ] a\n\nThank you.\n", Some("a")),
            ("# To do\n* [ ] a", Some("a")),
            ("* [ ] FAIL: a\n* [ ] b", Some("b")),
            ("* [ ] FAIL:a", Some("FAIL:a")),
            ("* [ ] Fail: a", Some("Fail: a")),
            ("* [ ] a\n* [x] a", None),
            ("* [x] a\n* [ ] a", Some("a")),
            ("* [ ] größe 🚢", Some("größe 🚢")),
        ] {
            assert_eq!(first_unchecked(text), found, "{text:?}");
        }
    }

    #[test]
    fn what_only_looks_like_an_item_is_none() {
        for text in [
            "",
            "\n",
            "a",
            "[ ] a",
            "*[ ] a",
            "* [] a",
            "* [ ]a",
            "* [ ]",
            "* [ ] ",
            "* [y] a",
            "* a [ ] b",
            "text * [ ] a",
            "\\* [ ] a",
            "1. [ ] a",
            "```\n* [ ] a\n```",
            "~~~ text\n* [ ] a\n",
            "* [x] done\n\n  ```\n  * [ ] a\n  ```\n",
            "    * [ ] a",
            "text\n\n    * [ ] a",
            "\t- [ ] a",
            "<!--\n* [ ] a\n-->",
            "<pre>\n* [ ] a\n</pre>",
            "> * [ ] a",
        ] {
            assert_eq!(first_unchecked(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_text_that_wants_to_be_a_burden_is_none() {
        let deep = "> ".repeat(50_000) + "* [ ] a\n";
        assert_eq!(first_unchecked(&deep), None);
        let long = "* [x] é\n".repeat(300_000) + "* [ ] a\n";
        assert_eq!(first_unchecked(&long), None);
        let nested = "- ".repeat(50_000) + "[ ] a\n";
        assert_eq!(first_unchecked(&nested), Some("a"));
    }
}
