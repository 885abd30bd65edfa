//! What is kept of an answer, and what it is kept under.

use bytes::Bytes;
use reqwest::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LINK,
};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::super::answer::Answer;
use super::super::error::Request;
use crate::id::ForgeName;

/// Where an answer came from, and in which form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(in super::super) struct Key {
    forge: String,
    url: String,
    accept: String,
}

impl Key {
    pub(super) fn new(forge: &ForgeName, url: &Url, accept: &HeaderValue) -> Option<Self> {
        let accept = accept.to_str().ok()?.to_owned();
        Some(Self { forge: forge.as_str().to_owned(), url: url.as_str().to_owned(), accept })
    }
}

/// An answer that can be asked for again by its validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Entry {
    pub(super) facts: Facts,
    pub(super) body: Bytes,
}

/// The headers that count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    etag: Option<String>,
    last_modified: Option<String>,
    link: Option<String>,
    content_type: Option<String>,
}

impl Entry {
    /// None for what is not JSON, not whole, not to be kept, or has no validator.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        let Answer { request: _, status, headers, body } = answer;
        let text = |name: &HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let facts = Facts {
            etag: text(&ETAG),
            last_modified: text(&LAST_MODIFIED),
            link: text(&LINK),
            content_type: text(&CONTENT_TYPE),
        };
        let json = facts.content_type.as_ref().is_some_and(|it| it.contains("json"));
        let forbidden = text(&CACHE_CONTROL).is_some_and(|it| it.contains("no-store"));
        // A second `Link` would be lost.
        let plain = headers.get_all(LINK).iter().count() <= 1;
        let fit = *status == StatusCode::OK && json && plain && !forbidden;
        (fit && facts.validator().is_some()).then(|| Self { facts, body: body.clone() })
    }

    /// The header that asks whether it is still true. An `ETag` is exact, a date knows no two changes within a second.
    pub(in super::super) fn validator(&self) -> Option<(HeaderName, HeaderValue)> {
        self.facts.validator()
    }

    /// The answer again, after the forge said that it is still true. The pages around it may be others by now.
    pub(in super::super) fn answer(&self, request: Request, fresh: &HeaderMap) -> Answer {
        let Facts { etag: _, last_modified: _, link, content_type } = &self.facts;
        let mut headers = fresh.clone();
        let mut restore = |name: HeaderName, kept: &Option<String>| {
            if let Some(Ok(value)) = kept.as_ref().map(|it| HeaderValue::from_str(it)) {
                headers.entry(name).or_insert(value);
            }
        };
        restore(LINK, link);
        restore(CONTENT_TYPE, content_type);
        Answer { request, status: StatusCode::OK, headers, body: self.body.clone() }
    }

    /// How much room it takes, in bytes.
    pub(super) fn size(&self, key: &Key) -> usize {
        let Facts { etag, last_modified, link, content_type } = &self.facts;
        let texts = [etag, last_modified, link, content_type].into_iter().flatten().map(String::len);
        self.body.len() + key.url.len() + key.accept.len() + texts.sum::<usize>()
    }
}

impl Facts {
    fn validator(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self {
            Self { etag: Some(tag), .. } => (IF_NONE_MATCH, tag),
            Self { last_modified: Some(date), .. } => (IF_MODIFIED_SINCE, date),
            _ => return None,
        };
        Some((name, HeaderValue::from_str(value).ok()?))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use reqwest::Method;

    use super::*;

    pub(in super::super) fn key(url: &str) -> Key {
        let url = Url::parse(url).unwrap();
        Key::new(&ForgeName::new("hub").unwrap(), &url, &HeaderValue::from_static("json")).unwrap()
    }

    pub(in super::super) fn entry(body: &str) -> Entry {
        Entry::of(&answer(200, &[JSON, ("etag", "\"1\"")], body)).unwrap()
    }

    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let forge = ForgeName::new("hub").unwrap();
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        Answer {
            request: Request { forge, method: Method::GET, path: "repos/o/r".to_owned(), id: None },
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn what_is_kept_and_how_it_is_asked_for_again() {
        let (tag, date) = (("etag", "W/\"1\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"));
        for (status, headers, asked) in [
            (200, vec![JSON, tag, date], Some("if-none-match: W/\"1\"")),
            (200, vec![JSON, date], Some("if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT")),
            (200, vec![("content-type", "application/vnd.github+json"), tag], Some("if-none-match: W/\"1\"")),
            (200, vec![JSON, tag, ("cache-control", "private, max-age=60")], Some("if-none-match: W/\"1\"")),
            (200, vec![JSON], None),
            (200, vec![JSON, tag, ("cache-control", "no-store")], None),
            (200, vec![("content-type", "text/html"), tag], None),
            (200, vec![tag], None),
            (206, vec![JSON, tag], None),
            (201, vec![JSON, tag], None),
        ] {
            let entry = Entry::of(&answer(status, &headers, "[]"));
            let validator = entry.and_then(|it| it.validator());
            let found = validator.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            assert_eq!(found.as_deref(), asked, "{status} {headers:?}");
        }
    }

    #[test]
    fn an_answer_comes_back_whole() {
        let first = answer(200, &[JSON, ("etag", "\"1\""), ("link", "<x?page=2>; rel=\"next\"")], "[1]");
        let entry = Entry::of(&first).unwrap();
        let again = entry.answer(first.request.clone(), &HeaderMap::new());
        assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
        assert_eq!(
            (again.headers.get(LINK), again.headers.get(CONTENT_TYPE)),
            (first.headers.get(LINK), first.headers.get(CONTENT_TYPE))
        );
        let fresh = HeaderMap::from_iter([(LINK, HeaderValue::from_static("<x?page=3>; rel=\"next\""))]);
        let again = entry.answer(first.request, &fresh);
        assert_eq!(again.headers[LINK], "<x?page=3>; rel=\"next\"");
    }
}
