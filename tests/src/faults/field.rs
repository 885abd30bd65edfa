//! What breaks: the programs, their networks, the broker, the forge and the disk, with what does each.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use common::broker::Broker as Connector;
use common::queue::Queue;
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tokio::task::JoinSet;

use super::diary::{Diary, now};
use super::disk::Disk;
use super::fault::Place;
use super::send::{self, Sent};
use super::site::Site;
use crate::broker::{Broker, Restart};
use crate::engine::Engine;
use crate::fleet::DEADLINE;
use crate::forge::{self, FakeForge};
use crate::proxy::{Network, Proxy};

/// The fleet, as faults see it.
pub(super) struct Field<'a> {
    pub(super) broker: &'a mut Broker,
    pub(super) engine: &'a Engine,
    pub(super) forge: &'a FakeForge,
    pub(super) diary: Arc<Diary>,
    pub(super) connector: Connector,
    /// Between the receiver and the broker.
    pub(super) webhook: &'a Proxy,
    pub(super) sites: Vec<Site>,
    /// Where logs go; none without the right to make a small disk.
    pub(super) disk: Option<&'a Disk>,
    pub(super) done: Done,
}

/// What was done, for who judges afterwards.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// When which worker may have lost what it did.
    pub(super) excuses: Vec<Excuse>,
    /// The messages that no worker can use.
    pub(super) poison: Vec<String>,
    pub(super) putting: JoinSet<Sent>,
    /// Whether a task kills workers.
    killer: bool,
    /// Programs that ended as nobody asked them to.
    pub(super) deaths: Vec<String>,
}

/// In this time a worker, or every worker, may have lost what it did, and another begins it again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Excuse {
    pub(super) place: Place,
    /// The worker's process; none for all.
    pub(super) worker: Option<i32>,
    pub(super) from: Timestamp,
    /// None: to the end.
    pub(super) to: Option<Timestamp>,
}

impl Field<'_> {
    fn site(&mut self, place: Place) -> Result<&mut Site> {
        let Place::Worker(number) = place else { bail!("{place:?} is no worker") };
        self.sites.get_mut(number).context("no such worker")
    }

    fn excuse(&mut self, place: Place) {
        let worker = match place {
            Place::Worker(number) => self.sites.get(number).and_then(Site::id),
            _ => None,
        };
        self.done.excuses.push(Excuse { place, worker, from: now(), to: None });
    }

    fn excused(&mut self, place: Place) {
        for excuse in self.done.excuses.iter_mut().filter(|it| it.place == place && it.to.is_none()) {
            excuse.to = Some(now());
        }
    }

    pub(super) async fn kill_worker(&mut self, place: Place) -> Result<()> {
        self.excuse(place);
        self.site(place)?.kill().await
    }

    pub(super) async fn start_worker(&mut self, place: Place) -> Result<()> {
        self.excused(place);
        self.site(place)?.start().await
    }

    pub(super) fn stop_worker(&mut self, place: Place) -> Result<()> {
        self.excuse(place);
        self.site(place)?.signal_tree(Signal::STOP);
        Ok(())
    }

    pub(super) fn continue_worker(&mut self, place: Place) -> Result<()> {
        self.excused(place);
        self.site(place)?.signal_tree(Signal::CONT);
        Ok(())
    }

    pub(super) async fn replace_worker(&mut self, place: Place) -> Result<()> {
        self.site(place)?.replace().await
    }

    pub(super) fn cut(&mut self, place: Place) -> Result<()> {
        self.excuse(place);
        self.proxy(place)?.cut();
        self.excused(place);
        Ok(())
    }

    pub(super) fn network(&mut self, place: Place, network: Network) -> Result<()> {
        match network {
            Network::Open => self.excused(place),
            _ => self.excuse(place),
        }
        self.proxy(place)?.set(network);
        Ok(())
    }

    fn proxy(&mut self, place: Place) -> Result<&Proxy> {
        match place {
            Place::Webhook => Ok(self.webhook),
            place => self.site(place).map(|it| it.proxy()),
        }
    }

    /// A queue that is younger than a second may not be on the disk yet, which is `RabbitMQ`'s business (docs/ARCHITECTURE.md).
    pub(super) async fn kill_broker(&mut self) -> Result<()> {
        self.broker.sync().await?;
        self.excuse(Place::Broker);
        self.broker.kill()
    }

    pub(super) async fn restart_broker(&mut self, how: Restart) -> Result<()> {
        self.excuse(Place::Broker);
        self.broker.restart(how).await?;
        self.excused(Place::Broker);
        Ok(())
    }

    pub(super) fn stop_broker(&mut self) -> Result<()> {
        self.excuse(Place::Broker);
        self.signal_broker(Signal::STOP)
    }

    pub(super) fn continue_broker(&mut self) -> Result<()> {
        self.excused(Place::Broker);
        self.signal_broker(Signal::CONT)
    }

    fn signal_broker(&self, signal: Signal) -> Result<()> {
        let group = self.broker.group().and_then(Pid::from_raw).context("the broker is not up")?;
        kill_process_group(group, signal).context("signal the broker")
    }

    pub(super) async fn alarm(&mut self, on: bool) -> Result<()> {
        let share = if on { "0" } else { "0.6" };
        if on {
            self.excuse(Place::Broker);
        }
        self.broker.control(&["set_vm_memory_high_watermark", share]).await?;
        if !on {
            self.excused(Place::Broker);
        }
        Ok(())
    }

    pub(super) fn forge_away(&mut self, fault: &forge::Fault) {
        self.excuse(Place::Forge);
        self.forge.go_away("", fault);
    }

    pub(super) fn forge_back(&mut self) {
        self.excused(Place::Forge);
        self.forge.come_back();
    }

    pub(super) fn poison(&mut self) {
        let number = self.done.poison.len();
        for (queue, body) in [
            (Queue::Public, format!("not JSON {number}")),
            (Queue::Public, json!({"dance": number}).to_string()),
            (Queue::Webhook, format!("{{\"event\": {number}")),
        ] {
            self.put(queue, body);
        }
    }

    pub(super) fn killer(&mut self) {
        self.done.killer = true;
        let number = self.done.poison.len();
        self.put(Queue::Public, json!({"command": format!("kill -9 $PPID # {number}")}).to_string());
    }

    fn put(&mut self, queue: Queue, body: String) {
        let (connector, diary) = (self.connector.clone(), Arc::clone(&self.diary));
        let what = format!("poison {body:?}");
        self.done.putting.spawn(send::put(connector, queue, body.clone(), what, diary));
        self.done.poison.push(body);
    }

    pub(super) fn fill_disk(&mut self) -> Result<()> {
        self.excuse(Place::Disk);
        self.disk.map_or(Ok(()), Disk::fill)
    }

    pub(super) fn clear_disk(&mut self) -> Result<()> {
        self.excused(Place::Disk);
        self.disk.map_or(Ok(()), Disk::clear)
    }

    /// Starts workers again that something killed, as systemd does.
    pub(super) async fn keep(&mut self) -> Result<()> {
        for number in 0..self.sites.len() {
            let Some(site) = self.sites.get_mut(number) else { continue };
            let Some(status) = site.died()? else { continue };
            let (name, worker) = (site.name(), site.id());
            self.diary.note(format_args!("{name} ended with {status}"));
            if !self.done.killer || status.signal() != Some(9) {
                self.done.deaths.push(format!("{name} ended with {status}"));
            }
            let at = now();
            self.done.excuses.push(Excuse { place: Place::Worker(number), worker, from: at, to: Some(at) });
            site.kill().await?;
            site.start().await?;
        }
        Ok(())
    }

    /// Ends all workers in good order.
    pub(super) async fn end(&mut self) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for site in &mut self.sites {
            wrong.extend(site.end(DEADLINE).await?);
        }
        Ok(wrong)
    }
}
