//! What the documents say of the configuration is what the code reads.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use common::Clock;
use common::config::{BrokerArgs, Environment, Forges, Reader, Source, logs};
use common::queue::QueueNames;
use run_queue::execute::{ContainerSettings, ExecuteArgs, MailSettings, SecretSettings, StatisticsSettings};
use run_queue::scan::ScanArgs;
use run_queue::settings::WorkerArgs;
use webhook::WebhookArgs;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIGURATION.md");

/// Something of each kind of which there may be several.
const SAMPLE: &str = "[forge.NAME]\ndriver = \"github\"\n[container.secrets]\nNAME = []\n\
                      [secrets.external]\nNAME = \"/nowhere\"\n[paths]\nNAME = \"/nowhere\"\n[secrets.inline]\nNAME = \"x\"\n[secrets.allow.NAME]\n\
                      [scan.extra-secrets]\n\"owner/name\" = []\n[scan.sweep.hooks]\n\"owner/name\" = 1\n\
                      [scan.issue-items.NAME]\nrepositories = []\ncontext = \"x\"\ncommand = []\n";

/// Every key that a program asks for, and what it expects.
fn read_by_the_code() -> Result<BTreeMap<String, String>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("flotilla.toml");
    std::fs::write(&file, SAMPLE)?;
    let source = Source::load(Some(&file)).context("the sample")?;
    let reader = Reader::new(source, Environment::default());
    let broker = BrokerArgs::default().read(&reader, Clock::system());
    let names = broker.map_or_else(QueueNames::default, |it| it.queues);
    let _ = (WorkerArgs::default().read(&reader), ExecuteArgs::default().read(&reader, &names));
    let scan = ScanArgs::default();
    let _ = (scan.read(&reader), scan.reload_every(&reader));
    let _ = (ContainerSettings::read(&reader, 1), SecretSettings::read(&reader));
    let _ = MailSettings::read(&reader);
    let _ = (StatisticsSettings::read(&reader), Forges::read(&reader), logs(&reader));
    let _ = WebhookArgs::default().read(&reader, folder.path());
    let mut asked = reader.asked();
    asked.extend(of_buckets()?);
    // The forge that is always there has the keys of the others, and a table is what is in it.
    asked.retain(|key, expected| !key.starts_with("forge.github") && expected != "a table");
    Ok(asked)
}

/// The keys of the other driver of logs, with a bucket's key in parts and in one.
fn of_buckets() -> Result<BTreeMap<String, String>> {
    let file = tempfile::Builder::new().suffix(".toml").tempfile()?;
    let mut asked = BTreeMap::new();
    for key in ["{access = \"a\", secret = \"s\"}", "\"a s\""] {
        std::fs::write(
            file.path(),
            format!("[logs]\ndriver = \"s3\"\n[logs.s3]\nurl = \"http://x.example/b\"\nkey = {key}\n"),
        )?;
        let reader =
            Reader::new(Source::load(Some(file.path())).context("the sample")?, Environment::default());
        let _ = logs(&reader);
        asked.extend(reader.asked());
    }
    Ok(asked)
}

/// Every key that the document has in a table below the heading of its table, and what it says is expected.
fn documented() -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(DOCUMENT)?;
    let mut table = String::new();
    let mut keys = BTreeMap::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.trim_matches(['`', '[', ']']).clone_into(&mut table);
        } else if let Some(row) = line.strip_prefix("| `") {
            let (key, rest) = row.split_once("` | ").with_context(|| line.to_owned())?;
            let (expected, _) = rest.split_once(" | ").with_context(|| line.to_owned())?;
            keys.insert(format!("{table}.{key}"), expected.to_owned());
        }
    }
    Ok(keys)
}

#[test]
fn every_key_is_documented_and_what_is_expected_of_it() -> Result<()> {
    common::crypto::install();
    let (code, document) = (read_by_the_code()?, documented()?);
    let mut wrong = Vec::new();
    for (key, expected) in &code {
        match document.get(key) {
            None => wrong.push(format!("{key} ({expected}) is not documented")),
            Some(said) if !expected.is_empty() && said != expected => {
                wrong.push(format!("{key}: the code expects {expected}, the document says {said}"));
            }
            Some(_) => {}
        }
    }
    let unknown = document.keys().filter(|it| !code.contains_key(*it));
    wrong.extend(unknown.map(|it| format!("{it} is documented, and no program asks for it")));
    assert!(wrong.is_empty(), "docs/CONFIGURATION.md:\n{}", wrong.join("\n"));
    Ok(())
}
