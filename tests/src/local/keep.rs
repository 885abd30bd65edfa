//! A fleet that stays up for somebody to play with.

use std::future::pending;
use std::io::{IsTerminal, stdin};
use std::thread;

use anyhow::Result;
use tokio::sync::oneshot;

use super::demo::Draft;
use super::screen::Screen;
use super::{Fleet, addresses};

/// Prints where everything is and shows what happens, until Enter.
pub(super) async fn up(fleet: &mut Fleet, screen: &Screen, draft: &mut Draft) -> Result<()> {
    screen.begin("It stays up");
    addresses::facts(fleet, screen).await?;
    screen.begin("To paste into another terminal");
    addresses::commands(fleet, screen, draft).await?;
    screen.begin("Enter or Ctrl-C ends it; meanwhile, what happens:");
    let Draft { pull, watch, .. } = draft;
    tokio::select! {
        watched = watch.for_ever(fleet, pull, screen) => watched,
        () = enter() => Ok(()),
    }
}

/// Returns when somebody presses Enter. Where there is nobody (`</dev/null`) it never does.
async fn enter() {
    let (pressed, wait) = oneshot::channel();
    // A thread of its own: the runtime would wait for one of its own at the end.
    thread::spawn(move || {
        let read = stdin().read_line(&mut String::new());
        if matches!(read, Ok(1..)) || stdin().is_terminal() {
            let _ = pressed.send(());
        }
    });
    if wait.await.is_err() {
        pending::<()>().await;
    }
}
