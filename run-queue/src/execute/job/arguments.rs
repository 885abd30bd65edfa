//! The words of a job for `podman run`. Everything in them is typed, or the configuration's own.

use common::task::{Job, Minutes};

use super::super::ContainerSettings;
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
    pub(super) container: &'a ContainerSettings,
    pub(super) secrets: &'a [String],
    pub(super) url: &'a str,
    pub(super) limit: Minutes,
}

impl Arguments<'_> {
    /// Options of `run`. In order: later ones win, so the configuration's own words win over what is safe, and nothing of the job
    /// comes after what the configuration gives it.
    pub(super) fn options(&self) -> Vec<String> {
        let Self { job, content: _, container, secrets, url, limit } = self;
        let mut options = container.bounds.options(&container.run_args);
        options.extend(container.run_args.iter().cloned());
        if let Some(limit) = limit.limit() {
            options.push(format!("--timeout={}", limit.as_secs() + BACKSTOP_SECONDS));
        }
        options.extend(
            job.env.iter().map(|(name, value)| format!("--env={}={}", name.as_str(), value.as_str())),
        );
        options.push(format!("--env=TEST_ATTACHMENTS={FOLDER}"));
        options.push(format!("--env=COCKPIT_CI_LOG_URL={url}"));
        options.extend(secrets.iter().cloned());
        options
    }

    /// The image, and what runs in it.
    pub(super) fn command(&self) -> Vec<String> {
        let Content { checkout, image } = self.content;
        let mut words = vec![image.to_string()];
        words.extend(["sh", "-c", SCRIPT, "flotilla-job"].map(str::to_owned));
        let Checkout { repo: _, url, sha, target } = checkout;
        words.extend([url.clone(), sha.to_string(), target.as_ref().map_or("", |it| it.as_str()).to_owned()]);
        words.extend(self.job.command.iter().flatten().cloned());
        words
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::{Bounds, Engine};
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
        let container = ContainerSettings {
            engine: Engine::default(),
            bounds: Bounds::default(),
            run_args: vec!["--network=none".to_owned()],
            default_image: None,
            secrets: BTreeMap::new(),
        };
        let arguments = Arguments {
            job: &job,
            content: &content,
            container: &container,
            secrets: &["--volume=/s:/s:ro".to_owned()],
            url: "http://logs/x/log.html",
            limit: Minutes(10),
        };
        let options = arguments.options();
        let own = options.iter().position(|it| it == "--network=none").unwrap();
        assert_eq!(
            options[own..],
            [
                "--network=none",
                "--timeout=900",
                "--env=A=--b c\nd",
                "--env=TEST_ATTACHMENTS=/var/tmp/attachments",
                "--env=COCKPIT_CI_LOG_URL=http://logs/x/log.html",
                "--volume=/s:/s:ro",
            ]
        );
        let command = arguments.command();
        assert_eq!(command[..3], ["localhost/i:t", "sh", "-c"]);
        assert_eq!(
            command[4..],
            ["flotilla-job", "https://x/o/r", "abcdef0", "", "--privileged", "-v/:/host"]
        );
    }
}
