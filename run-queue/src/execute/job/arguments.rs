//! The words after `podman run --detach --init`. Everything in them is typed, or the configuration's own.

use super::super::attachments::FOLDER;
use super::plan::Plan;
use crate::handler::Work;

/// What runs in the container. It needs `sh` and `git` there, and no file of the host.
const SCRIPT: &str = include_str!("script.sh");
/// The engine ends a container that has lost its worker this long after its time; the worker itself is sooner.
const BACKSTOP_SECONDS: u64 = 300;

/// The words, in order.
pub(super) fn arguments(
    plan: &Plan<'_>,
    work: &Work,
    run_args: &[String],
    secrets: &[String],
    url: &str,
    host: &str,
) -> Vec<String> {
    let mut words = vec![
        format!("--label=flotilla.task={}", work.headers.id),
        format!("--label=flotilla.attempt={}", work.headers.attempt),
        format!("--label=flotilla.worker={host}"),
    ];
    words.extend(run_args.iter().cloned());
    if let Some(limit) = plan.job.timeout.limit() {
        words.push(format!("--timeout={}", limit.as_secs() + BACKSTOP_SECONDS));
    }
    words.extend(
        plan.job.env.iter().map(|(name, value)| format!("--env={}={}", name.as_str(), value.as_str())),
    );
    words.push(format!("--env=TEST_ATTACHMENTS={FOLDER}"));
    words.push(format!("--env=COCKPIT_CI_LOG_URL={url}"));
    words.extend(secrets.iter().cloned());
    words.push(plan.image.to_string());
    let target = plan.checkout.target.as_ref().map_or("", |it| it.as_str());
    words.extend(["sh", "-c", SCRIPT, "flotilla-job"].map(str::to_owned));
    words.extend([plan.checkout.url.clone(), plan.checkout.sha.to_string(), target.to_owned()]);
    words.extend(plan.job.command.iter().flatten().cloned());
    words
}
