//! The parts of the process.

use std::sync::Arc;

use common::Chain;
use common::broker::{Broker, BrokerError, Contract};
use common::config::Forges;
use common::lifecycle::{Exit, Lifecycle, Part};
use common::queue::Queue;
use common::service::{self, Readiness};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::burials::Burials;
use crate::contract;
use crate::execute::{ExecuteSettings, Executor, Mailer, Outbox};
use crate::link::Linked;
use crate::metrics::{self, Metrics};
use crate::role::Role;
use crate::scan::{Scanner, SettingsWatch, SweepMetrics, Sweeper};
use crate::settings::WorkerSettings;
use crate::settle::Settler;

/// Events are dealt with side by side: most of the time a scanner waits for the forge.
const SCAN_SLOTS: usize = 4;

/// What a worker does: one role or both.
pub struct App {
    /// The broker that work comes from.
    pub broker: Broker,
    /// The forges, for what operators see of them.
    pub forges: Forges,
    /// How it works.
    pub worker: WorkerSettings,
    /// How it performs tasks.
    pub settings: ExecuteSettings,
    /// Turns events into tasks, where it is asked to.
    pub scanner: Option<Scanner>,
    /// Looks at everything every so often, where events are dealt with.
    pub sweeper: Option<Sweeper>,
    /// Reads the scanner's settings again, where events are dealt with.
    pub watch: Option<SettingsWatch>,
    /// Tells people of messages that are dead, where there is a mail server.
    pub mailer: Option<Mailer>,
    /// Performs tasks, where it is asked to.
    pub executor: Option<Executor>,
}

/// The roles, and what they share.
struct Roles {
    scan: Option<Role<Scanner>>,
    sweep: Option<Sweeper>,
    watch: Option<SettingsWatch>,
    execute: Option<Role<Executor>>,
}

impl App {
    /// Works until the process is asked to end.
    pub async fn run(self) -> Exit {
        let lifecycle = match Lifecycle::install() {
            Ok(lifecycle) => lifecycle.within(self.worker.drain.patience()),
            Err(error) => return cannot_begin(&format!("cannot listen to signals: {error}")),
        };
        if let Err(error) = self.prepare().await {
            return cannot_begin(&error);
        }
        let (broker, address) = (self.broker.clone(), self.worker.service_listen);
        let option = "--service-listen (worker.service-listen)";
        let listener = match service::bind(address, "operator endpoints", option).await {
            Ok(listener) => listener,
            Err(error) => return cannot_begin(&error),
        };
        let mut registry = Registry::default();
        self.forges.register(&mut registry);
        let outbox = self.outbox();
        outbox.as_ref().inspect(|it| it.register(&mut registry));
        let forges = self.forges.clone();
        let readiness = Readiness::default();
        let sweeps = SweepMetrics::register(&mut registry);
        let (burials, teller) = Burials::new(self.mailer.clone());
        let metrics = Metrics::register(&mut registry);
        let Roles { scan, sweep, watch, execute } = self.roles(&metrics, &readiness, &burials);
        let scan = scan.as_ref().map(|it| Part::new(it.name, it.work(broker.clone(), &lifecycle)));
        let stopping = lifecycle.stopping();
        let sweep = sweep.as_ref().map(|it| Part::new("sweep", it.run(&sweeps, stopping)));
        let watch = watch.inspect(|it| it.register(&mut registry));
        let watch = watch.map(|it| Part::new("settings", it.run(stopping)));
        let execute = execute.as_ref().map(|it| Part::new(it.name, it.work(broker.clone(), &lifecycle)));
        let reports = outbox.as_ref().map(|it| Part::new("reports", it.run(&forges, stopping)));
        let teller = teller.map(|it| Part::new("notices", it.run(stopping)));
        // Operators can look for as long as tasks take to end.
        let operators = service::operator_endpoints(registry, readiness, lifecycle.stopping().clone());
        let parts = scan.into_iter().chain(sweep).chain(watch).chain(execute).chain(reports).chain(teller);
        service::serve_during(listener, operators, lifecycle.run(parts)).await
    }

    /// Says whether the broker fits what this worker does, and ends.
    pub async fn check_broker(&self) -> Exit {
        self.broker.print_check(&self.contracts()).await
    }

    fn contracts(&self) -> Vec<Contract> {
        let scan = self.scanner.iter().map(|_| contract::scan());
        scan.chain(self.executor.iter().map(|_| contract::execute(&self.settings))).collect()
    }

    /// Looks at everything once and ends.
    pub async fn sweep(self) -> Exit {
        match self.sweeper {
            Some(sweeper) => sweeper.command().await,
            None => Exit::NothingToDo,
        }
    }

    /// Takes one message, from the first of its queues that has one, deals with it and ends: events before tasks.
    pub async fn once(self) -> Exit {
        if let Err(error) = self.prepare().await {
            return cannot_begin(&error);
        }
        for contract in self.contracts() {
            match self.broker.is_fit(&contract).await {
                Ok(true) => {}
                Ok(false) => return Exit::Crashed,
                Err(error) => {
                    tracing::error!(error = %Chain(&error), "the broker cannot be looked at");
                    return Exit::Crashed;
                }
            }
        }
        match Box::pin(self.take_one()).await {
            Ok(exit) => exit,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the message was not dealt with");
                Exit::Crashed
            }
        }
    }

    async fn prepare(&self) -> Result<(), String> {
        match &self.executor {
            Some(executor) => executor.prepare().await,
            None => Ok(()),
        }
    }

    async fn take_one(self) -> Result<Exit, BrokerError> {
        let lifecycle = Lifecycle::install().unwrap_or_else(|_| Lifecycle::new());
        if let Some(outbox) = self.outbox() {
            outbox.send_once(&self.forges).await;
        }
        let session = self.broker.connect("once").await?;
        let (burials, teller) = Burials::new(self.mailer.clone());
        let metrics = Metrics::register(&mut Registry::default());
        let Roles { scan, sweep: _, watch: _, execute } =
            self.roles(&metrics, &Readiness::default(), &burials);
        let linked = Arc::new(Linked::new(session).await?);
        let mut exit = Exit::NothingToDo;
        if let Some(role) = &scan {
            exit = role.once(&linked, &lifecycle).await?;
        }
        if let (Exit::NothingToDo, Some(role)) = (exit, &execute) {
            exit = role.once(&linked, &lifecycle).await?;
        }
        linked.session.close().await;
        if let Some(teller) = teller {
            let over = CancellationToken::new();
            over.cancel();
            teller.run(&over).await;
        }
        Ok(exit)
    }

    /// What is kept for forges, where tasks are performed.
    fn outbox(&self) -> Option<Outbox> {
        self.executor.as_ref().map(|it| it.outbox.clone())
    }

    fn roles(self, metrics: &Metrics, readiness: &Readiness, burials: &Burials) -> Roles {
        let Self { worker, settings, scanner, sweeper, watch, executor, broker: _, forges: _, mailer: _ } =
            self;
        let times = settings.times;
        let settler = |role| Settler {
            attempts: worker.attempts,
            times,
            metrics: metrics.of(role),
            burials: burials.clone(),
        };
        let scan = scanner.map(|it| Role {
            name: "scan",
            contract: contract::scan(),
            queues: vec![Queue::Webhook],
            slots: SCAN_SLOTS,
            handler: Arc::new(it),
            settler: settler(metrics::Role::Scan),
            drain: worker.drain,
            ready: readiness.part(),
        });
        let execute = executor.inspect(|it| it.container.warn()).map(|it| Role {
            name: "execute",
            contract: contract::execute(&settings),
            queues: settings.queues.clone(),
            slots: settings.slots,
            handler: Arc::new(it),
            settler: settler(metrics::Role::Execute),
            drain: worker.drain,
            ready: readiness.part(),
        });
        Roles { scan, sweep: sweeper, watch, execute }
    }
}

fn cannot_begin(error: &str) -> Exit {
    tracing::error!(error, "cannot begin");
    Exit::Usage
}
