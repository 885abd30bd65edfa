//! Configuration files as existing deployments have them.

use anyhow::Result;
use tests::fleet::Fleet;

use super::{configure, file, finished, log, program, repo, run_test, run_to, settings};

/// A worker of a deployment: a bucket, a remote engine, secrets of the host.
const WORKER: &str = r#"
[logs]
driver='s3'

[forge]
driver = 'github'

[forge.github]
token = [{file="token"}]
post = true
content-url = 'https://raw.githubusercontent.com/'

[logs.s3]
url = 'https://logs.us-east-1.example.com/'
key = [{file="s3-key"}]
proxy_url = 'https://logs.example.com/'
user-agent = 'job-runner (octo/bots)'

[container]
command = ['podman-remote', '--url=unix:///podman.sock']
run-args = [
    '--device=/dev/kvm',
    '--memory=24g',
    '--tmpfs=/tmp:size=14g',
    '--env=GIT_AUTHOR_*',
]

[container.secrets]
image-upload=[
    '--volume=/var/lib/secrets/s3-keys/:/run/secrets/s3-keys:ro',
    '--env=COCKPIT_S3_KEY_DIR=/run/secrets/s3-keys',
]
"#;

/// A person's laptop: nothing but what differs.
const PERSON: &str = r"
[paths]
github-token = '~/.config/cockpit-dev/github-token'

[container]
run-args = ['--device=/dev/kvm']

[container.secrets]
github-token = [
    '--volume=%{github-token}:/run/secrets/github-token:ro',
    '--env=COCKPIT_GITHUB_TOKEN_FILE=/run/secrets/github-token',
]

[forge.mine]
driver = 'github'
clone-url = 'https://git.example.com/'
api-url = 'https://git.example.com/api/v1/'
user-agent = 'me'
post = false
";

/// What is understood of a file that is found the way that each of its readers finds it.
async fn understood(fleet: &Fleet, name: &str, text: &str) -> Result<String> {
    std::fs::write(file(fleet, name), text)?;
    let said =
        finished(program(fleet)?.arg("--check-config").env("JOB_RUNNER_CONFIG", file(fleet, name))).await?;
    anyhow::ensure!(said.code == Some(0), "{name}: {}", said.err);
    Ok(String::from_utf8(said.out)?)
}

#[tokio::test]
async fn files_of_existing_deployments_work_unchanged() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        std::fs::write(file(fleet, "token"), "t0ken\n")?;
        std::fs::write(file(fleet, "s3-key"), "ACCESS s3cret\n")?;
        let worker = understood(fleet, "worker.toml", WORKER).await?;
        for word in [
            "command: podman-remote --url=unix:///podman.sock",
            "default-image: ghcr.io/cockpit-project/tasks:latest",
            "a log's page: https://logs.example.com/SLUG/log.html",
            "github: is posted to",
            "longest-minutes: -",
            "worker.toml",
            "codeberg: is read; nothing is posted",
        ] {
            assert!(worker.contains(word), "{word}:\n{worker}");
        }
        let person = understood(fleet, "person.toml", PERSON).await?;
        for word in [
            "a log's page: http://127.0.0.1:8000/SLUG/log.html",
            "github: is read; nothing is posted",
            "mine: is read; nothing is posted",
            "external: github-token",
        ] {
            assert!(person.contains(word), "{word}:\n{person}");
        }
        // A null of a patch removes a default.
        let json = understood(
            fleet,
            "c.json",
            r#"{"container": {"default-image": null}, "logs": {"local": {"link": null}}}"#,
        )
        .await?;
        assert!(json.contains("default-image: -") && json.contains("a log's page: file:///"), "{json}");
        assert!(!worker.contains("s3cret") && !worker.contains("t0ken"));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_first_file_of_three_counts_and_only_the_last_may_be_missing() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let image = |name: &str| format!("[container]\ndefault-image = \"localhost/{name}:latest\"\n");
        let home = file(fleet, "home/.config/cockpit-dev");
        let found = async |option: Option<&str>, variable: Option<&str>| -> Result<(Option<i32>, String)> {
            let mut command = program(fleet)?;
            command.arg("--check-config").env_remove("JOB_RUNNER_CONFIG").current_dir(file(fleet, ""));
            command.args(option.map(|it| ["-F", it]).into_iter().flatten());
            command.envs(variable.map(|it| ("JOB_RUNNER_CONFIG", it)));
            let said = finished(&mut command).await?;
            let out = String::from_utf8(said.out)?;
            let image = out.lines().find_map(|it| it.trim().strip_prefix("default-image: "));
            Ok((said.code, image.map_or(said.err, str::to_owned)))
        };
        let default = "ghcr.io/cockpit-project/tasks:latest".to_owned();
        assert_eq!(found(None, None).await?, (Some(0), default.clone()));
        assert_eq!(found(None, Some("")).await?, (Some(0), default));
        std::fs::create_dir_all(&home)?;
        std::fs::write(home.join("job-runner.toml"), image("home"))?;
        std::fs::write(file(fleet, "variable.toml"), image("variable"))?;
        std::fs::write(file(fleet, "option.toml"), image("option"))?;
        assert_eq!(found(None, None).await?.1, "localhost/home:latest");
        assert_eq!(found(None, Some("variable.toml")).await?.1, "localhost/variable:latest");
        assert_eq!(found(Some("option.toml"), Some("variable.toml")).await?.1, "localhost/option:latest");
        for (option, variable) in [(Some("missing"), None), (None, Some("missing"))] {
            let (code, said) = found(option, variable).await?;
            assert!(code == Some(2) && said.contains("missing"), "{said}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_job_gets_its_secrets_by_hand_too() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        std::fs::write(file(fleet, "key"), "from a file\n")?;
        std::fs::create_dir_all(file(fleet, "home"))?;
        std::fs::write(file(fleet, "home/outside"), "from the home\n")?;
        let secrets = "[container.secrets]\nall = [\"--volume=%{inline}:/s/inline:ro\", \"--volume=%{folder}:/s/folder:ro\", \
                       \"--volume=%{outside}:/s/outside:ro\"]\n\
                       [secrets.external]\noutside = \"~/outside\"\n\
                       [secrets.inline]\ninline = [{file=\"key\"}]\nfolder = {a = \"in a folder\"}\n";
        configure(fleet, secrets)?;
        repo(fleet, "cd /s; for it in inline outside folder/a; do tr a-z n-za-m < $it; echo; done; wc -c < inline").await?;
        let said = run_to(fleet, 0, &["run", "octo/app", "--slug", "s", "--secret", "all", "--secret", "unheard-of"]).await?;
        let log = log(fleet, "s")?;
        assert!(log.contains("sebz n svyr\n\nsebz gur ubzr\n\nva n sbyqre\n12"), "{log}");
        assert!(said.err.contains("unheard-of"), "{}", said.err);
        run_to(fleet, 1, &["run", "octo/app"]).await?;
        let both = settings(fleet, "") + "[secrets]\nexternal.x = \"/x\"\ninline.x = \"x\"\n";
        std::fs::write(file(fleet, "both.toml"), both)?;
        let config = file(fleet, "both.toml").display().to_string();
        let said = run_to(fleet, 2, &["-F", &config, "run", "octo/app"]).await?;
        assert!(said.err.contains("secrets.inline.x: is in secrets.external as well"), "{}", said.err);
        Ok(())
    })
    .await;
}
