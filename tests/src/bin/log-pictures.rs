//! `log-pictures [FOLDER]`: makes the pictures of the log's page that the documents show.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use common::id::Slug;
use common::logs::{AttachmentName, Folder, LeftOut, index};
use tests::browser::sample::{self, Mix};
use tests::browser::{Browser, Page, Ranges, Scheme, Site};

/// Makes the pictures of the log's page that the documents show, with the browser that tests/install-packages.sh installs.
#[derive(Parser)]
struct Cli {
    /// Where to put them
    #[arg(default_value = "docs/pictures")]
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse().folder).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("log-pictures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let browser = Browser::start().await?;
    let site = Site::start(Ranges::Known).await?;
    let mix = Mix { tests: 300, failed: 2, retried: 3, skipped: 5 };
    for n in 1..=mix.tests {
        site.put(&sample::picture_name(n), sample::picture(300, 170));
    }
    let log = sample::tests(mix);
    let (first, rest) = log.split_at(log.find("ok 40 ").context("no test 40")?);
    site.print(first);
    let page = browser.tab(1280, 720).await?;
    page.prefer(Scheme::Dark).await?;
    page.visit(&site.url("log.html")).await?;
    page.until("document.querySelector('#counts').textContent.includes('37')").await?;
    take(&page, folder, "log-live-dark.png").await?;

    site.end(rest);
    page.until("document.querySelector('#state').textContent.startsWith('Ended')").await?;
    page.prefer(Scheme::Light).await?;
    page.visit(&site.url("log.html")).await?;
    page.until("document.querySelector('.fold img')?.complete").await?;
    take(&page, folder, "log-tests-light.png").await?;

    page.press("f").await?;
    page.press("/").await?;
    page.type_text("changing").await?;
    page.until("document.querySelector('#hits').textContent.includes('of')").await?;
    take(&page, folder, "log-search-light.png").await?;

    let attachments = attachments(mix)?;
    let mut left_out = LeftOut::default();
    left_out.add("core.1234", "it is larger than 100 MB");
    left_out.add("shots/latest.png", "it is a symbolic link");
    let slug = Slug::new("pull-7-01234567-20261121-101500-debian-13-expensive")?;
    site.put("index.html", index(&Folder::from(&slug), log.len() as u64, &attachments, &left_out));
    page.prefer(Scheme::Dark).await?;
    page.visit(&site.url("index.html")).await?;
    take(&page, folder, "index-dark.png").await
}

/// What the job would have left.
fn attachments(mix: Mix) -> Result<BTreeMap<AttachmentName, u64>> {
    let stem = sample::picture_name(1).replace(".png", "");
    let files = [
        (format!("{stem}.png"), 51_234),
        (format!("{stem}.html"), 230_120),
        (format!("{stem}.log.gz"), 90_007),
        ("Coverage/index.html".to_owned(), 41_200),
        ("Coverage/css/report.css".to_owned(), 3_100),
        ("shots/all.png".to_owned(), mix.tests as u64 * 1000),
    ];
    files.into_iter().map(|(name, bytes)| Ok((AttachmentName::new(name)?, bytes))).collect()
}

async fn take(page: &Page, folder: &Path, name: &str) -> Result<()> {
    // What was changed is drawn before the next frame but one.
    page.value("new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => done())), 300))").await?;
    let file = folder.join(name);
    std::fs::write(&file, page.picture().await?).with_context(|| format!("writing {}", file.display()))
}
