//! The repository of the checkout that a program runs in.

use std::process::Command;

use common::forge::Forge;
use common::id::RepoName;

use super::Failure;

/// What `git config cockpit.bots.github-repo` says, else where the remote `origin` is.
pub(super) fn repo(forge: &Forge) -> Result<RepoName, Failure> {
    if let Some(name) = git(&["config", "cockpit.bots.github-repo"]) {
        return name
            .parse()
            .map_err(|it| Failure::Usage(format!("git config cockpit.bots.github-repo: {it}")));
    }
    let Some(url) = git(&["remote", "get-url", "origin"]) else {
        let ways = "--repo OWNER/NAME, $GITHUB_BASE, git config cockpit.bots.github-repo, or a checkout with a remote `origin`";
        return Err(Failure::Usage(format!("which repository? Say so by {ways}")));
    };
    let place = forge.clone_url_base();
    name_in(&url, place).and_then(|it| it.parse().ok()).ok_or_else(|| {
        let place = place.trim_end_matches('/');
        Failure::Usage(format!(
            "the remote `origin` is {url}, which is no repository at {place}; --repo says which one is meant"
        ))
    })
}

/// One line of git's, if it has something to say.
pub(super) fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|it| it.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// `git@HOST:OWNER/NAME.git` or `https://HOST/OWNER/NAME`, where the host is the forge's.
fn name_in<'a>(url: &'a str, place: &str) -> Option<&'a str> {
    let place = place.trim_end_matches('/');
    let host_and_path = place.split_once("://").map_or(place, |(_, rest)| rest);
    let (host, path) = host_and_path.split_once('/').unwrap_or((host_and_path, ""));
    let under_path = |rest: &'a str| match path {
        "" => Some(rest),
        path => rest.trim_start_matches('/').strip_prefix(path)?.strip_prefix('/'),
    };
    let by_ssh = url.strip_prefix("git@").and_then(|it| it.strip_prefix(host)?.strip_prefix(':'));
    let by_url = url.strip_prefix("ssh://git@").and_then(|it| it.strip_prefix(host)?.strip_prefix('/'));
    let by_web = url.strip_prefix(place).and_then(|it| it.strip_prefix('/'));
    let name = by_ssh.or(by_url).and_then(under_path).or(by_web)?.trim_end_matches('/');
    Some(name.strip_suffix(".git").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_names_a_repository_of_the_forge() {
        let hub = "https://github.com/";
        for (place, url, name) in [
            (hub, "git@github.com:o/r", Some("o/r")),
            (hub, "git@github.com:o/r.git", Some("o/r")),
            (hub, "ssh://git@github.com/o/r.git", Some("o/r")),
            (hub, "https://github.com/o/r", Some("o/r")),
            (hub, "https://github.com/o/r.git", Some("o/r")),
            (hub, "https://github.com/o/r/", Some("o/r")),
            (hub, "https://github.com.evil.example/o/r", None),
            (hub, "https://gitlab.com/o/r", None),
            (hub, "/srv/git/o/r", None),
            ("https://git.example/forge", "https://git.example/forge/o/r", Some("o/r")),
            ("https://git.example/forge", "git@git.example:forge/o/r", Some("o/r")),
            ("http://127.0.0.1:9418", "http://127.0.0.1:9418/o/r.git", Some("o/r")),
        ] {
            assert_eq!(name_in(url, place), name, "{url} at {place}");
        }
    }
}
