//! The book in which commands write that they run.

use jiff::Timestamp;

/// One run of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) name: String,
    /// The process of its worker.
    pub(super) worker: i32,
    pub(super) begin: Timestamp,
    /// None where it did not get so far.
    pub(super) end: Option<Timestamp>,
}

/// The runs of a book, in the order in which they began, and the lines that are none: what merged pulls are worth.
pub(super) fn read(text: &str) -> (Vec<Run>, Vec<String>) {
    let (mut runs, mut others): (Vec<Run>, _) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [what @ ("begin" | "end"), name, worker, at] = words.as_slice() else {
            others.push(line.to_owned());
            continue;
        };
        let (Ok(worker), Some(at)) = (worker.parse(), instant(at)) else {
            others.push(line.to_owned());
            continue;
        };
        if *what == "begin" {
            runs.push(Run { name: (*name).to_owned(), worker, begin: at, end: None });
        } else if let Some(run) =
            runs.iter_mut().rev().find(|it| it.name == *name && it.worker == worker && it.end.is_none())
        {
            run.end = Some(at);
        }
    }
    (runs, others)
}

/// Seconds with a fraction, as `date +%s.%N` says it.
fn instant(text: &str) -> Option<Timestamp> {
    let (seconds, nanos) = text.split_once('.')?;
    Timestamp::new(seconds.parse().ok()?, nanos.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_apart_by_their_worker() {
        let text = "begin a 1 10.000000001\nmerged 0123\nbegin a 2 11.0\nend a 2 12.0\nbegin b 1 x\n";
        let (runs, others) = read(text);
        let ends: Vec<_> = runs.iter().map(|it| (it.worker, it.end.is_some())).collect();
        assert_eq!(ends, [(1, false), (2, true)]);
        assert_eq!(others, ["merged 0123", "begin b 1 x"]);
    }
}
