//! Jobs that mean harm.

use anyhow::{Context, Result};
use common::forge::StatusState;
use serde_json::json;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test, run_test_with};
use tests::git::File;

use super::repo;

/// Bounds that a test reaches at once, and a small disk.
fn narrow() -> Setup {
    Setup {
        container: "pids = 60\nmemory-megabytes = 150\n".to_owned(),
        run_args: vec!["--tmpfs=/small:size=1m".to_owned()],
        ..Setup::default()
    }
}

#[tokio::test]
async fn whatever_a_job_prints_and_takes_its_log_is_what_it_printed() {
    run_test_with(narrow(), async |fleet: &mut Fleet| -> Result<()> {
        let script = r#"
            grep -E 'CapEff|NoNewPrivs' /proc/self/status
            printf '\033[31mred\033[0m\033]0;title\007 <script>alert(1)</script> nul:\000: not text:\377:\r\n'
            printf '<%s>' "$MANY"
            head -c 9000000 /dev/zero > /small/x || echo small disk
            head -c 300000000 /dev/zero | tail > /dev/null || echo small memory
            head -c 3000000 /dev/zero | tr '\0' x
            sleep 1000 &
            printf 'the last words'
            exec > /dev/null 2>&1
            # Nobody hears it any more, and it goes on.
            seq 100000
            sleep 1
            echo kept > $TEST_ATTACHMENTS/kept
            exit 5"#;
        let repo = repo(fleet, script).await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {
            "repo": "octo/app", "sha": tip, "context": "c",
            "env": {"MANY": "a=b\n--privileged\n\n=c --volume=/:/host"},
        }});
        fleet.publish("public", &job.to_string()).await?;
        let status =
            fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Failure, DEADLINE).await?;
        let log = fleet.log_text(&status).await?;
        let start = log.find("CapEff").context("where the job begins")?;
        let unbroken = "x".repeat(3_000_000);
        let expected = [
            "CapEff:\t0000000000000000\nNoNewPrivs:\t1\n",
            "\x1b[31mred\x1b[0m\x1b]0;title\x07 <script>alert(1)</script> nul:\0: not text:\u{fffd}:\r\n",
            "<a=b\n--privileged\n\n=c --volume=/:/host>",
        ];
        assert!(log[start..].starts_with(&expected.concat()), "{:?}", log.get(start..start + 500));
        assert!(log.contains("\nsmall disk\n"), "it got a larger disk than it may have");
        assert!(log.contains("small memory\n"), "it got more memory than it may have");
        let end = format!("{unbroken}the last words\n*** Failure: Container exited with code 5\n");
        assert!(log.ends_with(&end), "{:?}", log.get(log.len() - 200..));
        assert!(fleet.log_folder(&status)?.join("kept").exists());
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_fork_bomb_that_ignores_signals_harms_nobody_and_is_ended() {
    run_test_with(narrow(), async |fleet: &mut Fleet| -> Result<()> {
        // It goes on by itself where it can, and then waits for ever without a fork.
        let bomb = "trap '' TERM INT HUP; echo before; mkfifo /var/tmp/never; \
                    (bomb() { sleep 1000 & bomb & bomb & wait; }; bomb) 2> /dev/null & read never < /var/tmp/never";
        let repo = repo(fleet, &format!("if grep -q old README; then {bomb}; fi")).await?;
        let old = fleet.open_pull(&repo, &[File::new("README", "old\n")]).await?;
        fleet.wait_for_container().await?;
        let bombed = async {
            loop {
                let count = fleet.engine.containers().await?.pop().context("it is gone")?;
                let ps = fleet.engine.run(&["stats", "--no-stream", "--format={{.PIDs}}", &count.id]).await?;
                if ps.trim().parse::<u32>().is_ok_and(|it| it >= 30) {
                    return anyhow::Ok(());
                }
            }
        };
        tokio::time::timeout(DEADLINE, bombed).await.context("it has not gone off")??;
        let new = fleet.push(&old, &[File::new("README", "new\n")]).await?;
        let ended = fleet.wait_for(&old, "debian", StatusState::Failure).await?;
        let log = fleet.log_text(&ended).await?;
        assert!(log.contains("before\n") && log.ends_with("\n*** Failure: octo/app#1 changed\n"), "{log}");
        fleet.wait_for(&new, "debian", StatusState::Success).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn what_a_job_may_not_leave_is_listed_and_not_followed() {
    let config =
        "[container.secrets]\nkey = [\"--volume=%{key}:/run/key:ro\"]\n[secrets.inline]\nkey = \"sesame\"\n";
    run_test_with(
        Setup { config: config.to_owned(), ..Setup::default() },
        async |fleet: &mut Fleet| -> Result<()> {
            let script = r#"
            cd $TEST_ATTACHMENTS
            ln -s /etc/shadow shadow
            ln -s /run/key key
            ln -s ../../../../../../../../etc folder
            mkfifo pipe
            mkdir -p '..a/<b>'
            echo kept > 'a&b.txt'
            echo kept > '..a/<b>/"quote" <script>alert(1)</script>'
            echo kept > "$(printf 'new\nline')"
            echo kept > '--option'
            echo kept > '..\..\up'
            echo kept > log.html"#;
            let repo = repo(fleet, script).await?;
            let tip = fleet.git.resolve("octo/app", "main").await?;
            let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "c", "secrets": ["key"]}});
            fleet.publish("public", &job.to_string()).await?;
            let status =
                fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Success, DEADLINE).await?;
            let folder = fleet.log_folder(&status)?;
            let (index, log) =
                (std::fs::read_to_string(folder.join("index.html"))?, fleet.log_text(&status).await?);
            for link in ["shadow", "key", "folder", "pipe"] {
                assert!(folder.join(link).symlink_metadata().is_err(), "{link}");
                let kind =
                    if link == "pipe" { "not a regular file" } else { "a symbolic link, not a regular file" };
                assert!(log.contains(&format!("Attachment left out: {link}: it is {kind}\n")), "{log}");
            }
            assert!(index.contains("a&#38;b.txt") && !index.contains("<script>alert"), "{index}");
            assert!(!log.contains("sesame") && !index.contains("sesame"));
            assert!(
                std::fs::read_to_string(folder.join("log.html"))?.contains("<html"),
                "the page is still ours"
            );
            assert!(!folder.parent().context("above")?.join("up").exists());
            fleet.settle().await
        },
    )
    .await;
}

#[tokio::test]
async fn an_attachments_folder_that_is_a_link_shows_nothing_of_the_host() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        std::fs::write(fleet.logs_dir().with_file_name("of-the-host"), "secret")?;
        let host = fleet.logs_dir().parent().context("a folder")?.display().to_string();
        let repo = repo(fleet, &format!("rm -rf $TEST_ATTACHMENTS; ln -s {host} $TEST_ATTACHMENTS")).await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "c"}});
        fleet.publish("public", &job.to_string()).await?;
        let status =
            fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Success, DEADLINE).await?;
        assert!(!fleet.log_folder(&status)?.join("of-the-host").exists());
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_container_file_is_an_image_or_nothing() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let image = fleet.engine.image().to_owned();
        let bad = [
            "--privileged\n".to_owned(),
            "-v /:/host\n".to_owned(),
            format!("--privileged {image}\n"),
            format!("{image}\n--privileged\n"),
            "docker-archive:/etc/shadow\n".to_owned(),
            "<script>alert(1)</script>\n".to_owned(),
            String::new(),
            "x".repeat(10_000_000),
        ];
        for (number, content) in bad.iter().enumerate() {
            let name = format!("octo/evil-{number}");
            let files = [
                File::new(".cockpit-ci/container", content.clone()),
                File::new("test/run", "true").executable(),
            ];
            let repo = fleet.create_repo(&name, &files).await?;
            let tip = fleet.git.resolve(&name, "main").await?;
            let job = json!({"job": {"repo": name, "sha": tip, "context": "c"}});
            fleet.publish("public", &job.to_string()).await?;
            let status =
                fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Failure, DEADLINE).await?;
            let description = status.description.as_deref().unwrap_or_default();
            assert!(
                description.starts_with(".cockpit-ci/container: ") && description.len() <= 140,
                "{description}"
            );
            let log = fleet.log_text(&status).await?;
            let last = log.lines().last().unwrap_or_default();
            assert!(last.starts_with("*** Failure: .cockpit-ci/container: ") && last.len() < 500, "{log}");
            assert!(!log.contains("Cloning"), "{log}");
        }
        fleet.settle().await
    })
    .await;
}
