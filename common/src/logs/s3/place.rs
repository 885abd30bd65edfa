//! What a bucket's URL says.

use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use rusty_s3::{Bucket, UrlStyle};

use super::super::name::percent_encoded;

/// Where the bucket's name is in its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `https://HOST/BUCKET[/PREFIX]`.
    Path,
    /// `https://BUCKET.HOST[/PREFIX]`.
    VirtualHost,
}

/// A text that is no style.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected \"path\" (https://HOST/BUCKET) or \"virtual-host\" (https://BUCKET.HOST)")]
pub struct InvalidStyle;

impl FromStr for Style {
    type Err = InvalidStyle;

    fn from_str(text: &str) -> Result<Self, InvalidStyle> {
        match text {
            "path" => Ok(Self::Path),
            "virtual-host" => Ok(Self::VirtualHost),
            _ => Err(InvalidStyle),
        }
    }
}

/// A bucket, and the folder in it that everything goes to.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) bucket: Bucket,
    /// Empty, or with a slash at its end.
    pub(super) prefix: String,
}

const NO_BUCKET: &str =
    "names no bucket: expected https://HOST/BUCKET[/PREFIX] or https://BUCKET.HOST[/PREFIX]";
const DEFAULT_REGION: &str = "us-east-1";

impl Place {
    /// Takes a URL apart; says what is wrong with it.
    pub(super) fn new(url: &Url, style: Option<Style>, region: Option<&str>) -> Result<Self, &'static str> {
        let extra = url.query().is_some() || url.fragment().is_some();
        if !matches!(url.scheme(), "https" | "http") || extra {
            return Err(
                "expected https://HOST/BUCKET[/PREFIX] or https://BUCKET.HOST[/PREFIX], and nothing behind it",
            );
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("expected no user or password in it: they go into logs.s3.key");
        }
        let host = url.host_str().ok_or(NO_BUCKET)?;
        let path = percent_encoding::percent_decode_str(url.path()).decode_utf8();
        let path = path.map_err(|_| "expected UTF-8 in it")?;
        let path = path.trim_matches('/');
        if path.split('/').skip(1).any(str::is_empty) {
            return Err("expected no empty parts in its path");
        }
        let mut endpoint = url.clone();
        endpoint.set_path("");
        let (style, name, prefix) = match style.unwrap_or_else(|| guess_style(host, path)) {
            Style::Path => {
                let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
                (UrlStyle::Path, name, prefix)
            }
            Style::VirtualHost => {
                let (name, host) = host.split_once('.').filter(|_| !is_address(host)).ok_or(NO_BUCKET)?;
                endpoint.set_host(Some(host)).map_err(|_| NO_BUCKET)?;
                (UrlStyle::VirtualHost, name, path)
            }
        };
        if name.is_empty() {
            return Err(NO_BUCKET);
        }
        let region = region.or_else(|| guess_region(host)).unwrap_or(DEFAULT_REGION).to_owned();
        let bucket = Bucket::new(endpoint, style, name.to_owned(), region).map_err(|_| NO_BUCKET)?;
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { bucket, prefix })
    }

    /// The name of an object in the bucket.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// Where an object is found below a URL.
pub(super) fn below(url: &Url, name: &str) -> String {
    format!("{}/{}", url.as_str().trim_end_matches('/'), percent_encoded(name))
}

/// Amazon's host names tell. Elsewhere a path is taken for the bucket's name: with a prefix and a virtual host, the
/// configuration has to say so.
fn guess_style(host: &str, path: &str) -> Style {
    let is_bare = || host.starts_with("s3.") || host.starts_with("s3-");
    let by_host = is_address(host) || !host.contains('.') || (is_amazon(host) && is_bare());
    if by_host || (!path.is_empty() && !is_amazon(host)) { Style::Path } else { Style::VirtualHost }
}

/// From `[BUCKET.]s3[.dualstack].REGION.amazonaws.com` and older forms.
fn guess_region(host: &str) -> Option<&str> {
    let labels = host.split('.').rev().skip_while(|it| matches!(*it, "cn" | "com" | "amazonaws"));
    let labels = labels.take_while(|it| *it != "s3").map(|it| it.strip_prefix("s3-").unwrap_or(it));
    let is_region = |it: &&str| it.matches('-').count() >= 2 && it.ends_with(|it: char| it.is_ascii_digit());
    is_amazon(host).then_some(labels)?.find(is_region)
}

fn is_amazon(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str, style: Option<Style>) -> Result<(String, String, String), &'static str> {
        let place = Place::new(&Url::parse(url).unwrap(), style, None)?;
        let bucket = &place.bucket;
        // The objects are where the URL says, whatever was made of it.
        let object = bucket.object_url(&place.key("x y"));
        assert_eq!(object.as_str(), below(&Url::parse(url).unwrap(), "x y"));
        Ok((bucket.name().to_owned(), place.prefix, bucket.region().to_owned()))
    }

    #[test]
    fn a_url_names_bucket_prefix_and_region() {
        for (url, name, prefix, region) in [
            ("https://logs.us-east-1.linodeobjects.com", "logs", "", "us-east-1"),
            ("https://logs.us-east-1.linodeobjects.com/", "logs", "", "us-east-1"),
            ("https://s3.example.com/logs", "logs", "", "us-east-1"),
            ("https://s3.example.com:9000/logs/ci/x/", "logs", "ci/x/", "us-east-1"),
            ("https://s3.example.com/logs/a%20b", "logs", "a b/", "us-east-1"),
            ("http://127.0.0.1:9000/logs/ci", "logs", "ci/", "us-east-1"),
            ("http://[::1]/logs", "logs", "", "us-east-1"),
            ("https://localhost:9000/logs", "logs", "", "us-east-1"),
            ("https://logs.localhost:9000", "logs", "", "us-east-1"),
            ("https://logs.s3.amazonaws.com/ci", "logs", "ci/", "us-east-1"),
            ("https://logs.s3.eu-west-1.amazonaws.com/ci/x", "logs", "ci/x/", "eu-west-1"),
            ("https://s3.eu-west-1.amazonaws.com/logs/ci", "logs", "ci/", "eu-west-1"),
            ("https://s3-eu-west-2.amazonaws.com/logs", "logs", "", "eu-west-2"),
            ("https://logs.s3-us-gov-west-1.amazonaws.com", "logs", "", "us-gov-west-1"),
            ("https://logs.s3.dualstack.ap-south-1.amazonaws.com", "logs", "", "ap-south-1"),
            ("https://logs.s3.cn-north-1.amazonaws.com.cn", "logs", "", "cn-north-1"),
            ("https://logs.s3-accelerate.amazonaws.com", "logs", "", "us-east-1"),
            ("https://eu-west-1.s3.amazonaws.com", "eu-west-1", "", "us-east-1"),
        ] {
            let expected = (name.to_owned(), prefix.to_owned(), region.to_owned());
            assert_eq!(place(url, None), Ok(expected), "{url}");
        }
    }

    #[test]
    fn the_configuration_can_say_where_the_name_is() {
        let (url, other) = ("https://logs.s3.example.com/ci", "https://s3.example.com/logs");
        let of = |url, style| place(url, Some(style)).map(|(name, prefix, _)| (name, prefix));
        assert_eq!(of(url, Style::VirtualHost), Ok(("logs".to_owned(), "ci/".to_owned())));
        assert_eq!(of(url, Style::Path), Ok(("ci".to_owned(), String::new())));
        assert_eq!(of(other, Style::VirtualHost), Ok(("s3".to_owned(), "logs/".to_owned())));
        assert_eq!(of("http://127.0.0.1/x", Style::VirtualHost), Err(NO_BUCKET));
        assert_eq!(of("http://localhost/x", Style::VirtualHost), Err(NO_BUCKET));
        let url = Url::parse("https://logs.s3.eu-west-1.amazonaws.com").unwrap();
        assert_eq!(Place::new(&url, None, Some("any")).unwrap().bucket.region(), "any");
    }

    #[test]
    fn what_names_no_bucket_is_refused() {
        for bad in [
            "https://localhost",
            "http://127.0.0.1:9000/",
            "https://s3.amazonaws.com",
            "https://s3.eu-west-1.amazonaws.com/",
            "ftp://s3.example.com/logs",
            "https://s3.example.com/logs?x=1",
            "https://s3.example.com/logs#x",
            "https://user@s3.example.com/logs",
            "https://:pass@s3.example.com/logs",
            "https://s3.example.com/logs//x",
            "data:x",
        ] {
            assert!(place(bad, None).is_err(), "{bad}");
        }
    }
}
