//! The forge client against the stand-in, and the stand-in itself.

mod cache;
mod deliveries;
mod dialects;
mod limits;
mod reads;
mod stand_in;
mod stand_in_lists;
mod token;
mod trouble;
mod webhooks;
mod writes;

use std::time::Duration;

use anyhow::Result;
use common::Chain;
use common::forge::{Forge, ForgeError, ForgeSettings, Limits, NewStatus, StatusState, Writes};
use common::http::Timeouts;
use common::id::{BranchName, CommitSha, Context, ForgeName, PullNumber, RepoName};
use reqwest::Url;
use tests::forge::{Access, FakeForge, NewPull};

const TOKEN: &str = "test-github-token";
/// Long enough for a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// A forge with the repository `octo/app`, and a client of it.
struct World {
    forge: FakeForge,
    client: Forge,
    repo: RepoName,
    main: BranchName,
    tip: CommitSha,
}

impl World {
    async fn new() -> Result<Self> {
        let forge = FakeForge::start(Access::Token(TOKEN.to_owned())).await?;
        let (repo, main, tip) = (RepoName::new("octo/app")?, BranchName::new("main")?, sha('a'));
        forge.add_repo(&repo, &main, &tip);
        let client = Forge::new(settings(forge.url(), Some(TOKEN))?)?;
        Ok(Self { forge, client, repo, main, tip })
    }

    /// What its client is made from.
    fn settings(&self) -> Result<ForgeSettings> {
        settings(self.forge.url(), Some(TOKEN))
    }

    /// A client that does not try again, and waits for a tenth of a second.
    fn hasty(&self) -> Result<Forge> {
        let timeouts = Timeouts { request: Duration::from_millis(100), ..Timeouts::default() };
        let limits = Limits { timeouts, retry_for: Duration::ZERO, ..Limits::default() };
        Ok(Forge::with_limits(settings(self.forge.url(), Some(TOKEN))?, limits)?)
    }

    fn open_pull(&self, head: &CommitSha) -> Result<PullNumber> {
        let pull = NewPull::new("A change", "octocat", head.clone(), self.main.clone());
        Ok(self.forge.open_pull(&self.repo, pull)?.0)
    }

    /// The paths of the requests so far.
    fn asked(&self) -> Vec<String> {
        self.forge.requests().into_iter().map(|it| format!("{} {}", it.method, it.path)).collect()
    }
}

fn settings(url: &str, token: Option<&str>) -> Result<ForgeSettings> {
    Ok(ForgeSettings {
        name: ForgeName::new("fake")?,
        api_url: Url::parse(url)?,
        clone_url: Url::parse("git://127.0.0.1:1/")?,
        user_agent: "flotilla tests".to_owned(),
        token: token.map(Into::into),
        writes: Writes::Post,
        ca: None,
        cache_dir: None,
    })
}

#[expect(clippy::unwrap_used, reason = "a helper of tests: the lint knows only their own bodies")]
fn sha(digit: char) -> CommitSha {
    CommitSha::new(digit.to_string().repeat(40)).unwrap()
}

#[expect(clippy::unwrap_used, reason = "a helper of tests: the lint knows only their own bodies")]
fn status(context: &str, state: StatusState, description: &str) -> NewStatus {
    NewStatus::new(Context::new(context).unwrap(), state, description)
}

/// What an error and its causes say after the request.
fn words(error: &ForgeError) -> String {
    let text = Chain(error).to_string();
    text.split_once("`fake`: ").map_or(text.clone(), |(_, words)| words.to_owned())
}
