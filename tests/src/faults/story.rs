//! What the programs and the harness said about something that went wrong.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::diary::Diary;

/// As many lines as somebody reads.
const LINES: usize = 200;

/// The lines about these words: the diary's, and those of the programs' logs in a folder that have one of the words, or are about the
/// same task as one of those; in the order of time.
pub(super) fn about(words: &[String], diary: &Diary, folder: &Path) -> Vec<String> {
    let logs = fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path());
    let logs = logs.filter(|it| it.extension().is_some_and(|it| it == "log"));
    let mut lines: Vec<(String, Value)> = Vec::new();
    for log in logs {
        let name = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        lines.extend(
            text.lines().filter_map(|it| Some((format!("{name} {it}"), serde_json::from_str(it).ok()?))),
        );
    }
    let has_word = |line: &str| words.iter().any(|it| line.contains(it.as_str()));
    let tasks: BTreeSet<_> =
        lines.iter().filter(|(line, _)| has_word(line)).filter_map(|(_, event)| task(event)).collect();
    lines.retain(|(line, event)| has_word(line) || task(event).is_some_and(|it| tasks.contains(&it)));
    lines.sort_by_key(|(_, event)| event["timestamp"].as_str().map(str::to_owned));
    let said = lines.into_iter().map(|(line, _)| line);
    diary.about(words).into_iter().chain(said).take(LINES).collect()
}

fn task(event: &Value) -> Option<String> {
    event["span"]["task.id"].as_str().or_else(|| event["task.id"].as_str()).map(str::to_owned)
}
