//! The words after `podman run --detach --init`. Everything in them is typed, or the configuration's own.

use common::broker::Headers;
use common::task::{Job, Minutes};

use super::super::attachments::FOLDER;
use super::plan::{Checkout, Content};

/// What runs in the container. It needs `sh` and `git` there, and no file of the host.
const SCRIPT: &str = include_str!("script.sh");
/// The engine ends a container that has lost its worker this long after its time; the worker itself is sooner.
const BACKSTOP_SECONDS: u64 = 300;

/// All that the words are made of.
pub(super) struct Arguments<'a> {
    pub(super) job: &'a Job,
    pub(super) content: &'a Content,
    pub(super) headers: &'a Headers,
    pub(super) run_args: &'a [String],
    pub(super) secrets: &'a [String],
    pub(super) url: &'a str,
    pub(super) host: &'a str,
    pub(super) limit: Minutes,
}

impl Arguments<'_> {
    /// All of them.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = self.options();
        words.push(self.content.image.to_string());
        words.extend(["sh", "-c", SCRIPT, "flotilla-job"].map(str::to_owned));
        let Checkout { repo: _, url, sha, target } = &self.content.checkout;
        words.extend([url.clone(), sha.to_string(), target.as_ref().map_or("", |it| it.as_str()).to_owned()]);
        words.extend(self.job.command.iter().flatten().cloned());
        words
    }

    /// Those before the image, in order: later ones win, so nothing of the job comes after what the configuration gives it.
    pub(super) fn options(&self) -> Vec<String> {
        let Self { job, content: _, headers, run_args, secrets, url, host, limit } = self;
        let mut words = vec![
            format!("--label=flotilla.task={}", headers.id),
            format!("--label=flotilla.attempt={}", headers.attempt),
            format!("--label=flotilla.worker={host}"),
        ];
        words.extend(run_args.iter().cloned());
        if let Some(limit) = limit.limit() {
            words.push(format!("--timeout={}", limit.as_secs() + BACKSTOP_SECONDS));
        }
        words.extend(
            job.env.iter().map(|(name, value)| format!("--env={}={}", name.as_str(), value.as_str())),
        );
        words.push(format!("--env=TEST_ATTACHMENTS={FOLDER}"));
        words.push(format!("--env=COCKPIT_CI_LOG_URL={url}"));
        words.extend(secrets.iter().cloned());
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_job_becomes_an_option_of_the_engine() {
        let job: Job = serde_json::from_str(
            r#"{"repo": "o/r", "command": ["--privileged", "-v/:/host"], "timeout": 10, "env": {"A": "--b c\nd"}}"#,
        )
        .unwrap();
        let checkout = Checkout {
            repo: "o/r".parse().unwrap(),
            url: "https://x/o/r".to_owned(),
            sha: "abcdef0".parse().unwrap(),
            target: None,
        };
        let content = Content { checkout, image: "localhost/i:t".parse().unwrap() };
        let words = Arguments {
            job: &job,
            content: &content,
            headers: &Headers::fresh(),
            run_args: &["--network=none".to_owned()],
            secrets: &["--volume=/s:/s:ro".to_owned()],
            url: "http://logs/x/log.html",
            host: "worker",
            limit: Minutes(10),
        }
        .words();
        let image = words.iter().position(|it| it == "localhost/i:t").unwrap();
        let (options, command) = words.split_at(image);
        assert!(options[0].starts_with("--label=flotilla.task="));
        assert_eq!(
            options[3..],
            [
                "--network=none",
                "--timeout=900",
                "--env=A=--b c\nd",
                "--env=TEST_ATTACHMENTS=/var/tmp/attachments",
                "--env=COCKPIT_CI_LOG_URL=http://logs/x/log.html",
                "--volume=/s:/s:ro",
            ]
        );
        assert_eq!(command[1..3], ["sh", "-c"]);
        assert_eq!(
            command[4..],
            ["flotilla-job", "https://x/o/r", "abcdef0", "", "--privileged", "-v/:/host"]
        );
    }
}
