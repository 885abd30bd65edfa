//! Lists, a page at a time.

use anyhow::Result;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::super::fault::Reply;
use super::super::payload::Site;
use super::super::server::Call;

/// What is on a page unless asked for.
const PER_PAGE: usize = 30;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    number: usize,
    length: usize,
}

impl Page {
    pub(super) fn asked(site: Site<'_>, call: &Call) -> Self {
        let number = |name| call.parameter(name).and_then(|it| it.parse::<usize>().ok());
        let (parameter, most) = site.dialect.page();
        Self {
            number: number("page").unwrap_or(1).max(1),
            length: number(parameter).unwrap_or(PER_PAGE).clamp(1, most),
        }
    }

    pub(super) fn of<T: Copy>(self, all: &[T]) -> Vec<T> {
        all.iter().skip((self.number - 1) * self.length).take(self.length).copied().collect()
    }

    /// Adds the `Link` header: none where there is one page only.
    pub(super) fn link(self, site: Site<'_>, call: &Call, total: usize, reply: Reply) -> Reply {
        let pages = total.div_ceil(self.length).max(1);
        let reply = if site.dialect.counts() {
            reply
        } else {
            reply.with_header("x-total-count", &total.to_string())
        };
        match links(&here(site, call), self.number, pages) {
            Some(links) => reply.with_header("link", &links),
            None => reply,
        }
    }
}

/// A page of a list that is JSON's.
pub(super) fn list<T: Copy>(
    site: Site<'_>,
    call: &Call,
    all: &[T],
    show: impl Fn(T) -> Result<Value>,
) -> Result<Reply> {
    let page = Page::asked(site, call);
    let shown: Vec<_> = page.of(all).into_iter().map(show).collect::<Result<_>>()?;
    Ok(page.link(site, call, all.len(), Reply::json(200, &Value::from(shown))))
}

/// The address that was asked for, without the number of the page.
fn here(site: Site<'_>, call: &Call) -> String {
    let escape = |it: &str| utf8_percent_encode(it, NON_ALPHANUMERIC).to_string();
    let place: Vec<_> = call.parts.iter().map(String::as_str).collect();
    let query = call.query.iter().filter(|(name, _)| name != "page");
    let query: Vec<_> = query.map(|(name, value)| format!("{name}={}", escape(value))).collect();
    format!("{}/{}?{}", site.api, place.join("/"), query.join("&"))
}

fn links(here: &str, page: usize, pages: usize) -> Option<String> {
    let places =
        [("prev", page - 1, page > 1), ("next", page + 1, page < pages), ("last", pages, page < pages)];
    let links = places.into_iter().filter(|(.., there)| *there);
    let links: Vec<_> = links.map(|(rel, to, _)| format!("<{here}&page={to}>; rel=\"{rel}\"")).collect();
    (!links.is_empty()).then(|| links.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_those_of_github() {
        assert_eq!(links("u?per_page=1", 1, 1), None);
        assert_eq!(
            links("u?a=1", 1, 2).unwrap(),
            "<u?a=1&page=2>; rel=\"next\", <u?a=1&page=2>; rel=\"last\""
        );
        assert_eq!(links("u?a=1", 2, 2).unwrap(), "<u?a=1&page=1>; rel=\"prev\"");
    }
}
