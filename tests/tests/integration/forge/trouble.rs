//! Bad moments of a forge and of the network.

use anyhow::Result;
use common::forge::{Forge, ForgeError, Limits};
use common::id::RepoName;
use reqwest::StatusCode;
use tests::forge::{Access, FakeForge, Fault, Reply};

use super::{DEADLINE, TOKEN, World, settings, words};

#[tokio::test]
async fn reading_survives_a_bad_moment() -> Result<()> {
    let world = World::new().await?;
    world.forge.fail_next(1, 502);
    world
        .forge
        .fault_next(1, &Fault::Answer(Reply { status: 503, headers: Vec::new(), body: b"<html>".to_vec() }));
    world.client.repo(&world.repo).await?;
    assert_eq!(world.asked().len(), 3);
    world.forge.finish().await
}

#[tokio::test]
async fn a_bad_day_is_an_error() -> Result<()> {
    let world = World::new().await?;
    world.forge.fail_next(1, 500);
    let error = world.hasty()?.repo(&world.repo).await.unwrap_err();
    assert_eq!(words(&error), "500 Internal Server Error: a fault of the test");
    assert!(error.is_transient());
    world.forge.finish().await
}

#[tokio::test]
async fn silence_ends_at_the_deadline() -> Result<()> {
    let world = World::new().await?;
    world.forge.hang_next(1);
    let error = world.hasty()?.repo(&world.repo).await.unwrap_err();
    assert_eq!(words(&error), "no answer within 0.1 s");
    assert!(error.is_transient());
    world.forge.wait_for_request(DEADLINE, |it| it.status.is_none()).await?;
    world.forge.finish().await
}

#[tokio::test]
async fn nobody_there_is_an_error_of_the_network() -> Result<()> {
    let world = World::new().await?;
    let client = world.hasty()?;
    world.forge.finish().await?;
    let error = client.repo(&world.repo).await.unwrap_err();
    assert!(matches!(error, ForgeError::Network { .. }), "{error}");
    assert!(words(&error).contains("refused"), "{error}");
    Ok(())
}

#[tokio::test]
async fn refusals_are_told_from_rate_limits() -> Result<()> {
    let world = World::new().await?;
    let problem = |status| Reply::problem(status, "a word of explanation");
    world.forge.fault_next(1, &Fault::Answer(problem(403).with_header("x-ratelimit-remaining", "17")));
    let error = world.client.repo(&world.repo).await.unwrap_err();
    assert_eq!(words(&error), "403 Forbidden: a word of explanation");
    assert_eq!(world.asked().len(), 1);
    world.forge.finish().await
}

#[tokio::test]
async fn a_wrong_token_is_told() -> Result<()> {
    let world = World::new().await?;
    let client = Forge::new(settings(world.forge.url(), Some("wrong"))?)?;
    match client.repo(&world.repo).await {
        Err(ForgeError::Unauthorized { status, message, .. }) => {
            assert_eq!((status, message.as_str()), (StatusCode::UNAUTHORIZED, "Bad credentials"));
        }
        other => panic!("expected 401, got {other:?}"),
    }
    Forge::new(settings(world.forge.url(), None)?)?.repo(&world.repo).await?;
    world.forge.finish().await
}

#[tokio::test]
async fn an_answer_that_is_none_says_where() -> Result<()> {
    let world = World::new().await?;
    for (body, problem) in [
        (r#"{"full_name": "octo/app", "default_branch": 7}"#, "default_branch: invalid type: integer `7`"),
        (r#"{"full_name": "../app", "default_branch": "main"}"#, "full_name: \"../app\" is not a repository"),
        ("[]", "invalid length 0"),
        ("<html>", "expected value"),
        ("", "EOF while parsing"),
    ] {
        let reply = Reply { status: 200, headers: Vec::new(), body: body.as_bytes().to_vec() };
        world.forge.fault_next(1, &Fault::Answer(reply));
        let error = world.client.repo(&world.repo).await.unwrap_err();
        assert!(matches!(error, ForgeError::Answer { .. }), "{error}");
        assert!(words(&error).starts_with(&format!("unexpected answer: {problem}")), "{error}");
    }
    world.forge.finish().await
}

#[tokio::test]
async fn an_answer_has_a_bound() -> Result<()> {
    let world = World::new().await?;
    let limits = Limits { answer: 1000, ..Limits::default() };
    let client = Forge::with_limits(settings(world.forge.url(), Some(TOKEN))?, limits)?;
    let error = client.repo(&world.repo).await.unwrap_err();
    assert_eq!(words(&error), "the answer has more than 1000 bytes");
    let huge = Reply { status: 404, headers: Vec::new(), body: vec![b'x'; 1024 * 1024] };
    world.forge.fault_next(1, &Fault::Answer(huge));
    let error = client.repo(&world.repo).await.unwrap_err();
    assert!(matches!(error, ForgeError::NotFound { .. }), "{error}");
    world.forge.finish().await
}

#[tokio::test]
async fn a_renamed_repository_is_found() -> Result<()> {
    let world = World::new().await?;
    world.forge.fault_next(1, &Fault::Answer(moved("/repos/octo/app")));
    let old = RepoName::new("octo/old")?;
    assert_eq!(world.client.repo(&old).await?.full_name, world.repo);
    assert_eq!(world.asked(), ["GET /repos/octo/old", "GET /repos/octo/app"]);
    world.forge.finish().await
}

#[tokio::test]
async fn the_token_does_not_follow_to_another_host() -> Result<()> {
    let world = World::new().await?;
    // Refuses any token but its own: an answer means that none came.
    let other = FakeForge::start(Access::Token("another token".to_owned())).await?;
    other.add_repo(&world.repo, &world.main, &world.tip);
    world.forge.fault_next(1, &Fault::Answer(moved(&format!("{}/repos/octo/app", other.url()))));
    assert_eq!(world.client.repo(&world.repo).await?.full_name, world.repo);
    assert_eq!(other.requests().len(), 1);
    other.finish().await?;
    world.forge.finish().await
}

#[tokio::test]
async fn redirects_end() -> Result<()> {
    let world = World::new().await?;
    world.forge.fault_next(6, &Fault::Answer(moved("/repos/octo/app")));
    let error = world.client.repo(&world.repo).await.unwrap_err();
    assert_eq!(words(&error), "unexpected answer: more than 5 redirects");
    for place in ["ftp://elsewhere/secret", "https://"] {
        world.forge.fault_next(1, &Fault::Answer(moved(place)));
        let error = world.client.repo(&world.repo).await.unwrap_err();
        assert!(matches!(error, ForgeError::Redirected { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    world.forge.finish().await
}

fn moved(to: &str) -> Reply {
    Reply::problem(301, "Moved Permanently").with_header("location", to)
}
