//! What a file is, by its name.

/// The type of a file that no rule knows: mostly logs.
const UNKNOWN: &str = "text/plain; charset=utf-8";

/// The `Content-Type` and, for compressed files, the `Content-Encoding` of a file with this name or path, as
/// the older programs have it (Python's `mimetypes`). A short table of what jobs leave; the rest shows as
/// text.
#[must_use]
pub fn content_type(name: &str) -> (&'static str, Option<&'static str>) {
    let file = name.rsplit('/').next().unwrap_or(name);
    match extension(file) {
        Some((stem, "gz")) => (plain_type(stem), Some("gzip")),
        Some((stem, "xz")) => (plain_type(stem), Some("xz")),
        _ => (plain_type(file), None),
    }
}

fn plain_type(file: &str) -> &'static str {
    let Some((_, extension)) = extension(file) else { return UNKNOWN };
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "xml" => "text/xml",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "tar" => "application/x-tar",
        "zip" => "application/zip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => UNKNOWN,
    }
}

/// `name.extension`; a leading dot begins a hidden file, not an extension.
fn extension(file: &str) -> Option<(&str, &str)> {
    file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_name() {
        for (name, expected) in [
            ("log.html", ("text/html", None)),
            ("log", (UNKNOWN, None)),
            ("log.0-1000", (UNKNOWN, None)),
            ("log.chunks", (UNKNOWN, None)),
            ("shots/TestA.PNG", ("image/png", None)),
            ("x.log.gz", (UNKNOWN, Some("gzip"))),
            ("x.tar.xz", ("application/x-tar", Some("xz"))),
            ("journal.gz", (UNKNOWN, Some("gzip"))),
            (".html", (UNKNOWN, None)),
            ("a.png/b", (UNKNOWN, None)),
        ] {
            assert_eq!(content_type(name), expected, "{name}");
        }
    }
}
