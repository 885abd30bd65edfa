//! Issues as GitHub writes them.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::state::{IssueRecord, PullRecord};
use super::super::webhook::Delivery;
use super::{Field, Site, edited, set};

const OPENED: &str = include_str!("../../../payloads/issues.opened.json");

/// Which payload a change of an issue gives.
#[derive(Clone, Debug)]
pub(in super::super) enum IssueChange {
    Opened,
    Closed,
    /// With this label.
    Labeled(String),
    /// What was changed, and what it was.
    Edited(Field, String),
}

impl Site<'_> {
    /// An `issues` event.
    pub(in super::super) fn issue_event(
        &self,
        issue: &IssueRecord,
        change: &IssueChange,
    ) -> Result<Delivery> {
        let mut payload = self.template(OPENED, None)?;
        set(&mut payload, "/issue", self.issue(issue)?)?;
        match change {
            IssueChange::Opened => {}
            IssueChange::Closed => set(&mut payload, "/action", json!("closed"))?,
            IssueChange::Labeled(label) => {
                set(&mut payload, "/action", json!("labeled"))?;
                payload["label"] = self.label(label);
            }
            IssueChange::Edited(field, before) => edited(&mut payload, *field, before)?,
        }
        Delivery::new("issues", payload.to_string())
    }

    /// An issue as the API shows it.
    pub(in super::super) fn issue(&self, issue: &IssueRecord) -> Result<Value> {
        let IssueRecord { number, title, body, labels, author, state } = issue;
        let text = OPENED.replace("/issues/1", &format!("/issues/{number}"));
        let mut payload = self.template(&text, None)?;
        for (place, value) in [
            ("/issue/number", json!(number)),
            ("/issue/title", json!(title)),
            ("/issue/body", json!(body)),
            ("/issue/state", json!(state)),
            ("/issue/labels", labels.iter().map(|it| self.label(it)).collect()),
            ("/issue/user/login", json!(author)),
            ("/issue/assignee", Value::Null),
            ("/issue/assignees", json!([])),
            ("/issue/milestone", Value::Null),
        ] {
            set(&mut payload, place, value)?;
        }
        Ok(payload["issue"].take())
    }

    /// A pull as the list of issues shows it: an issue with an address more.
    pub(in super::super) fn pull_as_issue(&self, pull: &PullRecord) -> Result<Value> {
        let PullRecord { number, title, body, author, labels, state, head: _, base: _, merged: _ } = pull;
        let (title, body, labels) = (title.clone(), body.clone(), labels.clone());
        let (number, author, state) = (*number, author.clone(), *state);
        let mut issue = self.issue(&IssueRecord { number, title, body, labels, author, state })?;
        let place = format!("{}/repos/{}/pulls/{number}", self.api, self.name);
        issue["pull_request"] =
            json!({"url": place, "html_url": place, "diff_url": place, "patch_url": place});
        Ok(issue)
    }
}
