//! The grammar of image references, by <https://pkg.go.dev/github.com/distribution/reference>:
//! `[domain[:port]/]path[:tag][@algorithm:hex]`.

/// What podman takes for a place on the host, before it thinks of a registry (containers-transports(5)).
const TRANSPORTS: [&str; 9] = [
    "containers-storage",
    "dir",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "ostree",
    "sif",
    "tarball",
];

/// Whether it begins with such a place: `dir:x` would be an image called `dir` with the tag `x`, too.
pub(super) fn names_transport(text: &str) -> bool {
    text.split_once(':').is_some_and(|(transport, _)| TRANSPORTS.contains(&transport))
}

pub(super) fn is_reference(text: &str) -> bool {
    let (text, digest) = split(text, text.find('@'));
    let last = text.rfind('/').map_or(0, |it| it + 1);
    let (name, tag) = split(text, text.rfind(':').filter(|it| *it >= last));
    is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
}

/// The parts before and after a character.
fn split(text: &str, at: Option<usize>) -> (&str, Option<&str>) {
    let parts = at.and_then(|it| Some((text.get(..it)?, text.get(it + 1..)?)));
    parts.map_or((text, None), |(before, after)| (before, Some(after)))
}

/// What stands before the first slash may be a domain.
fn is_name(name: &str) -> bool {
    let is_path = |path: &str| path.split('/').all(is_component);
    let with_domain = name.split_once('/').is_some_and(|(domain, path)| is_domain(domain) && is_path(path));
    with_domain || is_path(name)
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = split(domain, domain.find(':'));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between them.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = text.split(is_word).filter(|it| !it.is_empty());
    text.starts_with(is_word)
        && text.ends_with(is_word)
        && separators
            .all(|it| matches!(it, "." | "_" | "__") || it.bytes().all(|separator| separator == b'-'))
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn is_digest(digest: &str) -> bool {
    let is_algorithm = |text: &str| {
        text.split(['+', '.', '_', '-']).all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
    };
    let is_hex = |text: &str| text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    digest.split_once(':').is_some_and(|(algorithm, hex)| is_algorithm(algorithm) && is_hex(hex))
}

#[cfg(test)]
mod tests {
    use crate::id::ImageRef;

    #[test]
    fn images_are_references_of_the_distribution() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        for good in [
            "fedora",
            "fedora:42",
            "localhost/test:latest",
            "quay.io/cockpit/tasks",
            "quay.io/cockpit/tasks:2024-01-01",
            "Registry.Example.COM/a/b:_X.y-Z",
            "localhost:5000/a",
            "127.0.0.1:5000/a/b:1",
            "a_b/c__d/e---f.g",
            "docker:dind",
            &format!("localhost:5000/a/b@{digest}"),
            &format!("fedora:42@{digest}"),
            &format!("a:{}", "t".repeat(128)),
        ] {
            assert!(ImageRef::new(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn nothing_else_is_an_image() {
        let digest = "0f".repeat(32);
        for bad in [
            "",
            "--privileged",
            "-v/:/h",
            "a b",
            "a\n",
            "../x",
            "/x",
            "a//b",
            "a/",
            "a:",
            "a/b:c:d",
            ":5000/a",
            "localhost:/a",
            "localhost:port/a",
            "-a.b/c",
            "a-.b/c",
            "a/-b",
            "a/b-",
            "a/b._c",
            "a/b___c",
            "a/b..c",
            "Fedora",
            "a/B",
            "a/b:-t",
            &format!("a:{}", "t".repeat(129)),
            &format!("a@{digest}"),
            &format!("a@sha256:{digest}@sha256:{digest}"),
            &format!("a@:{digest}"),
            "a@sha256:00ff",
            "a@sha256:",
            "a@",
            &"a".repeat(513),
        ] {
            assert!(ImageRef::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_of_the_host_are_no_images() {
        for bad in [
            "docker-archive:/tmp/x.tar",
            "docker-archive:x",
            "dir:/etc",
            "dir:etc",
            "dir:5000/a",
            "oci:/x",
            "oci:x:1",
            "oci-archive:x",
            "sif:x",
            "containers-storage:localhost/x",
            "containers-storage:[overlay@/var/lib]x",
            "docker-daemon:x:latest",
            "docker://quay.io/a/b",
        ] {
            assert!(ImageRef::new(bad).is_err(), "{bad}");
        }
    }
}
