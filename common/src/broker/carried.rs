//! What a message takes along when we publish it again: as the next attempt, to the owner of a claim, to `dead`, or from there.
//!
//! All that it had stays, also what a program of another version or an older one says of it and we do not know.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::message::{AWAITED, Header, as_text, put};
use super::{Burial, Headers};

/// What became of earlier attempts, as lines for people.
const HISTORY: &str = "x-flotilla-history";
/// Entries of a history that are kept, the newest.
const ENTRIES: usize = 10;
/// Characters of a reason in a history.
const ENTRY: usize = 200;

/// Headers that stay behind. The first two would have the broker put copies into other queues; the next are the broker's own notes
/// of where a message expired, by which it drops what it takes for a circle; the last are said anew or do not hold any more.
const LEFT: [&str; 9] = [
    "CC",
    "BCC",
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
];

/// A message on its way to another place.
pub(super) struct Carried {
    properties: BasicProperties,
    table: FieldTable,
}

impl Carried {
    /// What it had. Left out is what would keep it from getting or staying there: another user's `user_id` (the broker refuses it and
    /// closes the channel), an expiration, [`LEFT`], how it was in `dead`, and what means nothing without a living sender.
    pub(super) fn new(original: &BasicProperties, headers: &Headers) -> Self {
        let mut table = FieldTable::default();
        let had = original.headers().iter().flat_map(FieldTable::inner);
        let stays = |name: &str| !LEFT.contains(&name) && !Burial::HEADERS.contains(&name) && name != AWAITED;
        for (name, value) in had.filter(|(name, _)| stays(name.as_str())) {
            table.insert(name.clone(), value.clone());
        }
        headers.write(&mut table);
        let kept =
            BasicProperties::default().with_delivery_mode(2).with_message_id(headers.id.to_string().into());
        let kept = with(kept, original.content_type().clone(), BasicProperties::with_content_type);
        let kept = with(kept, original.content_encoding().clone(), BasicProperties::with_content_encoding);
        let kept = with(kept, original.correlation_id().clone(), BasicProperties::with_correlation_id);
        let kept = with(kept, original.app_id().clone(), BasicProperties::with_app_id);
        let kept = with(kept, original.kind().clone(), BasicProperties::with_type);
        let kept = with(kept, *original.timestamp(), BasicProperties::with_timestamp);
        let kept = with(kept, *original.priority(), BasicProperties::with_priority);
        Self { properties: kept, table }
    }

    /// Adds a header.
    pub(super) fn put(mut self, name: &'static str, value: impl Into<Header>) -> Self {
        put(&mut self.table, name, value);
        self
    }

    /// Adds a line to its history, where `before` says what was tried and `reason` what came of it.
    pub(super) fn remember(mut self, before: &str, reason: &str) -> Self {
        let mut entries = lines(&self.table);
        entries.push(format!("{before}: {}", reason.chars().take(ENTRY).collect::<String>()));
        let newest = entries.split_off(entries.len().saturating_sub(ENTRIES));
        let newest: Vec<_> = newest.into_iter().map(|it| AMQPValue::LongString(it.into())).collect();
        self.table.insert(HISTORY.into(), AMQPValue::FieldArray(newest.into()));
        self
    }

    pub(super) fn properties(self) -> BasicProperties {
        self.properties.with_headers(self.table)
    }
}

/// What became of earlier attempts at a message, the oldest first.
pub(super) fn history(properties: &BasicProperties) -> Vec<String> {
    properties.headers().as_ref().map(lines).unwrap_or_default()
}

fn lines(table: &FieldTable) -> Vec<String> {
    match table.inner().get(HISTORY) {
        Some(AMQPValue::FieldArray(entries)) => entries.as_slice().iter().filter_map(as_text).collect(),
        _ => Vec::new(),
    }
}

fn with<T>(
    properties: BasicProperties,
    value: Option<T>,
    set: impl FnOnce(BasicProperties, T) -> BasicProperties,
) -> BasicProperties {
    match value {
        Some(value) => set(properties, value),
        None => properties,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::id::Attempt;

    /// With every property that there is.
    pub(in super::super) fn foreign() -> BasicProperties {
        let mut table = FieldTable::default();
        for name in ["CC", "BCC", "x-death", "x-theirs", "x-flotilla-of-tomorrow", "x-flotilla-awaited"] {
            table.insert(name.into(), AMQPValue::LongString("public".into()));
        }
        BasicProperties::default()
            .with_content_type("text/plain".into())
            .with_content_encoding("gzip".into())
            .with_headers(table)
            .with_delivery_mode(1)
            .with_priority(5)
            .with_correlation_id("correlation".into())
            .with_reply_to("reply".into())
            .with_expiration("60000".into())
            .with_message_id("not an id of ours".into())
            .with_timestamp(7)
            .with_type("kind".into())
            .with_user_id("somebody".into())
            .with_app_id("app".into())
            .with_cluster_id("cluster".into())
    }

    #[test]
    fn what_describes_a_message_stays_with_it() {
        let (original, headers) = (foreign(), Headers { attempt: Attempt::FIRST.next(), ..Headers::fresh() });
        let kept = Carried::new(&original, &headers).properties();
        assert_eq!(kept.content_type(), original.content_type());
        assert_eq!(kept.content_encoding(), original.content_encoding());
        assert_eq!(kept.correlation_id(), original.correlation_id());
        assert_eq!(kept.timestamp(), original.timestamp());
        assert_eq!(kept.app_id(), original.app_id());
        assert_eq!(kept.kind(), original.kind());
        assert_eq!(kept.priority(), original.priority());
        assert_eq!(kept.message_id().as_ref().unwrap().as_str(), headers.id.as_str());
        assert_eq!(*kept.delivery_mode(), Some(2));
        let table = kept.headers().as_ref().unwrap().inner();
        for unknown in ["x-theirs", "x-flotilla-of-tomorrow"] {
            assert_eq!(table.get(unknown), Some(&AMQPValue::LongString("public".into())));
        }
        assert_eq!(Headers::read(&kept, b"{}"), headers);
    }

    #[test]
    fn what_would_lead_it_astray_does_not() {
        let kept = Carried::new(&foreign(), &Headers::fresh()).properties();
        assert_eq!(*kept.user_id(), None, "the broker takes only our own");
        assert_eq!(*kept.expiration(), None);
        assert_eq!((kept.reply_to(), kept.cluster_id()), (&None, &None));
        let table = kept.headers().as_ref().unwrap().inner();
        for left in ["CC", "BCC", "x-death", AWAITED] {
            assert!(!table.contains_key(left), "{table:?}");
        }
    }

    #[test]
    fn a_history_is_bounded_and_keeps_the_newest() {
        let mut properties = BasicProperties::default();
        for number in 1..=12 {
            let carried = Carried::new(&properties, &Headers::fresh());
            properties = carried.remember(&format!("attempt {number}"), &"ü".repeat(500)).properties();
        }
        let history = history(&properties);
        assert_eq!(history.len(), ENTRIES);
        assert!(history[0].starts_with("attempt 3: ü") && history[9].starts_with("attempt 12: ü"));
        assert_eq!(history[9].chars().count(), "attempt 12: ".len() + ENTRY);
    }
}
