//! Sweeps: what was missed heals, and nothing is done twice.

use std::time::Duration;

use anyhow::{Result, ensure};
use common::Clock;
use common::broker::{Headers, Outgoing};
use common::forge::{NewStatus, StatusState};
use common::id::{ForgeName, RepoName};
use common::queue::{Priority, Queue};
use common::task::WorkKey;
use tests::fleet::{DEADLINE, Fleet, Pull, Setup, run_test_with};
use tokio_util::bytes::Bytes;

use super::{change, repo};

/// Nobody works but the test; a sweep does not wait long for its second look.
fn nobody_works() -> Setup {
    let sweep = "at-start = false\nevery-minutes = 0\nsecond-look-seconds = 0.3\n".to_owned();
    Setup { webhook: false, worker: false, sweep, ..Setup::default() }
}

/// A pull whose event nobody gets.
async fn missed(fleet: &Fleet, repo: &RepoName) -> Result<Pull> {
    Ok(fleet.draft_pull("alice", repo, &change()).await?.0)
}

/// Sweeps once, and says how that ended.
async fn sweep_once(fleet: &Fleet) -> Result<i32> {
    let said = fleet.run_program("run-queue", &["sweep"], "").await?;
    ensure!(matches!(said.code, Some(0 | 1)), "the sweep ended with {:?}: {}", said.code, said.err);
    Ok(said.code.unwrap_or_default())
}

/// The work that waits in a queue, sorted.
async fn waiting(fleet: &Fleet, queue: Queue) -> Result<Vec<WorkKey>> {
    let (session, forge) = (fleet.session().await?, ForgeName::new("github")?);
    let mut keys = Vec::new();
    session.peek(queue, |it| keys.extend(WorkKey::of_body(it.body(), &forge))).await?;
    session.close().await;
    keys.sort();
    Ok(keys)
}

fn keys(pulls: &[Pull]) -> Result<Vec<WorkKey>> {
    let key =
        |it: &Pull| Ok(WorkKey::new(ForgeName::new("github")?, &it.repo, it.sha.clone(), "debian".parse()?));
    let mut keys = pulls.iter().map(key).collect::<Result<Vec<_>>>()?;
    keys.sort();
    Ok(keys)
}

/// The broker loses what is in its queues; gives the bodies of `public`.
async fn lose_everything(fleet: &Fleet) -> Result<Vec<Bytes>> {
    let session = fleet.session().await?;
    let mut lost = Vec::new();
    for queue in [Queue::Webhook, Queue::Public, Queue::Dead] {
        while let Some(received) = session.take(queue).await? {
            if queue == Queue::Public {
                lost.push(received.body().clone());
            }
            received.ack().await?;
        }
    }
    session.close().await;
    Ok(lost)
}

fn is_about(body: &[u8], pull: &Pull) -> bool {
    String::from_utf8_lossy(body).contains(pull.sha.as_str())
}

/// A status as a worker posts it.
fn post(fleet: &Fleet, pull: &Pull, state: StatusState, description: &str) -> Result<()> {
    let status = NewStatus::new("debian".parse()?, state, description);
    fleet.forge.set_status(&pull.repo, &pull.sha, status).map(drop)
}

#[tokio::test]
async fn a_pull_whose_event_was_lost_is_found_once() {
    run_test_with(nobody_works(), async |fleet: &mut Fleet| {
        let repo = repo(fleet, "true").await?;
        let pull = missed(fleet, &repo).await?;
        assert_eq!(sweep_once(fleet).await?, 0);
        assert_eq!(fleet.statuses(&repo, &pull.sha), ["debian pending: Not yet tested"]);
        assert_eq!(sweep_once(fleet).await?, 0);
        assert_eq!(waiting(fleet, Queue::Public).await?, keys(&[pull])?);
        lose_everything(fleet).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_worker_sweeps_when_it_starts() {
    let setup = Setup { worker: false, sweep: "second-look-seconds = 0.2\n".to_owned(), ..Setup::default() };
    run_test_with(setup, async |fleet: &mut Fleet| {
        let repo = repo(fleet, "true").await?;
        let pull = missed(fleet, &repo).await?;
        fleet.start_worker(&[]).await?;
        fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn what_waits_anywhere_is_left_alone_and_what_is_lost_comes_back_once_each() {
    run_test_with(nobody_works(), async |fleet: &mut Fleet| {
        let repo = repo(fleet, "true").await?;
        let mut pulls = Vec::new();
        for _ in 0..5 {
            pulls.push(missed(fleet, &repo).await?);
        }
        sweep_once(fleet).await?;
        assert_eq!(waiting(fleet, Queue::Public).await?, keys(&pulls)?);
        // The first waits to be tried again, the second was given up, the third runs, the fourth is done.
        let session = fleet.session().await?;
        let publisher = session.publisher().await?;
        let bodies = lose_everything(fleet).await?;
        let place = |it: &Pull| bodies.iter().position(|body| is_about(body, it));
        pulls.sort_by_key(place);
        for (place, body) in bodies.into_iter().enumerate() {
            let queue = if place == 1 { Queue::Dead } else { Queue::Public };
            let message =
                Outgoing { queue, body, priority: Some(Priority::NORMAL), headers: Headers::fresh() };
            match place {
                0 => publisher.publish_later(&message, Duration::from_mins(2)).await?,
                2 | 3 => {}
                _ => publisher.publish(&message).await?,
            }
        }
        session.close().await;
        for (place, state, description) in [
            (0, StatusState::Error, "Internal error [host]"),
            (1, StatusState::Error, "Internal error [host]"),
            (2, StatusState::Pending, "In progress [host]"),
            (3, StatusState::Success, "Success [host]"),
        ] {
            post(fleet, &pulls[place], state, description)?;
        }
        sweep_once(fleet).await?;
        assert_eq!(waiting(fleet, Queue::Public).await?, keys(&pulls[4..])?, "nothing is queued again");
        // Nobody has them any more.
        lose_everything(fleet).await?;
        sweep_once(fleet).await?;
        assert_eq!(waiting(fleet, Queue::Public).await?, keys(&[pulls[1].clone(), pulls[4].clone()])?);
        sweep_once(fleet).await?;
        assert_eq!(waiting(fleet, Queue::Public).await?.len(), 2, "once each");
        lose_everything(fleet).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn two_sweeps_at_once_queue_everything_once() {
    run_test_with(nobody_works(), async |fleet: &mut Fleet| {
        let repo = repo(fleet, "true").await?;
        let mut pulls = Vec::new();
        for _ in 0..20 {
            pulls.push(missed(fleet, &repo).await?);
        }
        fleet.forge.delay(Duration::from_millis(50));
        let (one, other) = tokio::try_join!(sweep_once(fleet), sweep_once(fleet))?;
        assert_eq!(one.min(other), 0, "one of them sweeps");
        assert_eq!(waiting(fleet, Queue::Public).await?, keys(&pulls)?);
        lose_everything(fleet).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn an_event_that_the_forge_could_not_deliver_is_asked_for_again() {
    let sweep =
        "at-start = false\nevery-minutes = 0\n[scan.sweep.hooks]\n\"octo/elsewhere\" = 7\n".to_owned();
    run_test_with(Setup { worker: false, sweep, ..Setup::default() }, async |fleet: &mut Fleet| {
        repo(fleet, "true").await?;
        let repo = fleet.create_repo("octo/elsewhere", &change()).await?;
        let (_, event) = fleet.draft_pull("alice", &repo, &change()).await?;
        fleet.add_hook(&repo, 7)?;
        fleet.forge.log_delivery(&repo, 7, &event, Clock::system().now(), 503)?;
        sweep_once(fleet).await?;
        let taken = fleet.forge.wait_for_delivery(&repo, 7, DEADLINE, |it| it.redelivery).await?;
        assert_eq!((taken.status, taken.delivery.id), (200, event.id));
        assert_eq!(fleet.waiting().await?, [(Queue::Webhook, 1)]);
        lose_everything(fleet).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_check_list_whose_event_was_lost_is_found_once() {
    let scan = "allow-list = [\"alice\"]\n[scan.test-map.\"octo/bots\"]\nmain = []\n".to_owned();
    run_test_with(Setup { scan, ..nobody_works() }, async |fleet: &mut Fleet| {
        let repo = fleet.create_repo("octo/bots", &change()).await?;
        let number = fleet.forge.next_number(&repo)?;
        fleet.forge.open_issue(&repo, "Refresh", "- [ ] image-refresh debian\n", "alice")?;
        fleet.forge.label_issue(&repo, number, "bot")?;
        sweep_once(fleet).await?;
        sweep_once(fleet).await?;
        let contexts: Vec<_> =
            waiting(fleet, Queue::Public).await?.iter().map(|it| it.context().to_string()).collect();
        assert_eq!(contexts, ["image-refresh/debian"]);
        lose_everything(fleet).await.map(drop)
    })
    .await;
}
