//! The faults: what each is, where it strikes, how it begins and how it ends.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use fastrand::Rng;

use super::Options;
use super::field::Field;
use crate::broker::Restart;
use crate::forge;
use crate::proxy::{Direction, Network};
use crate::s3;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// A worker is killed with all that it started, and comes back after a while.
    WorkerKilled,
    /// A worker and its commands stand still for a while.
    WorkerStopped,
    /// A worker is asked to end while its successor begins.
    WorkerReplaced,
    /// A worker is asked to end twice, and then its successor begins.
    WorkerHurried,
    /// Who only scans is killed, and comes back after a while.
    ScannerKilled,
    /// The receiver is killed, and comes back after a while.
    ReceiverKilled,
    /// A worker of an existing deployment is killed, and comes back after a while.
    OlderKilled,
    /// All connections to the broker are cut, once.
    NetworkCut,
    /// There is no network to the broker for a while.
    NetworkDown,
    /// The network to the broker is silent for a while.
    NetworkSilent,
    /// The broker hears nothing for a while, but is heard.
    NetworkDeaf,
    /// The broker is not heard for a while, but hears.
    NetworkMute,
    /// The network to the broker is slow for a while.
    NetworkSlow,
    /// The broker is killed, and comes back after a while.
    BrokerKilled,
    /// The broker is restarted in good order.
    BrokerRestarted,
    /// The broker stands still for a while.
    BrokerStopped,
    /// The broker has no memory for a while.
    MemoryAlarm,
    /// The forge answers 500.
    ForgeFails,
    /// The forge answers 429 and says when to come back.
    ForgeLimits,
    /// The forge answers 403, for a secondary limit.
    ForgeForbids,
    /// The forge answers nothing.
    ForgeHangs,
    /// What no worker can use is in the queues.
    Poison,
    /// A task kills every worker that takes it.
    Killer,
    /// There is no room for what containers print, nor for logs in a folder.
    DiskFull,
    /// There is no room for what workers must not forget: what they have begun, and reports that the forge has not taken.
    StateFull,
    /// The bucket for logs is not there.
    BucketAway,
    /// It answers 503.
    BucketBusy,
    /// It answers nothing.
    BucketHangs,
    /// Its connections break, before what was asked is done or after.
    BucketCuts,
}

/// Where a fault strikes. One place has one fault at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The worker with this number, or its network.
    Worker(usize),
    /// The receiver's network.
    Webhook,
    Broker,
    Forge,
    Queues,
    Disk,
    State,
    /// What logs go to.
    Bucket,
    /// The receiver itself.
    Receiver,
    /// Who only scans.
    Scanner,
    /// A worker of an existing deployment.
    Older,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::WorkerKilled,
        Self::WorkerStopped,
        Self::WorkerReplaced,
        Self::WorkerHurried,
        Self::ScannerKilled,
        Self::ReceiverKilled,
        Self::OlderKilled,
        Self::NetworkCut,
        Self::NetworkDown,
        Self::NetworkSilent,
        Self::NetworkDeaf,
        Self::NetworkMute,
        Self::NetworkSlow,
        Self::BrokerKilled,
        Self::BrokerRestarted,
        Self::BrokerStopped,
        Self::MemoryAlarm,
        Self::ForgeFails,
        Self::ForgeLimits,
        Self::ForgeForbids,
        Self::ForgeHangs,
        Self::Poison,
        Self::Killer,
        Self::DiskFull,
        Self::StateFull,
        Self::BucketAway,
        Self::BucketBusy,
        Self::BucketHangs,
        Self::BucketCuts,
    ];

    pub(super) fn place(self, workers: usize, rng: &mut Rng) -> Place {
        match self {
            Self::WorkerKilled | Self::WorkerStopped | Self::WorkerReplaced | Self::WorkerHurried => {
                Place::Worker(rng.usize(..workers))
            }
            Self::ScannerKilled => Place::Scanner,
            Self::ReceiverKilled => Place::Receiver,
            Self::OlderKilled => Place::Older,
            Self::NetworkCut
            | Self::NetworkDown
            | Self::NetworkSilent
            | Self::NetworkDeaf
            | Self::NetworkMute
            | Self::NetworkSlow => match rng.usize(..=workers) {
                number if number == workers => Place::Webhook,
                number => Place::Worker(number),
            },
            Self::BrokerKilled | Self::BrokerRestarted | Self::BrokerStopped | Self::MemoryAlarm => {
                Place::Broker
            }
            Self::ForgeFails | Self::ForgeLimits | Self::ForgeForbids | Self::ForgeHangs => Place::Forge,
            Self::Poison | Self::Killer => Place::Queues,
            Self::DiskFull => Place::Disk,
            Self::StateFull => Place::State,
            Self::BucketAway | Self::BucketBusy | Self::BucketHangs | Self::BucketCuts => Place::Bucket,
        }
    }

    /// For how long.
    pub(super) fn length(self, options: &Options, rng: &mut Rng) -> Duration {
        let millis = match self {
            Self::WorkerReplaced
            | Self::WorkerHurried
            | Self::NetworkCut
            | Self::BrokerRestarted
            | Self::Poison => 0..1,
            Self::WorkerKilled | Self::WorkerStopped => 500..20_000,
            Self::ScannerKilled => 0..3000,
            Self::ReceiverKilled | Self::OlderKilled => 500..6000,
            Self::NetworkDown
            | Self::NetworkSilent
            | Self::NetworkDeaf
            | Self::NetworkMute
            | Self::BrokerStopped => return options.times.outage(options.length, rng),
            Self::NetworkSlow => 3000..15_000,
            Self::BrokerKilled => 500..4000,
            Self::MemoryAlarm | Self::DiskFull | Self::StateFull => 3000..10_000,
            Self::ForgeFails | Self::ForgeLimits | Self::ForgeForbids | Self::ForgeHangs => 2000..10_000,
            Self::BucketAway | Self::BucketBusy | Self::BucketHangs | Self::BucketCuts => 2000..15_000,
            // As long as it takes to kill three workers.
            Self::Killer => 60_000..60_001,
        };
        Duration::from_millis(rng.u64(millis))
    }

    pub(super) async fn begin(self, place: Place, field: &mut Field<'_>) -> Result<()> {
        match self {
            Self::WorkerKilled | Self::ScannerKilled => field.kill_worker(place).await,
            Self::WorkerHurried => field.hurry_worker(place).await,
            Self::ReceiverKilled => field.kill_receiver().await,
            Self::OlderKilled => {
                field.kill_older();
                Ok(())
            }
            Self::WorkerStopped => field.stop_worker(place),
            Self::WorkerReplaced => field.replace_worker(place).await,
            Self::NetworkCut => field.cut(place),
            Self::NetworkDown => field.network(place, Network::Down),
            Self::NetworkSilent => field.network(place, Network::Silent(Direction::Both)),
            Self::NetworkDeaf => field.network(place, Network::Silent(Direction::ToServer)),
            Self::NetworkMute => field.network(place, Network::Silent(Direction::FromServer)),
            Self::NetworkSlow => field.network(place, Network::Slow(Duration::from_millis(150))),
            Self::BrokerKilled => field.kill_broker().await,
            Self::BrokerRestarted => field.restart_broker(Restart::Orderly).await,
            Self::BrokerStopped => field.stop_broker(),
            Self::MemoryAlarm => field.alarm(true).await,
            Self::ForgeFails => {
                field.forge_away(&forge::Fault::status(500));
                Ok(())
            }
            Self::ForgeLimits => {
                field.forge_away(&forge::Fault::too_many(Duration::from_secs(2)));
                Ok(())
            }
            Self::ForgeForbids => {
                field.forge_away(&forge::Fault::secondary());
                Ok(())
            }
            Self::ForgeHangs => {
                field.forge_away(&forge::Fault::Hang);
                Ok(())
            }
            Self::Poison => {
                field.poison();
                Ok(())
            }
            Self::Killer => {
                field.killer();
                Ok(())
            }
            Self::DiskFull | Self::StateFull => field.fill(place),
            Self::BucketAway => {
                field.bucket_away().await;
                Ok(())
            }
            Self::BucketBusy => {
                field.bucket_fails(s3::Fault::BUSY);
                Ok(())
            }
            Self::BucketHangs => {
                field.bucket_fails(s3::Fault::Hang);
                Ok(())
            }
            Self::BucketCuts => {
                field.bucket_cuts();
                Ok(())
            }
        }
    }

    pub(super) async fn end(self, place: Place, field: &mut Field<'_>) -> Result<()> {
        match self {
            Self::WorkerKilled | Self::ScannerKilled => field.start_worker(place).await,
            Self::ReceiverKilled => field.start_receiver().await,
            Self::OlderKilled => field.start_older(),
            Self::WorkerStopped => field.continue_worker(place),
            Self::NetworkDown
            | Self::NetworkSilent
            | Self::NetworkDeaf
            | Self::NetworkMute
            | Self::NetworkSlow => field.network(place, Network::Open),
            Self::BrokerKilled => field.restart_broker(Restart::Hard).await,
            Self::BrokerStopped => field.continue_broker(),
            Self::MemoryAlarm => field.alarm(false).await,
            Self::ForgeFails | Self::ForgeLimits | Self::ForgeForbids | Self::ForgeHangs => {
                field.forge_back();
                Ok(())
            }
            Self::DiskFull | Self::StateFull => field.clear(place),
            Self::BucketAway => field.bucket_back().await,
            Self::BucketBusy | Self::BucketHangs | Self::BucketCuts => {
                field.bucket_works();
                Ok(())
            }
            Self::WorkerReplaced
            | Self::WorkerHurried
            | Self::NetworkCut
            | Self::BrokerRestarted
            | Self::Poison
            | Self::Killer => Ok(()),
        }
    }
}
