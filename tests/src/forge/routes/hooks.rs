//! The log of what was sent to a webhook.

use std::sync::Arc;

use common::id::RepoName;
use serde_json::{Value, json};

use super::super::fake::Shared;
use super::super::fault::Reply;
use super::super::hooks::{DeliveryRecord, send};
use super::super::server::Call;
use super::not_found;

const PER_PAGE: usize = 30;
const MAX_PER_PAGE: usize = 100;

/// `GET repos/O/R/hooks/ID/deliveries`: newest first, in pages that are found by a cursor.
pub(super) fn deliveries(shared: &Shared, repo: Option<&RepoName>, hook: &str, call: &Call) -> Reply {
    let Some((name, hook)) = place(repo, hook) else { return not_found() };
    let state = shared.state();
    let Some(log) = state.hooks.get(&(name.clone(), hook)) else { return not_found() };
    let length =
        call.parameter("per_page").and_then(|it| it.parse().ok()).unwrap_or(PER_PAGE).clamp(1, MAX_PER_PAGE);
    // A cursor is where a page begins: the first delivery that is not older than it is not on the page.
    let before =
        call.parameter("cursor").and_then(|it| it.strip_prefix("v1_")?.parse().ok()).unwrap_or(u64::MAX);
    let older: Vec<_> = log.deliveries.iter().rev().filter(|it| it.id < before).collect();
    let page: Vec<_> = older.iter().take(length).map(|it| show(it)).collect();
    let reply = Reply::json(200, &Value::from(page));
    match older.get(length - 1) {
        Some(last) if older.len() > length => {
            // GitHub gives the repository by its number here.
            let url = format!("{}/repositories/1/hooks/{hook}/deliveries", shared.url);
            let link = format!("<{url}?per_page={length}&cursor=v1_{}>; rel=\"next\"", last.id);
            reply.with_header("link", &link)
        }
        _ => reply,
    }
}

/// `POST repos/O/R/hooks/ID/deliveries/ID/attempts`: it is sent again, under its old id.
pub(super) fn redeliver(shared: &Arc<Shared>, repo: Option<&RepoName>, hook: &str, delivery: &str) -> Reply {
    let Some((name, hook)) = place(repo, hook) else { return not_found() };
    let place = (name.clone(), hook);
    let found = {
        let state = shared.state();
        let log = state.hooks.get(&place);
        log.and_then(|it| {
            it.deliveries.iter().find(|it| it.id.to_string() == delivery).map(|it| it.delivery.clone())
        })
    };
    let Some(found) = found else { return not_found() };
    let shared = Arc::clone(shared);
    tokio::spawn(async move { send(&shared, &place, &found, true).await });
    Reply::json(202, &json!({}))
}

fn place<'a>(repo: Option<&'a RepoName>, hook: &str) -> Option<(&'a RepoName, u64)> {
    Some((repo?, hook.parse().ok()?))
}

fn show(record: &DeliveryRecord) -> Value {
    let DeliveryRecord { id, delivery, at, status, redelivery } = record;
    let payload: Value = serde_json::from_str(&delivery.payload).unwrap_or_default();
    let words = match status {
        0 => "failed to connect to host",
        200..=299 => "OK",
        _ => "Invalid HTTP Response",
    };
    json!({
        "id": id, "guid": delivery.id.as_str(), "delivered_at": at.to_string(), "redelivery": redelivery, "duration": 0.03,
        "status": words, "status_code": status, "event": delivery.event.as_str(), "action": payload["action"],
        "installation_id": null, "repository_id": 1, "throttled_at": null,
    })
}
