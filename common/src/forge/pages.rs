//! Answers that come in pages.

use std::collections::HashSet;

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;

use super::types::{Status, null_is_default};

/// A page of a commit's combined status.
#[derive(Debug, Deserialize)]
pub(super) struct CombinedStatus {
    #[serde(default, deserialize_with = "null_is_default")]
    statuses: Vec<Status>,
    #[serde(default)]
    total_count: usize,
}

/// Whether there is another page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    Yes,
    No,
}

/// The pages so far: the first status of a context counts, and their order is kept.
#[derive(Debug, Default)]
pub(super) struct Statuses {
    found: Vec<Status>,
    contexts: HashSet<String>,
    received: usize,
}

impl Statuses {
    /// Adds a page. There is another if the `Link` header says so, or (some forges have none) if not all of
    /// `total_count` have come; an empty page is the last in any case.
    pub(super) fn add(&mut self, page: CombinedStatus, headers: &HeaderMap) -> More {
        let CombinedStatus { statuses, total_count } = page;
        let empty = statuses.is_empty();
        self.received += statuses.len();
        for status in statuses {
            if self.contexts.insert(status.context.clone()) {
                self.found.push(status);
            }
        }
        if !empty && (has_next(headers) || self.received < total_count) { More::Yes } else { More::No }
    }

    pub(super) fn into_vec(self) -> Vec<Status> {
        self.found
    }
}

/// Whether a `Link` header (RFC 8288) names a next page: `<https://…?page=2>; rel="next", <…>; rel="last"`.
pub(super) fn has_next(headers: &HeaderMap) -> bool {
    next(headers).is_some()
}

/// A parameter of the next page's address. The address itself is not followed: it may name the repository by a number, and the
/// token goes where we say.
pub(super) fn next_parameter(headers: &HeaderMap, name: &str) -> Option<String> {
    let url = Url::parse(next(headers)?).ok()?;
    url.query_pairs().find(|(it, _)| it == name).map(|(_, value)| value.into_owned())
}

fn next(headers: &HeaderMap) -> Option<&str> {
    let links = headers.get_all(LINK).into_iter().filter_map(|it| it.to_str().ok());
    links.flat_map(|it| it.split(',')).find_map(|link| {
        let (address, parameters) = link.split_once(';')?;
        let is_next =
            |it: &str| it.trim().strip_prefix("rel=").is_some_and(|rel| rel.trim_matches('"') == "next");
        let address = || address.trim().strip_prefix('<')?.strip_suffix('>');
        parameters.split(';').any(is_next).then(address)?
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(contexts: &[&str], total: usize) -> CombinedStatus {
        let statuses: Vec<_> = contexts.iter().map(|it| json!({"context": it, "state": "pending"})).collect();
        serde_json::from_value(json!({"statuses": statuses, "total_count": total})).unwrap()
    }

    fn link(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(LINK, text.parse().unwrap())])
    }

    #[test]
    fn the_first_of_a_context_counts() {
        let mut statuses = Statuses::default();
        let next = link(r#"<https://x/?per_page=100&page=2>; rel="next", <https://x/?page=9>; rel="last""#);
        assert_eq!(statuses.add(page(&["b", "a"], 3), &next), More::Yes);
        let last = link(r#"<https://x/?page=1>; rel="prev""#);
        assert_eq!(statuses.add(page(&["a", "c"], 3), &last), More::No);
        let contexts: Vec<_> = statuses.into_vec().into_iter().map(|it| it.context).collect();
        assert_eq!(contexts, ["b", "a", "c"]);
    }

    #[test]
    fn a_cursor_is_found() {
        let next = link(r#"<https://x/a?per_page=2&cursor=v1_7>; rel="next""#);
        assert_eq!(next_parameter(&next, "cursor").as_deref(), Some("v1_7"));
        assert_eq!(next_parameter(&next, "page"), None);
        for none in [
            "",
            "<https://x?cursor=1>; rel=\"prev\"",
            "https://x?cursor=1; rel=next",
            "<?cursor=1>; rel=next",
        ] {
            assert_eq!(next_parameter(&link(none), "cursor"), None, "{none}");
        }
    }

    #[test]
    fn a_count_will_do_where_there_is_no_link() {
        let mut statuses = Statuses::default();
        assert_eq!(statuses.add(page(&["a"], 2), &HeaderMap::new()), More::Yes);
        assert_eq!(statuses.add(page(&["b"], 2), &HeaderMap::new()), More::No);
    }

    #[test]
    fn an_empty_page_is_the_last() {
        let wrong = link(r#"<https://x/?page=2>; rel="next""#);
        assert_eq!(Statuses::default().add(page(&[], 7), &wrong), More::No);
    }

    #[test]
    fn no_status_at_all_is_null_to_some() {
        let page: CombinedStatus = serde_json::from_str(r#"{"state": "", "statuses": null}"#).unwrap();
        assert_eq!(Statuses::default().add(page, &HeaderMap::new()), More::No);
    }
}
