//! Bad inputs: exit code 2, a clear text, and nothing has happened.

use anyhow::Result;
use tests::fleet::Fleet;

use super::{configure, file, repo, run_test, run_to};

#[tokio::test]
async fn every_bad_input_is_refused_with_a_clear_text() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        configure(fleet, "")?;
        repo(fleet, "true").await?;
        std::fs::write(
            file(fleet, "bad.toml"),
            "[container]\ncommand = []\n[nonsense]\n[execute]\npoll-seconds = 0\n",
        )?;
        let (bad, missing) = (file(fleet, "bad.toml"), file(fleet, "missing.toml"));
        let (bad, missing) = (bad.display().to_string(), missing.display().to_string());
        for (words, expected) in [
            (&[][..], "which job?"),
            (&["run"], "OWNER/NAME"),
            (&["run", "octo/app", "--frob"], "--frob"),
            (&["run", "octo/app", "--env", "X"], "expected NAME=VALUE"),
            (&["json", "{\"job\": 1}"], "job: expected an object"),
            (&["-F", &missing, "run", "octo/app"], "missing.toml"),
            (&["-F", &bad, "run", "octo/app"], "bad.toml:2: container.command: expected at least one word"),
            (&["-F", &bad, "run", "octo/app"], "bad.toml:3: nonsense: is no known table"),
            (&["-F", &bad, "run", "octo/app"], "bad.toml:5: execute.poll-seconds: expected seconds from 0.1"),
            (&["run", "octo/app", "--shell-on-failure"], "--shell-on-failure needs a terminal"),
            (&["run", "octo/app", "--forge", "elsewhere"], "the forge `elsewhere`"),
            (&["run", "octo/app", "--pull", "77"], "pulls/77"),
            (&["run", "octo/nothing"], "octo/nothing"),
        ] {
            let said = run_to(fleet, 2, words).await?;
            assert!(said.err.contains(expected), "{words:?}: {}", said.err);
        }
        assert!(!fleet.logs_dir().join("octo").exists(), "nothing was begun");
        Ok(())
    })
    .await;
}
