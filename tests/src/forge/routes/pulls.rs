//! Pull requests.

use anyhow::Result;
use common::forge::PullState;
use common::id::PullNumber;
use serde_json::json;

use super::super::fault::Reply;
use super::super::payload::Site;
use super::super::server::Call;
use super::{not_found, pages};

/// `GET repos/O/R/pulls`: newest first, open ones unless asked for others.
pub(super) fn list(site: Site<'_>, call: &Call) -> Result<Reply> {
    let wanted = call.parameter("state").unwrap_or("open");
    let all = site.repo.pulls.values().rev().filter(|it| is(wanted, it.state));
    pages::list(site, call, &all.collect::<Vec<_>>(), |it| site.pull(it))
}

/// `GET repos/O/R/pulls/N`
pub(super) fn one(site: Site<'_>, number: &str) -> Result<Reply> {
    let number = number.parse().ok().and_then(PullNumber::new);
    let pull = number.and_then(|it| site.repo.pulls.get(&it));
    pull.map_or_else(|| Ok(not_found()), |it| Ok(Reply::json(200, &site.pull(it)?)))
}

/// `GET repos/O/R/git/ref/pull/N/head`
pub(super) fn head(site: Site<'_>, number: &str) -> Reply {
    let number = number.parse().ok().and_then(PullNumber::new);
    number.and_then(|it| site.repo.pulls.get(&it)).map_or_else(not_found, |pull| {
        let name = format!("refs/pull/{}/head", pull.number);
        Reply::json(200, &json!({"ref": name, "object": {"type": "commit", "sha": pull.head}}))
    })
}

/// Whether something open or closed is what `state=` asks for.
pub(super) fn is(wanted: &str, state: PullState) -> bool {
    wanted == "all" || json!(state) == wanted
}
