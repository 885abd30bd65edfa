//! Files at a commit.

use common::id::{CommitSha, RepoName};

use super::super::fake::Shared;
use super::super::fault::Reply;
use super::super::server::Call;
use super::not_found;

const RAW: &str = "application/vnd.github.raw+json";

/// `GET repos/O/R/contents/PATH?ref=…`, in its raw form only.
pub(super) async fn get(shared: &Shared, repo: Option<&RepoName>, path: &str, call: &Call) -> Reply {
    if call.header("accept") != Some(RAW) {
        return Reply::problem(415, &format!("the stand-in gives files only as {RAW}"));
    }
    match read(shared, repo, path, call).await {
        Some(body) => Reply { status: 200, headers: vec![("content-type".to_owned(), RAW.to_owned())], body },
        None => not_found(),
    }
}

async fn read(shared: &Shared, repo: Option<&RepoName>, path: &str, call: &Call) -> Option<Vec<u8>> {
    let (repo, path) = (repo?.clone(), path.to_owned());
    let sha: CommitSha = shared.state().repos.get(&repo)?.resolve(call.parameter("ref"))?.clone();
    let reader = shared.reader()?;
    tokio::task::spawn_blocking(move || reader(&repo, &path, &sha)).await.ok().flatten()
}
