//! The parts of the process.

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, post};
use common::broker::{Broker, Contract, Sessions};
use common::lifecycle::{Exit, Lifecycle, Part};
use common::queue::Queue;
use common::service::{self, Readiness};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::body::Budget;
use crate::inspect::{Inspection, inspect};
use crate::metrics::{LinkGauges, Metrics};
use crate::outlet::outlet;
use crate::receive::{Receiver, receive};
use crate::settings::WebhookSettings;
use crate::signature::Keys;

/// What the receiver needs of a broker.
#[must_use]
pub fn contract() -> Contract {
    Contract {
        role: "webhook",
        queues: vec![Queue::Webhook],
        reads: Vec::new(),
        rooms: Vec::new(),
        claims: false,
        locks: false,
        holds: None,
    }
}

/// Receives events until the process is asked to end; then requests that have begun are answered first.
pub async fn run(broker: Broker, settings: WebhookSettings) -> Exit {
    let (lifecycle, front, back) = match open(&settings).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(error, "cannot begin");
            return Exit::Usage;
        }
    };
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let readiness = Readiness::default();
    let (keeper, outlet) = outlet(readiness.part(), LinkGauges::register(&mut registry));
    let receiver = Receiver {
        keys: Keys::new(&settings.secrets, settings.sha1),
        budget: Budget::default(),
        outlet,
        confirm: settings.confirm,
        metrics,
    };
    let mut router = Router::new().route("/", post(receive)).with_state(Arc::new(receiver));
    if let Some(token) = &settings.inspect_token {
        let inspection = Inspection::new(token, broker.clone(), &mut registry);
        router = router.route("/inspect-queue", any(inspect).with_state(Arc::new(inspection)));
    }
    // The connection outlives the last request that needs it.
    let answered = CancellationToken::new();
    let receiving = async {
        service::serve(front, router, lifecycle.stopping()).await;
        answered.cancel();
    };
    let operators = service::operator_endpoints(registry, readiness, lifecycle.stopping().clone());
    let working = lifecycle.run([
        Part::new("receiver", receiving),
        Part::new("broker", async {
            broker.fit(&contract(), &answered, || {}, tokio::time::sleep).await;
            keeper.keep(Sessions::new(broker.clone(), "webhook", answered.clone())).await;
        }),
    ]);
    service::serve_during(back, operators, working).await
}

async fn open(settings: &WebhookSettings) -> Result<(Lifecycle, TcpListener, TcpListener), String> {
    let lifecycle = Lifecycle::install().map_err(|it| format!("cannot listen to signals: {it}"))?;
    let front = service::bind(settings.listen, "events", "--listen (webhook.listen)").await?;
    let option = "--service-listen (webhook.service-listen)";
    let back = service::bind(settings.service_listen, "operator endpoints", option).await?;
    Ok((lifecycle, front, back))
}
