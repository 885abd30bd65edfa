//! Where everything is, and what can be done with it.

use std::path::Path;

use anyhow::{Context, Result};

use super::demo::{Draft, REPO};
use super::screen::Screen;
use crate::fleet::Fleet;

/// Prints where everything is.
pub(super) async fn facts(fleet: &mut Fleet, screen: &Screen) -> Result<()> {
    let webhook = fleet.webhook_address().await?;
    let receiver = fleet.webhook()?.listening("operator endpoints").await?;
    let worker = fleet.worker(0)?.listening("operator endpoints").await?;
    for (what, place) in [
        ("webhook", format!("http://{webhook}/")),
        ("webhook secret", secret(fleet)),
        ("webhook metrics", format!("http://{receiver}/metrics")),
        ("worker metrics", format!("http://{worker}/metrics")),
        ("broker", format!("{}, virtual host {}", fleet.broker.address(), fleet.vhost())),
        ("secrets dir", fleet.broker.secrets_dir().display().to_string()),
        ("management", fleet.broker.api_url()),
        ("forge", fleet.forge.url().to_owned()),
        ("repository", format!("{}/{REPO}", fleet.git.url())),
        ("logs", format!("{}/", fleet.logs_url())),
        ("log files", fleet.logs_dir().display().to_string()),
        ("configuration", fleet.config_file().display().to_string()),
    ] {
        screen.fact(what, &place);
    }
    Ok(())
}

/// Prints what can be pasted into a shell; the event's payload goes to a file for that.
pub(super) async fn commands(fleet: &mut Fleet, screen: &Screen, draft: &Draft) -> Result<()> {
    let (publish, inspect) = (program("publish-queue")?, program("inspect-queue")?);
    let config = fleet.config_file();
    let payload = config.with_file_name("event.json");
    std::fs::write(&payload, &draft.delivery.payload)?;
    let (config, payload) = (quoted(&config), quoted(&payload));
    let number = draft.pull.number;
    let job = format!(r#"{{"job": {{"repo": "{REPO}", "pull": {number}, "context": "debian/again"}}}}"#);
    screen.command(
        "another job for the pull request",
        &format!("echo '{job}' | {publish} --config {config} --queue public"),
    );
    screen.command("what waits in the queues", &format!("{inspect} --config {config}"));
    let secret = quoted(Path::new(&secret(fleet)));
    let signature =
        format!("sha256=$(openssl dgst -sha256 -hmac \"$(cat {secret})\" -r {payload} | cut -d ' ' -f 1)");
    let webhook = fleet.webhook_address().await?;
    screen.command(
        "the event once more, signed as a forge signs it",
        &format!(
            "curl --include --data-binary @{payload} --header 'Content-Type: application/json' \
             --header 'X-GitHub-Event: {}' --header 'X-GitHub-Delivery: {}' \
             --header \"X-Hub-Signature-256: {signature}\" http://{webhook}/",
            draft.delivery.event, draft.delivery.id
        ),
    );
    Ok(())
}

fn secret(fleet: &Fleet) -> String {
    fleet.broker.secrets_dir().join(".config--github-webhook-token").display().to_string()
}

/// A program of ours, as a word of a shell.
fn program(name: &str) -> Result<String> {
    let own = std::env::current_exe().context("where am I")?;
    Ok(quoted(&own.with_file_name(name)))
}

/// A path as a word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|it| it.is_ascii_alphanumeric() || "/._-".contains(it)) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_one_word() {
        assert_eq!(quoted(Path::new("/tmp/a-b.c/d_e")), "/tmp/a-b.c/d_e");
        assert_eq!(quoted(Path::new("/tmp/it's me")), r"'/tmp/it'\''s me'");
    }
}
