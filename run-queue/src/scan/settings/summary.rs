//! What was understood of `[scan]`, for `--check-config`.

use common::config::{Summary, count, listed};

use super::ScanSettings;
use crate::scan::{Listed, Project, TestMap};

impl ScanSettings {
    /// Adds what was understood.
    pub fn summarize(&self, summary: &mut Summary) {
        summary.table("scan");
        summarize_map(&self.test_map, summary);
        let users = count(self.allow_list.users(), "user", "users");
        let organisations = count(self.allow_list.organisations(), "organisation", "organisations");
        summary.line("allow-list", format!("{users}, {organisations}"));
        summary.line("internal-patterns", listed(&self.internal_patterns));
        summary.line("bots-repo", &self.bots_repo);
        summary.line("secrets", listed(&self.secrets));
        summary.line("extra-secrets", count(self.extra_secrets.len(), "repository", "repositories"));
        for (repo, secrets) in &self.extra_secrets {
            summary.part(repo.as_str(), listed(secrets));
        }
        self.summarize_sweep(summary);
    }

    fn summarize_sweep(&self, summary: &mut Summary) {
        let sweep = &self.sweep;
        let every = sweep.every.map(|it| format!("every {} minutes", it.as_secs_f64() / 60.0));
        let at_start = sweep.at_start.then(|| "at start".to_owned());
        let times: Vec<_> = at_start.into_iter().chain(every).collect();
        summary.line("sweep", if times.is_empty() { "never".to_owned() } else { times.join(", ") });
        summary.part("jitter", sweep.jitter);
        summary.part("second-look-seconds", sweep.second_look.as_secs_f64());
        summary.part("hooks", listed(sweep.hooks.iter().map(|(repo, hook)| format!("{repo}: {hook}"))));
    }
}

fn summarize_map(map: &TestMap, summary: &mut Summary) {
    let (manual, run): (Vec<_>, Vec<_>) = map.listed().partition(Listed::is_manual);
    let contexts = |listed: &[Listed<'_>]| listed.iter().map(|it| it.contexts.len()).sum::<usize>();
    summary.line(
        "test-map",
        format!(
            "{}, {}, {}, {} by hand",
            count(map.projects().count(), "repository", "repositories"),
            count(run.len(), "branch", "branches"),
            count(contexts(&run), "context", "contexts"),
            contexts(&manual),
        ),
    );
    for project in map.projects() {
        let branches = map.listed().filter(|it| it.project == project && !it.is_manual()).count();
        summary.part(&name(project), count(branches, "branch", "branches"));
        for it in map.listed().filter(|it| it.project == project) {
            let number = count(it.contexts.len(), "context", "contexts");
            summary.item(it.branch.as_str(), format!("{number}: {}", listed(it.contexts)));
        }
    }
    if let Some((branch, context)) = map.injected() {
        summary.part("$COCKPIT_TESTMAP_INJECT", format!("{context} on {branch} of every repository"));
    }
}

fn name(project: &Project) -> String {
    let forge = project.forge.as_ref().map(|it| format!("{it}:")).unwrap_or_default();
    format!("{forge}{}", project.repo)
}
