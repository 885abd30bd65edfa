//! What was read and has not changed costs nothing.

use std::path::Path;

use anyhow::Result;
use common::forge::{Forge, ForgeSettings, Limits, StatusState};
use common::id::ForgeName;
use tests::forge::Validators;

use super::{World, sha, status};

/// A client whose answers outlive it.
fn keeping(world: &World, folder: &Path) -> Result<Forge> {
    let settings = ForgeSettings { cache_dir: Some(folder.to_owned()), ..world.settings()? };
    Ok(Forge::with_limits(settings, Limits::default())?)
}

/// How many requests this takes, and what they cost.
async fn count(world: &World, work: impl Future<Output = Result<()>>) -> Result<(usize, u32)> {
    let before = (world.asked().len(), world.forge.cost());
    work.await?;
    Ok((world.asked().len() - before.0, world.forge.cost() - before.1))
}

#[tokio::test]
async fn what_has_not_changed_costs_nothing() -> Result<()> {
    let world = World::new().await?;
    for _ in 0..120 {
        world.open_pull(&sha('b'))?;
    }
    let read = async || -> Result<()> {
        assert_eq!(world.client.open_pulls(&world.repo).await?.len(), 120);
        assert_eq!(world.client.statuses(&world.repo, &sha('b')).await?.len(), 0);
        Ok(())
    };
    assert_eq!(count(&world, read()).await?, (3, 3), "two pages of pulls, and the statuses");
    assert_eq!(count(&world, read()).await?, (3, 0));

    world.forge.set_status(&world.repo, &sha('b'), status("unit", StatusState::Success, "Success"))?;
    let statuses = async {
        assert_eq!(world.client.statuses(&world.repo, &sha('b')).await?.len(), 1);
        Ok(())
    };
    assert_eq!(count(&world, statuses).await?, (1, 1));
    let number = world.open_pull(&sha('c'))?;
    assert_eq!(world.client.clone().open_pulls(&world.repo).await?[0].number, number);
    world.forge.finish().await
}

#[tokio::test]
async fn a_date_will_do_and_nothing_is_nothing() -> Result<()> {
    let world = World::new().await?;
    let read = async || -> Result<()> {
        world.client.repo(&world.repo).await?;
        Ok(())
    };
    world.forge.set_validators(Validators::LastModified);
    assert_eq!(count(&world, read()).await?, (1, 1));
    assert_eq!(count(&world, read()).await?, (1, 0));
    let number = world.open_pull(&sha('b'))?;
    let title = async || anyhow::Ok(world.client.pull(&world.repo, number).await?.head.sha);
    assert_eq!(title().await?, sha('b'));
    // Within the same second.
    world.forge.push(&world.repo, number, &sha('c'))?;
    assert_eq!(title().await?, sha('c'));

    world.forge.set_validators(Validators::None);
    assert_eq!(count(&world, read()).await?, (1, 1));
    assert_eq!(count(&world, read()).await?, (1, 1));
    world.forge.finish().await
}

#[tokio::test]
async fn what_is_kept_outlives_the_process() -> Result<()> {
    let world = World::new().await?;
    let folder = tempfile::tempdir()?;
    world.open_pull(&sha('b'))?;
    let read = async || -> Result<()> {
        assert_eq!(keeping(&world, folder.path())?.open_pulls(&world.repo).await?.len(), 1);
        Ok(())
    };
    assert_eq!(count(&world, read()).await?, (1, 1));
    assert_eq!(count(&world, read()).await?, (1, 0));
    for file in std::fs::read_dir(folder.path())? {
        std::fs::write(file?.path(), "not what it was")?;
    }
    assert_eq!(count(&world, read()).await?, (1, 1));
    assert_eq!(count(&world, read()).await?, (1, 0));
    // Kept in the file, not in memory.
    let settings = ForgeSettings { cache_dir: Some(folder.path().to_owned()), ..world.settings()? };
    let small = Forge::with_limits(settings, Limits { cache: 0, ..Limits::default() })?;
    let twice = async {
        small.open_pulls(&world.repo).await?;
        small.open_pulls(&world.repo).await?;
        Ok(())
    };
    assert_eq!(count(&world, twice).await?, (2, 0));
    world.forge.finish().await
}

#[tokio::test]
async fn forges_share_nothing() -> Result<()> {
    let world = World::new().await?;
    let folder = tempfile::tempdir()?;
    keeping(&world, folder.path())?.repo(&world.repo).await?;
    let settings = ForgeSettings { cache_dir: Some(folder.path().to_owned()), ..world.settings()? };
    let other =
        Forge::with_limits(ForgeSettings { name: ForgeName::new("other")?, ..settings }, Limits::default())?;
    let read = async {
        other.repo(&world.repo).await?;
        Ok(())
    };
    assert_eq!(count(&world, read).await?, (1, 1));
    world.forge.finish().await
}

#[tokio::test]
async fn files_are_not_kept() -> Result<()> {
    let world = World::new().await?;
    world.forge.serve_contents(|_, _, _| Some(b"image".to_vec()));
    let read = async {
        for _ in 0..2 {
            world.client.file(&world.repo, "a", &world.tip).await?;
        }
        Ok(())
    };
    assert_eq!(count(&world, read).await?, (2, 2));
    world.forge.finish().await
}
