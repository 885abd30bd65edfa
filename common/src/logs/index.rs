//! `index.html`: what is in a log's folder.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::content_type::content_type;
use super::name::{AttachmentName, Folder, Own, percent_encoded};

/// The page, as text. Names come from jobs: they are escaped, and links are percent-encoded and begin with
/// `./`, so that none is taken for a URL of its own.
pub(super) fn index(folder: &Folder, log_bytes: u64, attachments: &BTreeMap<AttachmentName, u64>) -> String {
    let title = escaped(folder.as_str());
    let mut rows = row(&Own::Whole.to_string(), log_bytes);
    for (name, bytes) in attachments {
        rows.push_str(&row(name.as_str(), *bytes));
    }
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Files of {title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font-family: system-ui, sans-serif; margin: 1.5rem }}
h1 {{ font-size: 1.2rem }}
th, td {{ text-align: start; padding: .2rem 1rem .2rem 0 }}
td:nth-child(2) {{ text-align: end; font-variant-numeric: tabular-nums }}
</style>
</head>
<body>
<h1>Files of <bdi>{title}</bdi></h1>
<p><a href="./log.html">Read the log</a></p>
<table>
<thead><tr><th>File</th><th>Size</th><th>Type</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</body>
</html>
"#
    )
}

fn row(name: &str, bytes: u64) -> String {
    let (mime, encoding) = content_type(name);
    let encoding = encoding.map(|it| format!(" ({it})")).unwrap_or_default();
    let (link, name, size) = (percent_encoded(name), escaped(name), size(bytes));
    format!(
        "<tr><td><a href=\"./{link}\"><bdi>{name}</bdi></a></td><td>{size}</td><td>{mime}{encoding}</td></tr>\n"
    )
}

/// For people: one decimal, and units of powers of 1000.
fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

/// Text for HTML, also within quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                let _ = write!(out, "&#{};", u32::from(c)); // a String takes everything
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Slug;

    fn page(attachments: &[(&str, u64)]) -> String {
        let folder = Folder::from(&Slug::new("o/<r>").unwrap());
        let attachments =
            attachments.iter().map(|(name, bytes)| (AttachmentName::new(name).unwrap(), *bytes)).collect();
        index(&folder, 12_345, &attachments)
    }

    #[test]
    fn every_file_is_listed_with_size_and_type() {
        let page = page(&[("shots/a.png", 2_500_000), ("x.log.gz", 0)]);
        for expected in [
            r#"<a href="./log"><bdi>log</bdi></a></td><td>12.3 kB</td><td>text/plain; charset=utf-8</td>"#,
            r#"<a href="./shots/a.png"><bdi>shots/a.png</bdi></a></td><td>2.5 MB</td><td>image/png</td>"#,
            "<td>0 B</td><td>text/plain; charset=utf-8 (gzip)</td>",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
    }

    #[test]
    fn nothing_in_a_name_becomes_markup() {
        let page = page(&[("<script>alert(1)</script>", 1), ("javascript:alert('\"')", 1)]);
        assert!(!page.contains("<script>") && !page.contains("<r>"));
        assert!(page.contains("href=\"./javascript%3Aalert%28%27%22%27%29\""));
        assert!(page.contains("&#60;script&#62;"));
    }

    #[test]
    fn sizes_are_for_people() {
        let sizes = [999, 1000, 999_999, 1_000_000, 12_000_000_000, 5_000_000_000_000].map(size);
        assert_eq!(sizes, ["999 B", "1.0 kB", "999.9 kB", "1.0 MB", "12.0 GB", "5000.0 GB"]);
    }
}
