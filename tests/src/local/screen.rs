//! What a person sees: one line for each step, with its time; colours where they are wanted (`NO_COLOR`, no terminal: none).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{Stdout, Write};

use anstream::AutoStream;
use common::Clock;
use jiff::{SignedDuration, Timestamp};
use owo_colors::{OwoColorize, Style};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// When.
    pub(super) at: Timestamp,
    /// To what.
    pub(super) label: &'static str,
    /// In words.
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// How a step is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
}

/// The standard output. One that is closed is nobody's problem: what was begun has to be taken down all the same.
pub(super) struct Screen {
    clock: Clock,
    began: Cell<Timestamp>,
    out: RefCell<AutoStream<Stdout>>,
}

impl Screen {
    pub(super) fn new() -> Self {
        let clock = Clock::system();
        Self { began: Cell::new(clock.now()), clock, out: RefCell::new(anstream::stdout()) }
    }

    /// Begins a part of the story; its times begin at zero.
    pub(super) fn begin(&self, title: &str) {
        self.began.set(self.clock.now());
        self.line(format_args!("\n{}\n", title.bold()));
    }

    pub(super) fn step(&self, step: &Step) {
        let Step { at, label, text, tone } = step;
        let seconds = format!("{:7.2} s", since(self.began.get(), *at).as_secs_f64());
        let label = format!("{label:<11}");
        self.line(format_args!(
            "{}  {}  {}",
            seconds.dimmed(),
            label.style(tone.label()),
            text.style(tone.text())
        ));
    }

    /// A step that happens now.
    pub(super) fn now(&self, label: &'static str, text: String, tone: Tone) {
        self.step(&Step { at: self.clock.now(), label, text, tone });
    }

    /// A line of a job's output.
    pub(super) fn output(&self, text: &str) {
        self.line(format_args!("{:24}{} {text}", "", "│".dimmed()));
    }

    /// An address or the like.
    pub(super) fn fact(&self, label: &str, text: &str) {
        self.line(format_args!("  {}  {text}", format!("{label:<15}").style(Tone::Plain.label())));
    }

    /// Something to paste, and what it does.
    pub(super) fn command(&self, does: &str, command: &str) {
        self.line(format_args!("  {}\n  {command}\n", format!("# {does}").dimmed()));
    }

    /// What it comes to.
    pub(super) fn result(&self, label: &str, text: &str, tone: Tone) {
        self.line(format_args!("{}  {text}", format!("{label:<9}").style(tone.label()).bold()));
    }

    pub(super) fn blank(&self) {
        self.line(format_args!(""));
    }

    fn line(&self, text: fmt::Arguments<'_>) {
        let mut out = self.out.borrow_mut();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

/// Tells on the standard error why there is no more to see.
pub(super) fn complain(why: &str) {
    let _ = writeln!(anstream::stderr(), "\n{} {why}", "run-local:".red().bold());
}

impl Tone {
    fn label(self) -> Style {
        match self {
            Self::Plain => Style::new().cyan(),
            Self::Good => Style::new().green().bold(),
            Self::Bad => Style::new().red().bold(),
        }
    }

    fn text(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => Style::new().green(),
            Self::Bad => Style::new().red(),
        }
    }
}

/// Clocks of several programs: never before the beginning.
fn since(began: Timestamp, at: Timestamp) -> SignedDuration {
    at.duration_since(began).max(SignedDuration::ZERO)
}

/// A line as a terminal can be shown it: what comes out of a container may hold anything.
pub(super) fn plain(text: &str) -> String {
    let text = anstream::adapter::strip_str(text).to_string();
    text.chars().filter(|it| !it.is_control() || *it == '\t').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_stripped_of_what_moves_the_cursor() {
        assert_eq!(plain("\x1b[2J\x1b[31mred\x1b[0m\ta\rb\x07\u{9b}c"), "red\tabc");
    }
}
