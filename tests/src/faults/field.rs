//! What breaks: the programs, their networks, the broker, the forge and the disk, with what does each.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use common::queue::Queue;
use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tokio::task::JoinSet;

use super::diary::{Diary, now};
use super::fault::Place;
use super::judge::{Excuse, Loss};
use super::older::Older;
use super::receiver::Receiver;
use super::schedule::Dress;
use super::send::{Letter, Sender, Sent};
use super::site::Site;
use crate::broker::{Broker, Restart};
use crate::disk::Disk;
use crate::engine::Engine;
use crate::fleet::DEADLINE;
use crate::forge::{self, FakeForge};
use crate::proxy::{Network, Proxy};
use crate::s3::{self, S3Server};

/// Until it is noticed that something has ended.
const NOTICED: SignedDuration = SignedDuration::from_secs(5);

/// The fleet, as faults see it.
pub(super) struct Field<'a> {
    pub(super) broker: &'a mut Broker,
    pub(super) engine: &'a Engine,
    pub(super) forge: &'a FakeForge,
    pub(super) diary: Arc<Diary>,
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    /// The workers, and last who only scans.
    pub(super) sites: Vec<Site>,
    /// A worker of an existing deployment; none without a python that can be one.
    pub(super) older: Option<Older>,
    /// Where logs go; none where that is a folder.
    pub(super) bucket: Option<&'a mut S3Server>,
    /// None without the right to make a small disk.
    pub(super) disks: Option<&'a Disks>,
    pub(super) done: Done,
}

/// The disks of a fleet.
pub(super) struct Disks {
    /// For what containers print, and for logs where there is no bucket.
    pub(super) spool: Disk,
    /// For what workers must not forget.
    pub(super) state: Disk,
}

impl Disks {
    /// None where this user may not.
    pub(super) fn make() -> Result<Option<Self>> {
        Ok(Disk::make()?.zip(Disk::make()?).map(|(spool, state)| Self { spool, state }))
    }
}

/// What was done, for who judges afterwards.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// When which worker may have lost what it did.
    pub(super) excuses: Vec<Excuse>,
    /// The messages that no worker can use.
    pub(super) poison: Vec<String>,
    pub(super) putting: JoinSet<Sent>,
    /// The processes of older programs.
    pub(super) older: Vec<i32>,
    /// Whether a task kills workers.
    killer: bool,
    /// Programs that ended as nobody asked them to.
    pub(super) deaths: Vec<String>,
}

impl Field<'_> {
    fn site(&mut self, place: Place) -> Result<&mut Site> {
        match place {
            Place::Worker(number) => self.sites.get_mut(number).context("no such worker"),
            Place::Scanner => self.sites.last_mut().context("no scanner"),
            _ => bail!("{place:?} is no worker"),
        }
    }

    fn excuse(&mut self, place: Place, loss: Loss) {
        let worker = match place {
            Place::Worker(number) => self.sites.get(number).and_then(Site::id),
            Place::Older => self.older.as_ref().and_then(Older::id),
            _ => None,
        };
        self.done.excuses.push(Excuse { place, loss, worker, from: now(), to: None });
    }

    fn excused(&mut self, place: Place) {
        for excuse in self.done.excuses.iter_mut().filter(|it| it.place == place && it.to.is_none()) {
            excuse.to = Some(now());
        }
    }

    pub(super) async fn kill_worker(&mut self, place: Place) -> Result<()> {
        // Who scans holds nothing that is not the broker's.
        if place != Place::Scanner {
            self.excuse(place, Loss::Process);
        }
        self.site(place)?.kill().await
    }

    pub(super) async fn start_worker(&mut self, place: Place) -> Result<()> {
        self.excused(place);
        self.site(place)?.start().await
    }

    pub(super) fn stop_worker(&mut self, place: Place) -> Result<()> {
        self.excuse(place, Loss::Process);
        self.site(place)?.signal_tree(Signal::STOP);
        Ok(())
    }

    pub(super) fn continue_worker(&mut self, place: Place) -> Result<()> {
        self.excused(place);
        self.site(place)?.signal_tree(Signal::CONT);
        Ok(())
    }

    /// Jobs go on, wherever they do; a command may have too little time for its end, and is begun again.
    pub(super) async fn replace_worker(&mut self, place: Place) -> Result<()> {
        if self.site(place)?.hands_over() {
            self.excuse(place, Loss::Handover);
        }
        self.site(place)?.replace().await?;
        self.excused(place);
        Ok(())
    }

    /// Its jobs and commands are begun again by others.
    pub(super) async fn hurry_worker(&mut self, place: Place) -> Result<()> {
        self.excuse(place, Loss::Process);
        self.site(place)?.hurry().await?;
        self.excused(place);
        Ok(())
    }

    pub(super) async fn kill_receiver(&mut self) -> Result<()> {
        self.excuse(Place::Receiver, Loss::Receiver);
        self.receiver.kill().await
    }

    pub(super) async fn start_receiver(&mut self) -> Result<()> {
        self.receiver.run().await?;
        self.excused(Place::Receiver);
        Ok(())
    }

    pub(super) fn kill_older(&mut self) {
        self.excuse(Place::Older, Loss::Older);
        if let Some(older) = &mut self.older {
            older.kill();
        }
    }

    pub(super) fn start_older(&mut self) -> Result<()> {
        self.excused(Place::Older);
        let Some(older) = &mut self.older else { return Ok(()) };
        older.start()?;
        self.done.older.extend(older.id());
        Ok(())
    }

    pub(super) fn cut(&mut self, place: Place) -> Result<()> {
        self.excuse(place, Loss::Broker);
        self.proxy(place)?.cut();
        self.excused(place);
        Ok(())
    }

    pub(super) fn network(&mut self, place: Place, network: Network) -> Result<()> {
        match network {
            Network::Open => self.excused(place),
            _ => self.excuse(place, Loss::Broker),
        }
        self.proxy(place)?.set(network);
        Ok(())
    }

    fn proxy(&mut self, place: Place) -> Result<&Proxy> {
        match place {
            Place::Webhook => Ok(self.receiver.proxy()),
            place => self.site(place).map(|it| it.proxy()),
        }
    }

    /// A queue that is younger than a second may not be on the disk yet, which is `RabbitMQ`'s business (docs/ARCHITECTURE.md).
    pub(super) async fn kill_broker(&mut self) -> Result<()> {
        self.broker.sync().await?;
        self.excuse(Place::Broker, Loss::Broker);
        self.broker.kill()
    }

    pub(super) async fn restart_broker(&mut self, how: Restart) -> Result<()> {
        self.excuse(Place::Broker, Loss::Broker);
        self.broker.restart(how).await?;
        self.excused(Place::Broker);
        Ok(())
    }

    pub(super) fn stop_broker(&mut self) -> Result<()> {
        self.excuse(Place::Broker, Loss::Broker);
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
            self.excuse(Place::Broker, Loss::Broker);
        }
        self.broker.control(&["set_vm_memory_high_watermark", share]).await?;
        if !on {
            self.excused(Place::Broker);
        }
        Ok(())
    }

    pub(super) fn forge_away(&mut self, fault: &forge::Fault) {
        self.excuse(Place::Forge, Loss::Forge);
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
        let what = format!("poison {body:?}");
        let letter = Letter { queue, body: body.clone(), dress: Dress::Ours };
        self.done.putting.spawn(self.sender.clone().put(letter, what));
        self.done.poison.push(body);
    }

    /// What programs ask of the bucket meets this.
    pub(super) fn bucket_fails(&self, fault: s3::Fault) {
        if let Some(bucket) = &self.bucket {
            bucket.fail_those(usize::MAX, fault, |_| true);
        }
    }

    /// Connections break before what was asked is read, or before the answer.
    pub(super) fn bucket_cuts(&self) {
        if let Some(bucket) = &self.bucket {
            bucket.fail_those(usize::MAX, s3::Fault::Reset, |it| it.key.len() % 2 == 0);
            bucket.fail_those(usize::MAX, s3::Fault::LoseAnswer, |_| true);
        }
    }

    pub(super) fn bucket_works(&self) {
        if let Some(bucket) = &self.bucket {
            bucket.no_more_faults();
        }
    }

    pub(super) async fn bucket_away(&mut self) {
        if let Some(bucket) = &mut self.bucket {
            bucket.go_away().await;
        }
    }

    pub(super) async fn bucket_back(&mut self) -> Result<()> {
        match &mut self.bucket {
            Some(bucket) => bucket.come_back().await,
            None => Ok(()),
        }
    }

    pub(super) fn fill(&mut self, place: Place) -> Result<()> {
        self.excuse(place, Loss::Disk);
        self.disk(place).map_or(Ok(()), Disk::fill)
    }

    pub(super) fn clear(&mut self, place: Place) -> Result<()> {
        self.excused(place);
        self.disk(place).map_or(Ok(()), Disk::clear)
    }

    fn disk(&self, place: Place) -> Option<&Disk> {
        match place {
            Place::State => self.disks.map(|it| &it.state),
            _ => self.disks.map(|it| &it.spool),
        }
    }

    /// Starts again what has ended by itself, as systemd does.
    pub(super) async fn keep(&mut self) -> Result<()> {
        for number in 0..self.sites.len() {
            let Some(site) = self.sites.get_mut(number) else { continue };
            let Some(status) = site.died()? else { continue };
            let (name, worker) = (site.name(), site.id());
            self.diary.note(format_args!("{name} ended with {status}"));
            let was_killed = self.done.killer && status.signal() == Some(9);
            // It cannot begin without room for what it must not forget.
            let lately = |it: &Excuse| it.to.is_none_or(|it| now().duration_since(it) < NOTICED);
            let had_no_room = self.done.excuses.iter().any(|it| it.place == Place::State && lately(it));
            if !was_killed && !had_no_room {
                self.done.deaths.push(format!("{name} ended with {status}"));
            }
            let at = now();
            let (place, loss) = (Place::Worker(number), Loss::Process);
            self.done.excuses.push(Excuse { place, loss, worker, from: at, to: Some(at) });
            site.kill().await?;
            site.start().await?;
        }
        self.keep_older()
    }

    fn keep_older(&mut self) -> Result<()> {
        let Some(older) = &mut self.older else { return Ok(()) };
        if older.has_ended()? {
            self.diary.note("the older worker has ended");
            self.kill_older();
            self.start_older()?;
        }
        Ok(())
    }

    /// Ends all programs in good order.
    pub(super) async fn end(&mut self) -> Result<Vec<String>> {
        let mut wrong: Vec<_> = self.receiver.end().await?.into_iter().collect();
        self.older = None;
        for site in &mut self.sites {
            wrong.extend(site.end(DEADLINE).await?);
        }
        Ok(wrong)
    }
}
