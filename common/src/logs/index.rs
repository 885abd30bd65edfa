//! `index.html`: what is in a log's folder.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::content_type::content_type;
use super::name::{AttachmentName, Folder, Own, percent_encoded};

/// In the colours of `log.html`; no script.
const STYLE: &str = include_str!("index.css");

/// Files of a job that are not in the log's folder, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many there are, listed or not.
    pub total: u64,
    /// The first of them, as many as are worth a page: the name as the job has it, and the reason, in words.
    pub files: Vec<(String, String)>,
}

impl LeftOut {
    /// How many are listed.
    const LISTED: usize = 200;

    /// Counts a file, and keeps its name if there is room.
    pub fn add(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.total += 1;
        if self.files.len() < Self::LISTED {
            self.files.push((name.into(), reason.into()));
        }
    }
}

/// The page, as text. Names come from jobs: they are escaped, and links are percent-encoded and begin with
/// `./`, so that none is taken for a URL of its own.
pub fn index(
    folder: &Folder,
    log_bytes: u64,
    attachments: &BTreeMap<AttachmentName, u64>,
    left_out: &LeftOut,
) -> String {
    let title = escaped(folder.as_str());
    let total = log_bytes + attachments.values().sum::<u64>();
    let count = attachments.len() + 1;
    let summary = format!("{count} {}, {}", if count == 1 { "file" } else { "files" }, size(total));
    let rows = rows(log_bytes, attachments);
    let left_out = left_out_section(left_out);
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '{hash}'; base-uri 'none'; form-action 'none'">
<title>Files of {title}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>Files of <bdi>{title}</bdi></h1>
<span class="weak">{summary}</span>
<nav aria-label="Log"><a href="./log.html">Read the log</a></nav>
</header>
<main>
<table>
<thead><tr><th scope="col">File</th><th scope="col" class="size">Size</th><th scope="col">Type</th></tr></thead>
{rows}</table>
{left_out}</main>
</body>
</html>
"#,
        hash = super::page::hash(STYLE),
    )
}

/// A body of the table for the files at the top, then one for each folder, with the folder's name.
fn rows(log_bytes: u64, attachments: &BTreeMap<AttachmentName, u64>) -> String {
    let mut folders: BTreeMap<&str, Vec<(&str, &str, u64)>> = BTreeMap::new();
    for (name, bytes) in attachments {
        let path = name.as_str();
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        folders.entry(folder).or_default().push((path, file, *bytes));
    }
    let whole = Own::Whole.to_string();
    let mut out = format!("<tbody>\n{}", row(&whole, &whole, log_bytes));
    for (path, file, bytes) in folders.remove("").unwrap_or_default() {
        out.push_str(&row(path, file, bytes));
    }
    out.push_str("</tbody>\n");
    for (folder, files) in folders {
        let bytes = files.iter().map(|(_, _, bytes)| bytes).sum();
        let _ = write!(
            out, // a String takes everything
            "<tbody>\n<tr class=\"folder\"><th scope=\"rowgroup\"><bdi>{}/</bdi></th><td class=\"size\">{}</td><td></td></tr>\n",
            escaped(folder),
            size(bytes)
        );
        for (path, file, bytes) in files {
            out.push_str(&row(path, file, bytes));
        }
        out.push_str("</tbody>\n");
    }
    out
}

fn row(path: &str, file: &str, bytes: u64) -> String {
    let (mime, encoding) = content_type(file);
    let encoding = encoding.map(|it| format!(" ({it})")).unwrap_or_default();
    let (link, file, size) = (percent_encoded(path), escaped(file), size(bytes));
    format!(
        "<tr><td><a href=\"./{link}\"><bdi>{file}</bdi></a></td><td class=\"size\">{size}</td><td>{mime}{encoding}</td></tr>\n"
    )
}

fn left_out_section(left_out: &LeftOut) -> String {
    let LeftOut { total, files } = left_out;
    if *total == 0 {
        return String::new();
    }
    let mut items = String::new();
    for (name, reason) in files {
        let _ = writeln!(items, "<li><bdi>{}</bdi>: {}</li>", escaped(name), escaped(reason));
    }
    let unlisted = total.saturating_sub(files.len() as u64);
    if unlisted > 0 {
        let _ = writeln!(items, "<li>and {unlisted} more</li>");
    }
    format!(
        "<section aria-labelledby=\"left-out\">\n<h2 id=\"left-out\">Left out ({total})</h2>\n<ul>\n{items}</ul>\n</section>\n"
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

/// Text for HTML, also within quotes. Control characters, which a name that was left out may have, become
/// visible.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\0'..=' ' if c != ' ' => out.extend(char::from_u32(0x2400 + u32::from(c))), // pictures of controls
            '\u{7f}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Slug;

    fn page(attachments: &[(&str, u64)], left_out: &LeftOut) -> String {
        let folder = Folder::from(&Slug::new("o/<r>").unwrap());
        let attachments =
            attachments.iter().map(|(name, bytes)| (AttachmentName::new(name).unwrap(), *bytes)).collect();
        index(&folder, 12_345, &attachments, left_out)
    }

    #[test]
    fn every_file_is_listed_with_size_and_type() {
        let files = [("shots/a.png", 2_500_000), ("shots/b.png", 500_000), ("x.log.gz", 0)];
        let page = page(&files, &LeftOut::default());
        for expected in [
            r#"<a href="./log"><bdi>log</bdi></a></td><td class="size">12.3 kB</td><td>text/plain; charset=utf-8</td>"#,
            r#"<bdi>shots/</bdi></th><td class="size">3.0 MB</td>"#,
            r#"<a href="./shots/a.png"><bdi>a.png</bdi></a></td><td class="size">2.5 MB</td><td>image/png</td>"#,
            "0 B</td><td>text/plain; charset=utf-8 (gzip)</td>",
            "4 files, 3.0 MB",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
        assert!(page.find("x.log.gz") < page.find("shots/"), "files come before folders");
        assert!(!page.contains("Left out"));
    }

    #[test]
    fn what_is_left_out_is_listed_with_its_reason() {
        let mut left_out = LeftOut::default();
        left_out.add("../etc/<b>\n", "it is not a plain relative path");
        for n in 0..LeftOut::LISTED {
            left_out.add(format!("big-{n}"), "there are too many");
        }
        let page = page(&[], &left_out);
        for expected in [
            "Left out (201)",
            "<bdi>../etc/&#60;b&#62;\u{240a}</bdi>: it is not a plain relative path</li>",
            "<bdi>big-198</bdi>: there are too many</li>",
            "<li>and 1 more</li>",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
    }

    #[test]
    fn nothing_in_a_name_becomes_markup() {
        let page = page(
            &[("<script>alert(1)</script>", 1), ("javascript:alert('\"')", 1), ("\u{202e}gnp.exe", 1)],
            &LeftOut::default(),
        );
        assert!(!page.contains("<script>") && !page.contains("<r>") && !page.contains('\u{202e}'));
        assert!(page.contains("href=\"./javascript%3Aalert%28%27%22%27%29\""));
        assert!(page.contains("&#60;script&#62;") || page.contains("script&#62;"));
    }

    #[test]
    fn sizes_are_for_people() {
        let sizes = [999, 1000, 999_999, 1_000_000, 12_000_000_000, 5_000_000_000_000].map(size);
        assert_eq!(sizes, ["999 B", "1.0 kB", "999.9 kB", "1.0 MB", "12.0 GB", "5000.0 GB"]);
    }
}
