//! The logs of jobs, where they are kept, and whether one is as it must be: complete, and of one run.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::forge::StatusRecord;

/// How often a job prints, and how many lines.
pub(super) const PARTS: u32 = 4;
pub(super) const LINES: u32 = 100;

/// A bucket's folder, or that of a web server.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    /// Without a slash at the end.
    pub(super) url: String,
    pub(super) folder: PathBuf,
}

/// What is in the folder of a job's log.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    pub(super) names: Vec<String>,
    pub(super) log: Option<String>,
}

impl Shelf {
    /// What a status points to.
    pub(super) fn of(&self, status: &StatusRecord) -> Stored {
        let Some(folder) = self.folder_of(status) else { return Stored::default() };
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let names = entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
        let log = fs::read(folder.join("log")).ok().map(|it| String::from_utf8_lossy(&it).into_owned());
        Stored { names, log }
    }

    fn folder_of(&self, status: &StatusRecord) -> Option<PathBuf> {
        let path = status.target_url.as_deref()?.strip_prefix(&self.url)?.strip_suffix("/log.html")?;
        let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
        Some(self.folder.join(path.trim_start_matches('/')))
    }
}

impl Stored {
    /// What is wrong with the log of a verdict on this commit, byte for byte.
    pub(super) fn wrong(&self, sha: &str, passes: bool) -> Option<String> {
        let Some(log) = &self.log else { return Some("there is no log".to_owned()) };
        let marks: Vec<_> = log.lines().filter_map(|it| it.strip_prefix("ran ")).collect();
        let [mark] = marks.as_slice() else { return Some(format!("its log has {} runs", marks.len())) };
        let Some(run) = mark.strip_prefix(sha).and_then(|it| it.strip_prefix(' ')) else {
            return Some(format!("its log is that of {mark}"));
        };
        let printed = printed(sha, run);
        let at = log.find(&printed[..printed.find('\n').unwrap_or_default()]).unwrap_or_default();
        let Some(rest) = log[at..].strip_prefix(&printed) else {
            let same = log[at..].bytes().zip(printed.bytes()).take_while(|(a, b)| a == b).count();
            let found = log[at..].bytes().skip(same).take(80).collect::<Vec<_>>();
            let found = String::from_utf8_lossy(&found);
            return Some(format!("its log differs from what was printed after {same} bytes: {found:?}"));
        };
        if !rest.ends_with(trailer(passes)) {
            return Some(format!("its log ends with {rest:?}"));
        }
        let chunks: Vec<_> =
            self.names.iter().filter(|it| it.starts_with("log.") && *it != "log.html").collect();
        (!chunks.is_empty()).then(|| format!("beside its whole log are {chunks:?}"))
    }
}

const fn trailer(passes: bool) -> &'static str {
    if passes { "\nJob ran successfully.  :)\n" } else { "\n*** Failure: Container exited with code 1\n" }
}

/// What the tests of a commit print in a run, to the last byte.
pub(super) fn printed(sha: &str, run: &str) -> String {
    let mut text = format!("ran {sha} {run}\n");
    for part in 1..=PARTS {
        for line in 1..=LINES {
            let _ = writeln!(text, "{run} part {part} line {line}");
        }
    }
    text + &format!("done {run}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(log: &str) -> Stored {
        Stored { names: vec!["log".into(), "log.html".into()], log: Some(log.to_owned()) }
    }

    #[test]
    fn a_log_is_complete_or_something_is_wrong_with_it() {
        let whole = format!("title\n\n{}\nJob ran successfully.  :)\n", printed("0123", "r1"));
        assert_eq!(stored(&whole).wrong("0123", true), None);
        let wrong = |log: &str, sha: &str, passes: bool| stored(log).wrong(sha, passes).unwrap_or_default();
        assert_eq!(Stored::default().wrong("0123", true).as_deref(), Some("there is no log"));
        assert!(wrong(&whole, "0123", false).starts_with("its log ends with"), "another end");
        assert_eq!(wrong(&whole, "4567", true), "its log is that of 0123 r1");
        assert_eq!(wrong("title\n", "0123", true), "its log has 0 runs");
        assert_eq!(wrong(&format!("{whole}ran 0123 r2\n"), "0123", true), "its log has 2 runs");
        let gap = whole.replacen("r1 part 2 line 7\n", "", 1);
        assert!(wrong(&gap, "0123", true).starts_with("its log differs"), "a line is missing");
        let twice = whole.replacen("r1 part 2 line 7\n", "r1 part 2 line 7\nr1 part 2 line 7\n", 1);
        assert!(wrong(&twice, "0123", true).starts_with("its log differs"), "a line is there twice");
        let cut = &whole[..whole.len() - 3];
        assert!(wrong(cut, "0123", true).starts_with("its log ends with"), "the end is missing");
        let mut chunks = stored(&whole);
        chunks.names.push("log.0-17".into());
        assert!(chunks.wrong("0123", true).unwrap_or_default().starts_with("beside its whole log"));
    }
}
