//! The log of what a forge sent to a webhook: which events never got through, and another try for them (GitHub's "Repository
//! webhook deliveries"; Forgejo and Gitea have no such route).

use std::collections::HashSet;

use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::client::Forge;
use super::error::ForgeError;
use super::pages::next_parameter;
use super::types::null_is_default;
use crate::id::RepoName;

/// A hundred deliveries each: whoever looks every few minutes never sees as many.
const MAX_PAGES: usize = 50;

/// One try of a forge to send an event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Delivery {
    /// Of this try.
    pub id: u64,
    /// Of the event: all tries of it have the same (`X-GitHub-Delivery`).
    pub guid: String,
    /// When.
    #[serde(deserialize_with = "timestamp")]
    pub delivered_at: Timestamp,
    /// What the receiver answered; 0 where it did not.
    #[serde(default, deserialize_with = "null_is_default")]
    pub status_code: u16,
    /// `X-GitHub-Event`.
    pub event: String,
    /// Whether it was asked for.
    pub redelivery: bool,
}

impl Delivery {
    /// Whether the receiver knows the event: 501 says that it does not want it.
    fn is_settled(&self) -> bool {
        matches!(self.status_code, 200..=299 | 501)
    }
}

impl Forge {
    /// The events since then that no receiver took, newest first: the newest try of each. Those beyond the first 5000 tries are left
    /// out, with a word in the log.
    pub async fn failed_deliveries(
        &self,
        repo: &RepoName,
        hook: u64,
        since: Timestamp,
    ) -> Result<Vec<Delivery>, ForgeError> {
        let hook = hook.to_string();
        let mut read = self.json(vec!["repos", repo.owner(), repo.name(), "hooks", &hook, "deliveries"]);
        let first = ("per_page", "100".to_owned());
        read.query = vec![first.clone()];
        let mut all: Vec<Delivery> = Vec::new();
        for _ in 0..MAX_PAGES {
            let answer = self.api().read(&read).await?;
            let page: Vec<Delivery> = answer.json()?;
            let known = page.iter().position(|it| it.delivered_at < since);
            all.extend(page.into_iter().take(known.unwrap_or(usize::MAX)));
            let Some(cursor) = next_parameter(&answer.headers, "cursor").filter(|_| known.is_none()) else {
                return Ok(failed(all));
            };
            read.query = vec![first.clone(), ("cursor", cursor)];
        }
        tracing::warn!(repo.name = %repo, tries = all.len(), "a webhook's log is too long: its older part is not looked at");
        Ok(failed(all))
    }

    /// Has a forge send an event again, to the webhook of today. Twice is twice.
    pub async fn redeliver(&self, repo: &RepoName, hook: u64, delivery: u64) -> Result<(), ForgeError> {
        let (hook, delivery) = (hook.to_string(), delivery.to_string());
        if self.says_only() {
            tracing::info!(forge = %self.name(), %repo, delivery, "would ask for an event again");
            return Ok(());
        }
        let path = ["repos", repo.owner(), repo.name(), "hooks", &hook, "deliveries", &delivery, "attempts"];
        self.api().post(&path, &serde_json::json!({})).await.map(drop)
    }
}

fn timestamp<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// The newest try of each event that no try settled.
fn failed(all: Vec<Delivery>) -> Vec<Delivery> {
    let mut done: HashSet<String> =
        all.iter().filter(|it| it.is_settled()).map(|it| it.guid.clone()).collect();
    all.into_iter().filter(|it| done.insert(it.guid.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_failed_when_no_try_of_it_was_taken() {
        let mut id = 100;
        let log = [
            ("again", 503, true),
            ("taken", 200, true),
            ("unwanted", 501, false),
            ("silent", 0, false),
            ("again", 503, false),
            ("taken", 503, false),
            ("refused", 403, false),
            ("accepted", 202, false),
        ];
        let log = log.map(|(guid, status, redelivery)| {
            id -= 1;
            let at = "2019-06-03T00:57:16Z";
            let text = json!({
                "id": id, "guid": guid, "delivered_at": at, "redelivery": redelivery, "duration": 0.27, "status": "x",
                "status_code": status, "event": "issues", "action": "opened", "installation_id": null, "repository_id": 1
            });
            serde_json::from_value(text).unwrap()
        });
        let failed: Vec<_> = failed(log.to_vec()).into_iter().map(|it| (it.guid, it.id)).collect();
        assert_eq!(failed, [("again".to_owned(), 99), ("silent".to_owned(), 96), ("refused".to_owned(), 93)]);
    }
}
