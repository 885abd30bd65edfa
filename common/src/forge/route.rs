//! The templates of the paths that are asked for: there are few of them, however many repositories there are.

/// The template of a path below the API's address; `other` for one that is not listed here.
pub(super) fn route(path: &[&str]) -> &'static str {
    let ["repos", _, _, rest @ ..] = path else { return "other" };
    match rest {
        [] => "repos/O/R",
        ["pulls"] => "repos/O/R/pulls",
        ["pulls", _] => "repos/O/R/pulls/N",
        ["issues"] => "repos/O/R/issues",
        ["issues", _] => "repos/O/R/issues/N",
        ["issues", _, "comments"] => "repos/O/R/issues/N/comments",
        ["issues", _, "labels"] => "repos/O/R/issues/N/labels",
        ["commits", _] => "repos/O/R/commits/SHA",
        ["commits", _, "status"] => "repos/O/R/commits/SHA/status",
        ["commits", _, "statuses"] => "repos/O/R/commits/SHA/statuses",
        ["statuses", _] => "repos/O/R/statuses/SHA",
        ["branches", _] => "repos/O/R/branches/B",
        ["contents", ..] => "repos/O/R/contents/PATH",
        ["hooks", _, "deliveries"] => "repos/O/R/hooks/N/deliveries",
        ["hooks", _, "deliveries", _, "attempts"] => "repos/O/R/hooks/N/deliveries/N/attempts",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_gets_into_a_label() {
        for (path, expected) in [
            ("repos/octo/app", "repos/O/R"),
            ("repos/pulls/issues", "repos/O/R"),
            ("repos/octo/app/pulls/7", "repos/O/R/pulls/N"),
            ("repos/octo/app/contents/a/b/c", "repos/O/R/contents/PATH"),
            ("repos/octo/app/commits/abc/status", "repos/O/R/commits/SHA/status"),
            ("repos/octo/app/surprise", "other"),
            ("user", "other"),
            ("", "other"),
        ] {
            assert_eq!(route(&path.split('/').collect::<Vec<_>>()), expected, "{path}");
        }
    }
}
