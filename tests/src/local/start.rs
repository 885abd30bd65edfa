//! The start of the fleet, told part by part.

use std::path::Path;

use anyhow::{Context, Result};
use credentials::{CA_CERTIFICATE, CLIENT_CERTIFICATE, SERVER_CERTIFICATE, Summary};

use super::screen::{Screen, Tone};
use crate::broker::{self, Broker};
use crate::engine::Engine;
use crate::fleet::{DEADLINE, Fleet, Setup};

/// Starts everything; logs of jobs go to `logs`.
pub(super) async fn fleet(screen: &Screen, logs: &Path) -> Result<Fleet> {
    screen.begin("The fleet");
    let (broker, engine) = tokio::try_join!(broker(screen), engine(screen))?;
    let mut fleet = Fleet::start_on(setup(logs), broker, engine).await?;
    screen.now("forge", format!("a stand-in for GitHub at {}", fleet.forge.url()), Tone::Plain);
    screen.now("git", format!("repositories at {}", fleet.git.url()), Tone::Plain);
    webhook(&mut fleet, screen).await?;
    worker(&mut fleet, screen).await?;
    Ok(fleet)
}

fn setup(logs: &Path) -> Setup {
    Setup {
        webhook: false,
        worker: false,
        // A log that comes in seconds is no fun to watch.
        config: "[logs]\nflush-seconds = 0.1\n".to_owned(),
        execute: "slots = 2\n".to_owned(),
        // The broker is ours alone, and this one needs no word in pasted commands.
        vhost: Some("/".to_owned()),
        logs: Some(logs.to_owned()),
        ..Setup::default()
    }
}

async fn broker(screen: &Screen) -> Result<Broker> {
    screen.now("broker", "RabbitMQ is starting, with credentials of its own".to_owned(), Tone::Plain);
    let broker = Broker::private(&broker::Options::default()).await.context("the broker")?;
    let secrets = broker.secrets_dir();
    for (file, what) in
        [(CA_CERTIFICATE, "authority"), (SERVER_CERTIFICATE, "broker"), (CLIENT_CERTIFICATE, "programs")]
    {
        let text =
            format!("{} for the {what}: {}", subject(&secrets.join(file))?, secrets.join(file).display());
        screen.now("credentials", text, Tone::Plain);
    }
    let text = format!("RabbitMQ at {}; TLS, and a client's certificate is its name", broker.address());
    screen.now("broker", text, Tone::Plain);
    Ok(broker)
}

fn subject(certificate: &Path) -> Result<String> {
    let summaries = Summary::read(certificate)?;
    Ok(summaries.first().context("a certificate")?.subject.clone())
}

async fn engine(screen: &Screen) -> Result<Engine> {
    let engine = Engine::open().await.context("containers")?;
    let version = engine.run(&["--version"]).await?;
    screen.now("containers", format!("{}, image {}", version.trim(), engine.image()), Tone::Plain);
    for (name, value) in engine.environment() {
        screen.now("containers", format!("this machine needs settings: {name}={value}"), Tone::Plain);
    }
    Ok(engine)
}

async fn webhook(fleet: &mut Fleet, screen: &Screen) -> Result<()> {
    fleet.start_webhook().await?;
    let address = fleet.webhook_address().await?;
    let id = fleet.webhook()?.id();
    screen.now("webhook", format!("process {id} at http://{address}/, connected to the broker"), Tone::Plain);
    Ok(())
}

async fn worker(fleet: &mut Fleet, screen: &Screen) -> Result<()> {
    fleet.start_worker(&[]).await?;
    let worker = fleet.worker(0)?;
    for role in ["scan", "execute"] {
        let connected = |event: &serde_json::Value| {
            (event["message"] == "connected to the broker" && event["role"] == role).then_some(())
        };
        worker.wait_until(&format!("that it is connected to {role}"), DEADLINE, connected).await?;
        let text = format!("process {}, connected to the broker to {role}", worker.id());
        screen.now("worker", text, Tone::Plain);
    }
    Ok(())
}
