//! What a forge has to be told about a job that has ended, until it knows.

use common::Chain;
use common::forge::{Forge, ForgeError, NewStatus, Status};
use common::id::{CommitSha, Context, ForgeName, RepoName, TaskId};
use common::task::{Issue, WorkKey};
use serde::{Deserialize, Serialize};

/// The end of a job, in the form in which it is kept on the disk. What the forge has taken is taken out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Report {
    pub(in super::super) forge: ForgeName,
    pub(in super::super) repo: RepoName,
    pub(in super::super) sha: CommitSha,
    /// Whose end it is.
    pub(in super::super) task: TaskId,
    /// What it reports under, if it does.
    pub(in super::super) context: Option<Context>,
    /// What this attempt said when it began; none where it never did.
    pub(in super::super) begun: Option<NewStatus>,
    /// The final status.
    pub(in super::super) status: Option<NewStatus>,
    /// To be opened after that.
    pub(in super::super) issue: Option<MarkedIssue>,
}

/// An issue that is known again: people do not see the last line of its text, which names the task and its log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct MarkedIssue {
    /// As the forge wants it.
    fields: Issue,
    /// What is in no other's text.
    mark: String,
}

/// By what an issue is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Mark {
    /// By its task: each run of a job that fails has an issue.
    Task,
    /// By its log: whichever message it was that had this run.
    Log,
}

impl MarkedIssue {
    /// Adds the mark to its text. A text that is none is the forge's to refuse.
    pub(in super::super) fn new(mut fields: Issue, task: &TaskId, log: &str, by: Mark) -> Self {
        if let Some(serde_json::Value::String(body)) = fields.get_mut("body") {
            *body = format!("{}\n\n<!-- flotilla: {task} {log} -->\n", body.trim_end());
        }
        let mark = match by {
            Mark::Task => format!("<!-- flotilla: {task} "),
            Mark::Log => format!(" {log} -->"),
        };
        Self { fields, mark }
    }
}

/// How late news fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum News {
    /// The forge waits for it.
    Due,
    /// The forge has it: its answer was lost.
    Said,
    /// Another attempt has spoken since, and what this one found counts no more; with the reason.
    Late(&'static str),
}

/// Whether a final status is still to be posted when the context has the status `stands`. Decides; does no I/O.
pub(super) fn news(stands: Option<&Status>, begun: Option<&NewStatus>, last: &NewStatus) -> News {
    let Some(stands) = stands else { return News::Due };
    if last.is(stands) {
        return News::Said;
    }
    if stands.state.is_verdict() {
        return News::Late("the commit has another verdict");
    }
    match begun {
        Some(begun) if begun.is(stands) => News::Due,
        Some(_) => News::Late("another attempt was asked for or has begun since"),
        None if is_in_progress(stands) => News::Late("another attempt has begun"),
        None => News::Due,
    }
}

/// In the words of old and new runners.
pub(in super::super) fn is_in_progress(status: &Status) -> bool {
    let description = status.description.as_deref().unwrap_or_default();
    ["In progress", "Testing in progress"].iter().any(|it| description.starts_with(it))
}

impl Report {
    /// What makes it the report of the same work as another; none for work that reports no status.
    pub(super) fn key(&self) -> Option<WorkKey> {
        let Self { forge, repo, sha, context, .. } = self;
        Some(WorkKey::new(forge.clone(), repo, sha.clone(), context.clone()?))
    }

    /// Whether there is nothing to tell.
    pub(in super::super) const fn is_empty(&self) -> bool {
        self.status.is_none() && self.issue.is_none()
    }

    /// Whether it says how the user's code did, which is not to be found out again.
    pub(super) fn is_verdict(&self) -> bool {
        // An issue is opened after a verdict.
        self.status.as_ref().map_or(self.issue.is_some(), |it| it.state.is_verdict())
    }

    /// Tells the forge what it does not know, while nobody else can have spoken. An issue that it will not have is an error line, and no more.
    pub(in super::super) async fn tell(&mut self, forge: &Forge) -> Result<(), ForgeError> {
        if let Some(status) = &self.status {
            forge.post_status(&self.repo, &self.sha, status).await?;
            self.status = None;
        }
        self.open_issue(forge).await
    }

    /// How its status fares, late as it is; nothing to tell is as good as told.
    pub(in super::super) async fn news(&self, forge: &Forge) -> Result<News, ForgeError> {
        let Some(status) = &self.status else { return Ok(News::Said) };
        let all = forge.statuses(&self.repo, &self.sha).await?;
        let stands = all.iter().find(|it| it.context == status.context.as_str());
        Ok(news(stands, self.begun.as_ref(), status))
    }

    /// Tells it when time has passed: the status only if nobody has spoken since; else the answer is why nothing was told.
    pub(in super::super) async fn tell_late(
        &mut self,
        forge: &Forge,
    ) -> Result<Option<&'static str>, ForgeError> {
        match self.news(forge).await? {
            News::Due => {}
            News::Said => self.status = None,
            News::Late(reason) => return Ok(Some(reason)),
        }
        self.tell(forge).await.map(|()| None)
    }

    /// Opens the issue unless it is there: an answer may have been lost, or the process that opened it.
    async fn open_issue(&mut self, forge: &Forge) -> Result<(), ForgeError> {
        let Some(issue) = &self.issue else { return Ok(()) };
        match open_once(forge, &self.repo, issue).await {
            Err(error) if error.is_final() || error.is_forbidden() => {
                tracing::error!(error = %Chain(&error), repo.name = %self.repo, task.id = %self.task, "an issue cannot be opened; it is left at that");
            }
            other => other?,
        }
        self.issue = None;
        Ok(())
    }
}

async fn open_once(forge: &Forge, repo: &RepoName, issue: &MarkedIssue) -> Result<(), ForgeError> {
    if !forge.says_only()
        && let Some(number) = forge.find_issue(repo, &issue.mark).await?
    {
        tracing::info!(repo.name = %repo, issue = %number, "the issue is there");
        return Ok(());
    }
    let number = forge.open_issue(repo, &issue.fields).await?;
    tracing::info!(repo.name = %repo, issue = number, "opened an issue");
    Ok(())
}

#[cfg(test)]
mod tests {
    use common::forge::StatusState;

    use super::*;

    fn new(state: StatusState, text: &str, url: &str) -> NewStatus {
        NewStatus::new("c".parse().unwrap(), state, text).from_host("here").with_target_url(url)
    }

    /// What stands at the forge.
    fn stands(state: &str, description: &str, url: &str) -> Status {
        let json = serde_json::json!({"context": "c", "state": state, "description": description, "target_url": url});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn late_news_are_told_unless_somebody_has_spoken_since() {
        let begun = new(StatusState::Pending, "In progress", "https://log/1");
        let last = new(StatusState::Failure, "Container exited with code 1", "https://log/1");
        let (due, said) = (News::Due, News::Said);
        let other = News::Late("the commit has another verdict");
        let since = News::Late("another attempt was asked for or has begun since");
        let runs = News::Late("another attempt has begun");
        for (state, description, url, if_begun, if_not) in [
            ("pending", "In progress [here]", "https://log/1", due, runs),
            ("pending", "In progress [here]", "https://log/2", since, runs),
            ("pending", "In progress [there]", "https://log/1", since, runs),
            ("pending", "Testing in progress [there]", "", since, runs),
            ("pending", "Not yet tested", "", since, due),
            ("pending", "Not yet tested (direct trigger)", "https://log/1", since, due),
            ("error", "Internal error [there]", "https://log/2", since, due),
            ("failure", "Container exited with code 1 [here]", "https://log/1", said, said),
            ("failure", "Container exited with code 1 [here]", "https://log/2", other, other),
            ("success", "Success [there]", "https://log/2", other, other),
            ("warning", "a word of Gitea's", "", since, due),
        ] {
            let stands = stands(state, description, url);
            assert_eq!(news(Some(&stands), Some(&begun), &last), if_begun, "begun, {stands:?}");
            assert_eq!(news(Some(&stands), None, &last), if_not, "not begun, {stands:?}");
        }
        assert_eq!(news(None, Some(&begun), &last), due);
        assert_eq!(news(None, None, &last), due);
    }

    #[test]
    fn an_issue_is_marked_where_it_has_a_text() {
        let (task, log) = ("0198-a.b_c".parse().unwrap(), "https://log/1");
        let issue: Issue = serde_json::from_str(r#"{"title": "t", "body": "See the log.\n"}"#).unwrap();
        for (by, mark) in [(Mark::Task, "<!-- flotilla: 0198-a.b_c "), (Mark::Log, " https://log/1 -->")] {
            let marked = MarkedIssue::new(issue.clone(), &task, log, by);
            let body = "See the log.\n\n<!-- flotilla: 0198-a.b_c https://log/1 -->\n";
            assert_eq!(marked.fields["body"], body);
            assert_eq!(marked.mark, mark);
            assert!(body.contains(mark));
        }
        let odd: Issue = serde_json::from_str(r#"{"body": 1}"#).unwrap();
        assert_eq!(MarkedIssue::new(odd.clone(), &task, log, Mark::Task).fields, odd);
    }

    #[test]
    fn a_report_is_read_as_it_was_kept() {
        let kept = include_str!("report.v1.json");
        let report: Report = serde_json::from_str(kept).unwrap();
        assert_eq!(serde_json::to_string_pretty(&report).unwrap(), kept.trim_end());
        assert!(report.is_verdict() && !report.is_empty());
        let mut told = report.clone();
        told.status = None;
        assert!(told.is_verdict() && !told.is_empty(), "the issue is still to be opened");
        told.issue = None;
        assert!(told.is_empty());
    }
}
