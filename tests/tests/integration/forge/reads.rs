//! Reading: pulls, repositories, statuses, files, branches.

use anyhow::Result;
use common::forge::{ForgeError, PullState, StatusState};
use common::id::{BranchName, RepoName};
use tests::forge::{Fault, NewPull, Reply};

use super::{TOKEN, World, sha, status, words};

#[tokio::test]
async fn a_pull_is_read() -> Result<()> {
    let world = World::new().await?;
    let mut pull = NewPull::new("A change: ünïcode", "octocat", sha('b'), world.main.clone());
    pull.labels = vec!["bot".to_owned(), "no-test".to_owned()];
    let (number, _) = world.forge.open_pull(&world.repo, pull)?;
    let read = world.client.pull(&world.repo, number).await?;
    assert_eq!((read.number, read.author(), read.title.as_str()), (number, "octocat", "A change: ünïcode"));
    assert_eq!((read.head.sha.clone(), read.base.branch.clone()), (sha('b'), world.main.clone()));
    assert!(read.has_label("bot") && read.has_label("no-test") && !read.has_label("bug"));
    assert_eq!(read.state, PullState::Open);

    world.forge.push(&world.repo, number, &sha('c'))?;
    world.forge.close(&world.repo, number)?;
    let read = world.client.pull(&world.repo, number).await?;
    assert_eq!((read.state, read.head.sha), (PullState::Closed, sha('c')));
    world.forge.finish().await
}

#[tokio::test]
async fn a_repository_is_read() -> Result<()> {
    let world = World::new().await?;
    let repo = world.client.repo(&world.repo).await?;
    assert_eq!((repo.full_name, repo.default_branch), (world.repo.clone(), world.main.clone()));
    let missing = world.client.repo(&RepoName::new("octo/none")?).await.unwrap_err();
    assert_eq!(missing.to_string(), "GET repos/octo/none of forge `fake`: not found");
    assert_eq!(world.client.clone_url(&world.repo), "git://127.0.0.1:1/octo/app");
    world.forge.finish().await
}

#[tokio::test]
async fn every_page_of_statuses_is_read() -> Result<()> {
    let world = World::new().await?;
    for number in 0..250 {
        let pending = status(&format!("context-{number}"), StatusState::Pending, "Not yet tested");
        world.forge.set_status(&world.repo, &world.tip, pending)?;
    }
    world.forge.set_status(&world.repo, &world.tip, status("context-7", StatusState::Success, "Success"))?;

    let statuses = world.client.statuses(&world.repo, &world.tip).await?;
    assert_eq!(statuses.len(), 250);
    assert_eq!(statuses[0].context, "context-0");
    let seventh: Vec<_> = statuses.iter().filter(|it| it.context == "context-7").collect();
    assert_eq!(seventh.len(), 1);
    assert_eq!(seventh[0].state, StatusState::Success);
    assert_eq!(seventh[0].description.as_deref(), Some("Success"));
    let place = format!("GET /repos/octo/app/commits/{}/status?per_page=100&page=", world.tip);
    assert_eq!(world.asked(), [1, 2, 3].map(|page| format!("{place}{page}")));
    world.forge.finish().await
}

#[tokio::test]
async fn a_commit_without_statuses_has_none() -> Result<()> {
    let world = World::new().await?;
    assert_eq!(world.client.statuses(&world.repo, &world.tip).await?, []);
    let unknown = world.client.statuses(&world.repo, &sha('f')).await.unwrap_err();
    assert!(matches!(unknown, ForgeError::NotFound { .. }), "{unknown}");
    world.forge.finish().await
}

#[tokio::test]
async fn a_file_is_read_as_it_is() -> Result<()> {
    let world = World::new().await?;
    world.forge.serve_contents(|_, path, sha| match path {
        ".cockpit-ci/container" => Some(format!("image of {}\n", sha.short(3)).into_bytes()),
        "a b/ü#%41?x" => Some(vec![0, 255, 10]),
        "empty" => Some(Vec::new()),
        "exact" => Some(vec![b'x'; 1024 * 1024]),
        "large" => Some(vec![b'x'; 1024 * 1024 + 1]),
        _ => None,
    });
    for (path, content) in [
        (".cockpit-ci/container", Some(b"image of aaa\n".to_vec())),
        ("a b/ü#%41?x", Some(vec![0, 255, 10])),
        ("empty", Some(Vec::new())),
        ("exact", Some(vec![b'x'; 1024 * 1024])),
        ("none", None),
        ("../../../user", None),
        ("a//b", None),
        ("", None),
    ] {
        assert_eq!(world.client.file(&world.repo, path, &world.tip).await?, content, "{path}");
    }
    let large = world.client.file(&world.repo, "large", &world.tip).await.unwrap_err();
    assert_eq!(words(&large), "the answer has more than 1048576 bytes");
    world.forge.finish().await
}

#[tokio::test]
async fn a_folder_is_no_file() -> Result<()> {
    let world = World::new().await?;
    world.forge.fault_next(1, &Fault::Answer(Reply::json(200, &serde_json::json!([{"name": "container"}]))));
    let error = world.client.file(&world.repo, ".cockpit-ci", &world.tip).await.unwrap_err();
    assert_eq!(words(&error), "unexpected answer: expected a file's bytes, got JSON");
    world.forge.finish().await
}

#[tokio::test]
async fn the_tip_of_any_branch_is_found() -> Result<()> {
    let world = World::new().await?;
    for (name, digit) in [("user/topic", '1'), ("a#b", '2'), ("50%25", '3'), ("é", '4')] {
        let branch = BranchName::new(name)?;
        world.forge.push_branch(&world.repo, &branch, &sha(digit))?;
        assert_eq!(world.client.tip(&world.repo, &branch).await?, sha(digit), "{name}");
    }
    assert_eq!(world.asked()[0], "GET /repos/octo/app/branches/user%2Ftopic");
    let missing = world.client.tip(&world.repo, &BranchName::new("none")?).await.unwrap_err();
    assert!(matches!(missing, ForgeError::NotFound { .. }), "{missing}");
    world.forge.finish().await
}

#[tokio::test]
async fn a_list_of_branches_will_do() -> Result<()> {
    let world = World::new().await?;
    let list = serde_json::json!([{"object": {"sha": sha('7')}}, {"object": {"sha": sha('8')}}]);
    world.forge.fault_next(1, &Fault::Answer(Reply::json(200, &list)));
    assert_eq!(world.client.tip(&world.repo, &world.main).await?, sha('7'));
    world.forge.fault_next(1, &Fault::Answer(Reply::json(200, &serde_json::json!([]))));
    let error = world.client.tip(&world.repo, &world.main).await.unwrap_err();
    assert_eq!(words(&error), "unexpected answer: an empty list");
    world.forge.finish().await
}

#[tokio::test]
async fn nothing_shows_the_token() -> Result<()> {
    let world = World::new().await?;
    assert!(!format!("{:?}", world.client).contains(TOKEN));
    let settings = super::settings(world.forge.url(), Some(TOKEN))?;
    assert!(!format!("{settings:?}").contains(TOKEN));
    world.forge.finish().await
}
