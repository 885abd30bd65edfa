//! What was found, a row for each thing that was looked at.

use std::fmt::{self, Display};
use std::io::{Write, stdout};
use std::time::Duration;

use super::super::listing::OneLine;
use super::super::{Address, Broker};
use super::greeting::Greeting;
use super::publishing::Stored;

/// How a thing fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// As it should be.
    Good,
    /// Nobody can tell from here: for an operator to look at.
    Look,
    /// Not now; it will pass by itself.
    Wait,
    /// Somebody has to mend it.
    Wrong,
}

impl Fit {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Look => "look",
            Self::Wait => "WAIT",
            Self::Wrong => "WRONG",
        }
    }
}

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Of what.
    pub what: String,
    /// How it fits.
    pub fit: Fit,
    /// In words, the broker's among them.
    pub found: String,
}

impl Row {
    pub(super) fn new(what: impl Into<String>, fit: Fit, found: String) -> Self {
        Self { what: what.into(), fit, found }
    }

    /// What is worst counts.
    pub(super) fn fit(&mut self, fit: Fit) {
        self.fit = self.fit.max(fit);
    }

    pub(super) fn say(&mut self, words: impl AsRef<str>) {
        if !self.found.is_empty() {
            self.found.push_str("; ");
        }
        self.found.push_str(words.as_ref());
    }
}

/// What a role has found.
#[derive(Clone, Debug)]
pub struct Report {
    role: &'static str,
    rows: Vec<Row>,
}

const ALARM: &str = "alarm";
const CONNECTION: &str = "connection";

impl Report {
    pub(super) const fn new(role: &'static str) -> Self {
        Self { role, rows: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// All that was found.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether the role could work now.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.rows.iter().all(|it| it.fit <= Fit::Look)
    }

    /// Whether something must be mended first.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.rows.iter().any(|it| it.fit == Fit::Wrong)
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.rows.iter().any(|it| it.fit == Fit::Wait)
    }

    pub(super) fn server(&mut self, broker: &Broker, greeting: Option<Greeting>) {
        let Greeting { product, version } = greeting.unwrap_or_default();
        let (product, version) = (product.as_deref().unwrap_or("unknown"), version.unwrap_or_default());
        self.add(Row::new("broker", Fit::Good, format!("{product} {version}").trim_end().to_owned()));
        let how = match broker.address {
            Address::Localhost => "plain AMQP",
            Address::Tls { .. } => "TLS",
        };
        let found = format!("{how} to {}, virtual host {}", broker.address, broker.vhost);
        self.add(Row::new(CONNECTION, Fit::Good, found));
    }

    /// Who we are there, as the broker says.
    pub(super) fn user(&mut self, name: Option<&str>) {
        if let Some(row) = self.rows.iter_mut().find(|it| it.what == CONNECTION) {
            row.say(name.map_or_else(|| "user not told".to_owned(), |it| format!("user {it}")));
        }
    }

    pub(super) fn blocked(&mut self, reason: &str) {
        let said = format!("{reason}: the broker takes no messages until that is over");
        self.add(Row::new(ALARM, Fit::Wait, said));
    }

    pub(super) fn confirmed(&mut self, stored: Stored, took: Duration) {
        let millis = took.as_secs_f64() * 1000.0;
        let (fit, said) = match stored {
            Stored::Yes => (Fit::Good, format!("stored and confirmed in {millis:.1} ms")),
            Stored::Nowhere => {
                let why = "this credential may make no queue to try that with";
                (Fit::Good, format!("confirmed in {millis:.1} ms, but not stored: {why}"))
            }
            Stored::No => (Fit::Wrong, "the broker could not store a message (nack)".to_owned()),
        };
        self.add(Row::new("publish", fit, said));
        self.add(Row::new(ALARM, Fit::Good, "none".to_owned()));
    }

    /// AMQP does not tell how long a delivery may be held.
    pub(super) fn deadline(&mut self, holds: Option<Duration>) {
        let Some(holds) = holds else { return };
        let millis = holds.as_millis();
        let said = format!(
            "not told over AMQP: `consumer_timeout = {millis}` or more in rabbitmq.conf; \
             rabbitmqctl eval 'application:get_env(rabbit, consumer_timeout).' shows it"
        );
        self.add(Row::new("ack deadline", Fit::Look, said));
    }

    /// A line in the log for each thing that is not as it should be, or one that all is.
    pub(super) fn log(&self) {
        let role = self.role;
        for Row { what, fit, found } in &self.rows {
            match fit {
                Fit::Wrong => tracing::error!(role, what, found, "the broker does not fit"),
                Fit::Wait => tracing::warn!(role, what, found, "the broker does not fit now"),
                Fit::Good | Fit::Look => tracing::debug!(role, what, found, "looked at the broker"),
            }
        }
        let broker = self.rows.first().map_or("", |it| it.found.as_str());
        if self.is_wrong() {
            tracing::error!(role, "no work is taken until the broker fits; --check-broker shows all of it");
        } else {
            tracing::info!(role, broker, "the broker fits");
        }
    }

    /// Prints it. Somebody who has seen enough is no error.
    pub(super) fn print(&self) {
        let _ = stdout().lock().write_all(self.to_string().as_bytes());
    }
}

/// A table.
impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.fits() { "fits" } else { "does not fit" };
        writeln!(f, "{}: the broker {word}", self.role)?;
        let width = self.rows.iter().map(|it| it.what.chars().count()).max().unwrap_or_default();
        for Row { what, fit, found } in &self.rows {
            writeln!(f, "  {:<5}  {what:<width$}  {}", fit.word(), OneLine(found))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_thing_counts() {
        let mut report = Report::new("test");
        report.add(Row::new("a", Fit::Good, "x".to_owned()));
        report.deadline(Some(Duration::from_mins(145)));
        assert!(report.fits() && !report.is_wrong());
        report.blocked("low on memory");
        assert!(!report.fits() && !report.is_wrong());
        let mut row = Row::new("queue public", Fit::Wrong, "one".to_owned());
        row.fit(Fit::Look);
        row.say("two");
        report.add(row);
        assert!(report.is_wrong());
        let shown = report.to_string();
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[0], "test: the broker does not fit");
        assert_eq!(lines[1], "  ok     a             x");
        assert!(
            lines[2].starts_with("  look   ack deadline  not told over AMQP: `consumer_timeout = 8700000`")
        );
        assert_eq!(lines[4], "  WRONG  queue public  one; two");
    }
}
