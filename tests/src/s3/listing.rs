//! What `s3s-fs` leaves out of a list: names are to be encoded as in a URL when that was asked for; it says so, and does not.

use std::io;

use http_body_util::BodyExt;
use hyper::Response;
use hyper::header::CONTENT_LENGTH;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::Body;

pub(super) async fn encoded(answer: Response<Body>) -> io::Result<Response<Body>> {
    let (mut head, body) = answer.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = String::from_utf8(body.to_vec()).map_err(io::Error::other)?;
    head.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(
        head,
        Body::from(["Key", "Prefix"].iter().fold(text, |text, name| encode(&text, name))),
    ))
}

/// The text of every element of that name.
fn encode(xml: &str, name: &str) -> String {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut parts = xml.split(&begin);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (text, rest) = part.split_once(&end).unwrap_or((part, ""));
        out.push_str(&begin);
        out.extend(utf8_percent_encode(&unescaped(text), NON_ALPHANUMERIC));
        out.push_str(&end);
        out.push_str(rest);
    }
    out
}

fn unescaped(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_and_nothing_else() {
        let xml = "<L><Prefix>a/</Prefix><C><Key>a/&lt;b+%&gt; &amp;lt;</Key><Size>1</Size></C></L>";
        let expected =
            "<L><Prefix>a/</Prefix><C><Key>a%2F%3Cb%2B%25%3E%20%26lt%3B</Key><Size>1</Size></C></L>";
        assert_eq!(encode(xml, "Key"), expected);
    }
}
