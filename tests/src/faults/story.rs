//! What the programs and the harness said about something that went wrong.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::id::TaskId;
use jiff::Timestamp;
use serde_json::Value;

use super::diary::Diary;

/// As many lines as somebody reads.
const LINES: usize = 200;

/// The lines about these words: the diary's, and those of the programs' logs in a folder that have one of the words, or are about the
/// same task as one of those; in the order of time.
pub(super) fn about(words: &[String], diary: &Diary, folder: &Path) -> Vec<String> {
    let mut lines = lines(folder);
    let has_word = |line: &str| words.iter().any(|it| line.contains(it.as_str()));
    let tasks: BTreeSet<_> =
        lines.iter().filter(|(line, _)| has_word(line)).filter_map(|(_, event)| task(event)).collect();
    lines.retain(|(line, event)| has_word(line) || task(event).is_some_and(|it| tasks.contains(&it)));
    lines.sort_by_key(|(_, event)| event["timestamp"].as_str().map(str::to_owned));
    let said = lines.into_iter().map(|(line, _)| line);
    diary.about(words).into_iter().chain(said).take(LINES).collect()
}

/// The tasks whose messages were settled, and when.
pub(super) fn settled(folder: &Path) -> Vec<(TaskId, Timestamp)> {
    let settled = |event: &Value| {
        let at = event["timestamp"].as_str()?.parse().ok()?;
        (event["message"] == "settled").then_some((TaskId::new(&task(event)?).ok()?, at))
    };
    lines(folder).iter().filter_map(|(_, event)| settled(event)).collect()
}

/// What programs said: line by line with the name of the program, and what it means.
fn lines(folder: &Path) -> Vec<(String, Value)> {
    let logs = fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path());
    let mut lines = Vec::new();
    for log in logs.filter(|it| it.extension().is_some_and(|it| it == "log")) {
        let name = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        lines.extend(
            text.lines().filter_map(|it| Some((format!("{name} {it}"), serde_json::from_str(it).ok()?))),
        );
    }
    lines
}

fn task(event: &Value) -> Option<String> {
    event["span"]["task.id"].as_str().or_else(|| event["task.id"].as_str()).map(str::to_owned)
}
