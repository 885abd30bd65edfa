//! What the fleet asks of a forge, and tells it.

use std::fmt;
use std::sync::Arc;

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::answer::Answer;
use super::error::ForgeError;
use super::exchange::{Api, Read};
use super::item::Item;
use super::line::{JSON, RAW};
use super::metrics::ForgeMetrics;
use super::pages::{CombinedStatus, More, Statuses, has_next};
use super::settings::{ForgeSettings, Limits, Writes};
use super::tip::tip;
use super::types::{NewStatus, Pull, Repo, Status};
use crate::id::{BranchName, CommitSha, ForgeName, PullNumber, RepoName};

/// The largest file that is read, in bytes; GitHub's contents route ends at 1 MB as well.
const FILE_LENGTH: usize = 1024 * 1024;
/// A commit with more than 5000 contexts is not a commit but a mistake.
const MAX_PAGES: usize = 50;
/// In which what was opened a moment ago is looked for.
const RECENT_PAGES: usize = 3;

/// An issue to open: the fields as the forge wants them (`title`, `body`, `labels`, …).
pub type Issue = Map<String, Value>;

/// A forge with a credential. Clones share their connections, what they have read, and the forge's limits.
#[derive(Clone)]
pub struct Forge(Arc<Inner>);

struct Inner {
    settings: ForgeSettings,
    api: Api,
}

impl fmt::Debug for Forge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { settings, api } = &*self.0;
        f.debug_struct("Forge").field("name", &settings.name).field("api", &api.url().as_str()).finish()
    }
}

impl Forge {
    /// Opens no connection. Fails on an address or a token that can't be used, a CA that is none, or a machine without any
    /// certificate authorities.
    pub fn new(settings: ForgeSettings) -> Result<Self, ForgeError> {
        Self::with_limits(settings, Limits::default())
    }

    /// With bounds of one's own.
    pub fn with_limits(settings: ForgeSettings, limits: Limits) -> Result<Self, ForgeError> {
        Self::with_metrics(settings, limits, &ForgeMetrics::default())
    }

    /// The same, counted together with others.
    pub fn with_metrics(
        settings: ForgeSettings,
        limits: Limits,
        metrics: &ForgeMetrics,
    ) -> Result<Self, ForgeError> {
        let api = Api::new(&settings, limits, metrics)?;
        Ok(Self(Arc::new(Inner { settings, api })))
    }

    /// The same forge for sweeps: what is read goes after everybody else, leaves a tenth of the rate limit to them, and waits for the
    /// next hour where there is no more (so a read can take an hour). What is written goes at once.
    #[must_use]
    pub fn background(&self) -> Self {
        let Inner { settings, api } = &*self.0;
        Self(Arc::new(Inner { settings: settings.clone(), api: api.background() }))
    }

    /// What the configuration calls it.
    #[must_use]
    pub fn name(&self) -> &ForgeName {
        &self.0.settings.name
    }

    /// Whether statuses and issues are only said in the log ([`Writes::Say`]), by a setting or for lack of a token.
    #[must_use]
    pub fn says_only(&self) -> bool {
        self.0.settings.writes == Writes::Say
    }

    /// Where `git clone` finds a repository.
    #[must_use]
    pub fn clone_url(&self, repo: &RepoName) -> String {
        format!("{}/{repo}", self.0.settings.clone_url.as_str().trim_end_matches('/'))
    }

    /// What a repository's name is appended to for that.
    #[must_use]
    pub fn clone_url_base(&self) -> &str {
        self.0.settings.clone_url.as_str()
    }

    /// A pull request as it is now.
    pub async fn pull(&self, repo: &RepoName, number: PullNumber) -> Result<Pull, ForgeError> {
        self.get(vec!["repos", repo.owner(), repo.name(), "pulls", &number.to_string()]).await
    }

    /// The open pull requests of a repository, newest first.
    pub async fn open_pulls(&self, repo: &RepoName) -> Result<Vec<Pull>, ForgeError> {
        let path = vec!["repos", repo.owner(), repo.name(), "pulls"];
        self.list(path, &[("state", "open".to_owned())]).await
    }

    /// A repository.
    pub async fn repo(&self, repo: &RepoName) -> Result<Repo, ForgeError> {
        self.get(vec!["repos", repo.owner(), repo.name()]).await
    }

    /// The newest status of each context of a commit, in the forge's order.
    pub async fn statuses(&self, repo: &RepoName, sha: &CommitSha) -> Result<Vec<Status>, ForgeError> {
        let path = vec!["repos", repo.owner(), repo.name(), "commits", sha.as_str(), "status"];
        let mut read = self.json(path);
        let mut statuses = Statuses::default();
        for page in 1..=MAX_PAGES {
            read.query = self.page(page);
            let answer = self.0.api.read(&read).await?;
            let combined: CombinedStatus = answer.json()?;
            if statuses.add(combined, &answer.headers) == More::No {
                return Ok(statuses.into_vec());
            }
            if page == MAX_PAGES {
                return Err(answer.unexpected(format!("more than {MAX_PAGES} pages of statuses")));
            }
        }
        Ok(statuses.into_vec())
    }

    /// A file at a commit; none if the commit has no such file. More than 1 MiB is an error.
    pub async fn file(
        &self,
        repo: &RepoName,
        path: &str,
        at: &CommitSha,
    ) -> Result<Option<Vec<u8>>, ForgeError> {
        // No tree of git has such a name, and an address would lose it.
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Ok(None);
        }
        let place = ["repos", repo.owner(), repo.name(), "contents"].into_iter().chain(path.split('/'));
        let query = vec![("ref", at.as_str().to_owned())];
        let read = Read { path: place.collect(), query, accept: RAW, limit: FILE_LENGTH };
        match self.0.api.read(&read).await {
            Ok(answer) if is_json(&answer) => {
                Err(answer.unexpected("expected a file's bytes, got JSON".to_owned()))
            }
            Ok(answer) => Ok(Some(answer.body.into())),
            Err(ForgeError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The newest commit of a branch.
    ///
    /// Asks `branches/NAME`, which is in the description of GitHub's API and which Forgejo and Gitea have too
    /// (`git/refs/heads/NAME` has left it, and answers with whatever branches begin with the name).
    pub async fn tip(&self, repo: &RepoName, branch: &BranchName) -> Result<CommitSha, ForgeError> {
        let path = vec!["repos", repo.owner(), repo.name(), "branches", branch.as_str()];
        let answer = self.0.api.read(&self.json(path)).await?;
        tip(&answer.json()?).map_err(|problem| answer.unexpected(problem))
    }

    /// Gives a commit a status. Doing it twice does no harm (the newest of a context counts), so it is tried again as reading is.
    pub async fn post_status(
        &self,
        repo: &RepoName,
        sha: &CommitSha,
        status: &NewStatus,
    ) -> Result<(), ForgeError> {
        if self.says_only() {
            let NewStatus { context, state, description, target_url } = status;
            tracing::info!(forge = %self.name(), %repo, %sha, %context, ?state, description, target_url, "would post a status");
            return Ok(());
        }
        let path = ["repos", repo.owner(), repo.name(), "statuses", sha.as_str()];
        self.0.api.post_twice(&path, status).await.map(drop)
    }

    /// Opens an issue and gives its number; none where nothing is written ([`Writes::Say`]). Doing it twice opens two, so it is
    /// tried again only where the forge cannot have done it.
    pub async fn open_issue(&self, repo: &RepoName, issue: &Issue) -> Result<Option<u64>, ForgeError> {
        #[derive(Deserialize)]
        struct Opened {
            number: u64,
        }
        if self.says_only() {
            let title = issue.get("title").and_then(Value::as_str);
            tracing::info!(forge = %self.name(), %repo, title, "would open an issue");
            return Ok(None);
        }
        let answer = self.0.api.post(&["repos", repo.owner(), repo.name(), "issues"], issue).await?;
        answer.json().map(|Opened { number }| Some(number))
    }

    /// The number of the newest issue, open or closed, whose text has this in it. Looks at the newest 300 issues and pull requests
    /// at most: this is for what was opened a moment ago.
    pub async fn find_issue(&self, repo: &RepoName, text: &str) -> Result<Option<PullNumber>, ForgeError> {
        let mut read = self.json(vec!["repos", repo.owner(), repo.name(), "issues"]);
        for page in 1..=RECENT_PAGES {
            read.query = [&[("state", "all".to_owned())], self.page(page).as_slice()].concat();
            let answer = self.0.api.read(&read).await?;
            let items: Vec<Item> = answer.json()?;
            let found = items.iter().find(|it| it.body.as_ref().is_some_and(|it| it.contains(text)));
            if found.is_some() || items.is_empty() || !has_next(&answer.headers) {
                return Ok(found.map(|it| it.number));
            }
        }
        Ok(None)
    }

    /// An issue as it is now, or a pull request seen as one.
    pub async fn item(&self, repo: &RepoName, number: PullNumber) -> Result<Item, ForgeError> {
        self.get(vec!["repos", repo.owner(), repo.name(), "issues", &number.to_string()]).await
    }

    /// The open issues and pull requests with a label, newest first.
    pub async fn open_items(&self, repo: &RepoName, label: &str) -> Result<Vec<Item>, ForgeError> {
        let path = vec!["repos", repo.owner(), repo.name(), "issues"];
        self.list(path, &[("labels", label.to_owned()), ("state", "open".to_owned())]).await
    }

    /// All pages of a list.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: Vec<&str>,
        query: &[(&'static str, String)],
    ) -> Result<Vec<T>, ForgeError> {
        let mut read = self.json(path);
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            read.query = [query, &self.page(page)].concat();
            let answer = self.0.api.read(&read).await?;
            let found: Vec<T> = answer.json()?;
            let last = found.is_empty() || !has_next(&answer.headers);
            all.extend(found);
            if last {
                return Ok(all);
            }
            if page == MAX_PAGES {
                return Err(answer.unexpected(format!("more than {MAX_PAGES} pages")));
            }
        }
        Ok(all)
    }

    /// The query for a page, from 1, in the words of this forge.
    fn page(&self, number: usize) -> Vec<(&'static str, String)> {
        let (parameter, length) = self.0.settings.page_length();
        vec![(parameter, length.to_owned()), ("page", number.to_string())]
    }

    pub(super) fn api(&self) -> &Api {
        &self.0.api
    }

    async fn get<T: DeserializeOwned>(&self, path: Vec<&str>) -> Result<T, ForgeError> {
        self.0.api.read(&self.json(path)).await?.json()
    }

    pub(super) fn json<'a>(&self, path: Vec<&'a str>) -> Read<'a> {
        Read { path, query: Vec::new(), accept: JSON, limit: self.0.api.limits().answer }
    }
}

/// A folder comes as a list of its files, and a forge that does not know the raw form answers in JSON.
fn is_json(answer: &Answer) -> bool {
    let kind = answer.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    kind.is_some_and(|it| it.split(';').next().unwrap_or_default().trim() == "application/json")
}
