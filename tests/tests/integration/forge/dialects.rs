//! GitHub Enterprise, Forgejo and Gitea: the same questions, other addresses, and answers of another shape.

use anyhow::Result;
use common::forge::{Forge, PullState, StatusState};
use common::id::{BranchName, RepoName};
use tests::forge::{Access, Dialect, FakeForge, NewPull};

use super::{TOKEN, settings, sha, status};

const PULLS: usize = 120;

#[tokio::test]
async fn every_dialect_is_spoken() -> Result<()> {
    for (dialect, prefix, pages) in [
        (Dialect::GitHub, "", ["per_page=100&page=1", "per_page=100&page=2"].as_slice()),
        (Dialect::Enterprise, "/api/v3", &["per_page=100&page=1", "per_page=100&page=2"]),
        (Dialect::Forgejo, "/api/v1", &["limit=50&page=1", "limit=50&page=2", "limit=50&page=3"]),
    ] {
        let forge = FakeForge::start_as(Access::Token(TOKEN.to_owned()), dialect).await?;
        let (repo, main) = (RepoName::new("octo/app")?, BranchName::new("main")?);
        forge.add_repo(&repo, &main, &sha('a'));
        for _ in 0..PULLS {
            forge.open_pull(&repo, NewPull::new("A change", "alice", sha('b'), main.clone()))?;
        }
        let client = Forge::new(settings(forge.url(), Some(TOKEN))?)?;
        let pulls = client.open_pulls(&repo).await?;
        assert_eq!(pulls.len(), PULLS, "{dialect:?}");
        assert!(pulls.iter().all(|it| it.author() == "alice" && it.state == PullState::Open), "{dialect:?}");
        let asked: Vec<_> = forge.requests().into_iter().map(|it| it.path).collect();
        let place = |page| format!("{prefix}/repos/octo/app/pulls?state=open&{page}");
        assert_eq!(asked, pages.iter().map(place).collect::<Vec<_>>(), "{dialect:?}");

        assert_eq!(client.tip(&repo, &main).await?, sha('a'), "{dialect:?}");
        for number in 0..PULLS {
            let context = format!("context-{number}");
            client
                .post_status(&repo, &sha('b'), &status(&context, StatusState::Pending, "Not yet tested"))
                .await?;
        }
        client.post_status(&repo, &sha('b'), &status("context-7", StatusState::Success, "Success")).await?;
        // Twice, as answers without a validator are not kept.
        for _ in 0..2 {
            let statuses = client.statuses(&repo, &sha('b')).await?;
            assert_eq!(statuses.len(), PULLS, "{dialect:?}");
            let seventh = statuses.iter().find(|it| it.context == "context-7");
            assert_eq!(seventh.map(|it| it.state), Some(StatusState::Success), "{dialect:?}");
        }
        assert_eq!(client.pull(&repo, pulls[0].number).await?, pulls[0], "{dialect:?}");
        assert_eq!(client.repo(&repo).await?.default_branch, main, "{dialect:?}");
        forge.finish().await?;
    }
    Ok(())
}
