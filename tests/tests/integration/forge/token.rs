//! Tokens that change while we run, and the names that a forge gives to requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, io};

use anyhow::Result;
use common::forge::{Forge, ForgeError, ForgeSettings, Limits, StatusState, Token};
use futures_util::future::try_join_all;
use tests::forge::{Access, Fault};

use super::{TOKEN, World, status};

fn answers(world: &World) -> Vec<Option<u16>> {
    world.forge.requests().iter().map(|it| it.status).collect()
}

#[tokio::test]
async fn a_token_is_read_again_when_it_changes() -> Result<()> {
    let world = World::new().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("token");
    let replace = |text: &str| -> Result<()> {
        fs::write(folder.path().join("new"), text)?;
        Ok(fs::rename(folder.path().join("new"), &file)?)
    };
    replace(&format!("{TOKEN}\n"))?;
    let settings = ForgeSettings { token: Some(Token::from_file(file.clone())?), ..world.settings()? };
    let client = Forge::with_limits(settings, Limits::default())?;
    let post = async || {
        client.post_status(&world.repo, &world.tip, &status("unit", StatusState::Success, "Success")).await
    };
    post().await?;
    // The old one stays where the new one is none.
    replace("")?;
    post().await?;
    // A refusal is a reason to look at once.
    world.forge.set_access(Access::Token("another".to_owned()));
    let refused = post().await.unwrap_err();
    assert!(matches!(refused, ForgeError::Unauthorized { .. }), "{refused}");
    replace("another")?;
    post().await?;
    assert_eq!(answers(&world), [Some(201), Some(201), Some(401), Some(401), Some(201)]);
    world.forge.finish().await
}

#[tokio::test]
async fn a_token_that_was_wrong_from_the_start_can_be_mended() -> Result<()> {
    let world = World::new().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("token");
    fs::write(&file, "wrong")?;
    let settings = ForgeSettings { token: Some(Token::from_file(file.clone())?), ..world.settings()? };
    let client = Forge::with_limits(settings, Limits::default())?;
    fs::write(&file, TOKEN)?;
    world.forge.delay(Duration::from_millis(20));
    // Each of those that were refused finds it.
    try_join_all((0..3).map(|_| client.repo(&world.repo))).await?;
    assert!(answers(&world).iter().filter(|it| **it == Some(401)).count() <= 3);
    world.forge.finish().await
}

/// Lines of a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().map_err(|_| io::ErrorKind::Other)?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_has_the_names_of_requests_and_no_token() -> Result<()> {
    let world = World::new().await?;
    let lines = Lines::default();
    let writer = lines.clone();
    let log =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(log.with_ansi(false).finish());
    world.client.repo(&world.repo).await?;
    world.forge.fault_next(1, &Fault::status(410));
    world.client.repo(&world.repo).await.unwrap_err();
    drop(guard);
    let log = String::from_utf8(lines.0.lock().unwrap().clone())?;
    for (words, id) in [("the forge answered", "F0A6:000001"), ("the forge refused", "F0A6:000002")] {
        let line = log.lines().find(|it| it.contains(words)).unwrap_or_default();
        assert!(line.contains(&format!("request.id=\"{id}\"")), "{log}");
    }
    assert!(!log.contains(TOKEN), "{log}");
    world.forge.finish().await
}

#[tokio::test]
async fn a_request_has_the_name_that_the_forge_gave_it() -> Result<()> {
    let world = World::new().await?;
    world.client.repo(&world.repo).await?;
    world.forge.fault_next(1, &Fault::status(410));
    let error = world.client.repo(&world.repo).await.unwrap_err();
    let id = error.request().and_then(|it| it.id.clone());
    assert_eq!(id.as_ref(), world.forge.requests().last().map(|it| &it.id));
    assert_eq!(id.as_deref(), Some("F0A6:000002"));
    world.forge.finish().await
}
