//! `log.html`: the page that people open from a pull request.
//!
//! It is one file and needs no other host, as it is served from buckets, often behind a strict policy. Here it
//! is in parts: a skeleton, a style, and a script in sections that are read in this order:
//!
//! ```text
//! content   the bytes, and where lines begin       source   follows log.chunks, log.S-E and log
//! text      bytes to text, escapes to colours      scan     finds lines that match
//! tap       what the log says about tests          attachments  the files that tests announce
//! lines     a view with only the rows seen         tests    the list of tests
//! main      what is known of the log; header       views    following, the two tabs
//! links     to lines and tests                     find     search, failures
//! keys      keys, light and dark, the beginning
//! ```
//!
//! The page's own `Content-Security-Policy` names the hashes of its style and script, computed when it is put
//! together, and forbids everything else: other hosts, other scripts, and making markup of text
//! (`require-trusted-types-for`). What a log holds gets into the page as text nodes.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

const SKELETON: &str = include_str!("log.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = concat!(
    "\"use strict\";\n",
    include_str!("script/content.js"),
    include_str!("script/text.js"),
    include_str!("script/source.js"),
    include_str!("script/scan.js"),
    include_str!("script/tap.js"),
    include_str!("script/attachments.js"),
    include_str!("script/lines.js"),
    include_str!("script/tests.js"),
    include_str!("script/main.js"),
    include_str!("script/views.js"),
    include_str!("script/links.js"),
    include_str!("script/find.js"),
    include_str!("script/keys.js"),
);

/// The page, as text.
pub static PAGE: LazyLock<String> = LazyLock::new(|| {
    SKELETON.replace("@POLICY@", &policy()).replace("@STYLE@", STYLE).replace("@SCRIPT@", SCRIPT)
});

/// Allows what the page does itself.
fn policy() -> String {
    let (script, style) = (hash(SCRIPT), hash(STYLE));
    format!(
        "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src 'self'; \
         base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// As a policy names the content of an element.
pub(super) fn hash(content: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(digest(&SHA256, content.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the only element of that name.
    fn element<'a>(page: &'a str, name: &str) -> &'a str {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let (_, rest) = page.split_once(&open).unwrap();
        let (content, rest) = rest.split_once(&close).unwrap();
        assert!(!rest.contains(&open), "another {open}");
        content
    }

    #[test]
    fn the_policy_names_what_is_in_the_page() {
        for name in ["script", "style"] {
            let expected = format!("{name}-src '{}'", hash(element(&PAGE, name)));
            assert!(PAGE.contains(&expected), "{expected}");
        }
        assert!(!PAGE.contains('@') || !PAGE.contains("@SCRIPT@"), "all parts are put in");
    }

    #[test]
    fn nothing_in_a_script_can_make_markup_or_code_of_text() {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "createContextualFragment",
            "DOMParser",
            "srcdoc",
            "eval(",
            "Function(",
            "setTimeout(\"",
            "javascript:",
            "<!--",
            "<script",
            "</script",
            "import(",
        ] {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
        for handler in ["onclick=", "onload=", "onerror=", " style="] {
            assert!(!SKELETON.contains(handler), "{handler}");
        }
    }

    #[test]
    fn nothing_comes_from_other_hosts() {
        for part in [SKELETON, STYLE, SCRIPT] {
            assert!(!part.contains("//www.") && !part.contains("http://") && !part.contains("https://"));
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
