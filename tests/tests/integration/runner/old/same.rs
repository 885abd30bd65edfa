//! What is the same by both programs, and what is not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use super::Observed;

/// The same, but for what is explained here.
pub(super) fn same(name: &str, ours: &Observed, theirs: &Observed) -> Result<()> {
    // They end with 0 for a red job, too.
    let exit = match name {
        "red" | "reported" | "closed" | "moved" => 1,
        "no-image" => 3,
        "cancelled" => 130,
        _ => 0,
    };
    ensure!(ours.exit == Some(exit), "exit code");
    ensure!(ours.statuses == theirs.statuses, "statuses");
    // We look first whether the issue is there.
    let asked: Vec<_> = ours.forge.iter().filter(|it| !it.starts_with("GET /repos/REPO/issues?")).collect();
    ensure!(asked.iter().eq(&theirs.forge.iter().collect::<Vec<_>>()), "requests to the forge");
    // They write the context as code.
    let issues: Vec<_> = theirs.issues.iter().map(|it| it.replace('`', "")).collect();
    // Ours can be told from others.
    let unmarked: Vec<_> =
        ours.issues.iter().map(|it| it.split_once("\n<!-- ").map_or(it.as_str(), |(body, _)| body)).collect();
    ensure!(unmarked == issues, "issues");
    // They say the encoding of a text only where they guess that it is one.
    let with_encoding =
        |kind: &str| kind.replace("text/plain; charset=utf-8", "text/plain").replace("text/plain", TEXT);
    let objects: BTreeMap<_, _> =
        theirs.objects.iter().map(|(key, it)| (key.clone(), with_encoding(it))).collect();
    ensure!(ours.objects == objects, "objects");
    let puts = |all: &[String]| -> BTreeSet<String> {
        let puts = all.iter().filter(|it| it.starts_with("PUT ") && !it.contains(" log.CHUNK "));
        puts.map(|it| with_encoding(it)).collect()
    };
    ensure!(puts(&ours.bucket) == puts(&theirs.bucket), "uploads");
    for observed in [ours, theirs] {
        let at = |what: &str| observed.bucket.iter().position(|it| it.starts_with(what));
        let last = |what: &str| observed.bucket.iter().rposition(|it| it.starts_with(what));
        let whole = at("PUT log ");
        ensure!(
            at("PUT log.chunks ") < at("PUT log.html ") && at("PUT log.html ") < whole,
            "the page comes early"
        );
        ensure!(
            whole < at("DELETE log.chunks") && last("PUT log.chunks ") < whole,
            "readers are told at the end"
        );
        let files = observed.bucket.iter().enumerate().filter(|(_, it)| {
            it.starts_with("PUT ") && !it.starts_with("PUT log") && !it.starts_with("PUT index.html")
        });
        ensure!(files.map(|(at, _)| Some(at)).all(|it| it < whole), "files come before the whole log");
    }
    // Ours is complete before readers are told; they write the index after that.
    let at = |what: &str| ours.bucket.iter().position(|it| it.starts_with(what));
    ensure!(at("PUT index.html ") < at("DELETE log.chunks"), "the index comes before readers are told");
    let mut log = theirs.log.clone();
    for line in &mut log {
        // Python's word for nothing; and their chain of errors is a traceback.
        *line = line.replace("None@", "-@");
        if name == "no-image" && line.starts_with("RuntimeError: ") {
            ours.log.last().context("a last line")?.clone_into(line);
        }
    }
    ensure!(ours.log == log, "log");
    Ok(())
}

const TEXT: &str = "text/plain; charset=utf-8";
