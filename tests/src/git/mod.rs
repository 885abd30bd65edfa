//! Repositories for tests, served over `git://` to whoever runs on this machine.

mod daemon;
mod import;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use self::daemon::Daemon;
use self::import::Commit;
pub use self::import::File;

/// For every git here, instead of the user's and the machine's settings.
const CONFIG: &str = "[init]\n\tdefaultBranch = main\n\
    [uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true\n\
    [gc]\n\tauto = 0\n[safe]\n\tdirectory = *\n";

/// A server of git repositories; it and they are gone when it is dropped.
pub struct GitServer {
    // In this order: the server ends before its folder goes.
    daemon: Daemon,
    folder: TempDir,
}

impl GitServer {
    /// Starts a server without repositories on a free port of the loopback interface.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("flotilla-git-").tempdir()?;
        fs::write(folder.path().join("gitconfig"), CONFIG).context("cannot write git's settings")?;
        fs::create_dir(folder.path().join("repositories")).context("cannot make a folder")?;
        let daemon = Daemon::start(folder.path()).await?;
        Ok(Self { daemon, folder })
    }

    /// What comes before `/owner/name` in a URL: `git://127.0.0.1:PORT`, the forge's `clone-url`.
    pub fn url(&self) -> String {
        format!("git://127.0.0.1:{}", self.daemon.port())
    }

    /// Where it keeps everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Creates the repository `owner/name` with these files in the first commit of `main`.
    pub async fn create(&self, repo: &str, files: &[File]) -> Result<String> {
        let folder = self.path(repo);
        ensure!(!folder.exists(), "there is a repository {repo} already");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        self.git(repo, &["init", "--quiet", "--bare"]).await?;
        self.import(repo, "refs/heads/main", None, "Start", files).await
    }

    /// Commits files on top of a branch and moves it.
    pub async fn commit(&self, repo: &str, branch: &str, message: &str, files: &[File]) -> Result<String> {
        let reference = format!("refs/heads/{branch}");
        self.import(repo, &reference, Some(&reference), message, files).await
    }

    /// Makes or replaces a branch at a commit, branch or other reference.
    pub async fn branch(&self, repo: &str, branch: &str, start: &str) -> Result<String> {
        let sha = self.resolve(repo, start).await?;
        self.git(repo, &["update-ref", &format!("refs/heads/{branch}"), &sha]).await?;
        Ok(sha)
    }

    /// Makes one commit on top of `base` the head of a pull: the first one, or as by a forced push.
    pub async fn push_pull(&self, repo: &str, number: u64, base: &str, files: &[File]) -> Result<String> {
        let message = format!("Pull {number}");
        self.import(repo, &pull_head(number), Some(base), &message, files).await
    }

    /// Adds a commit to a pull.
    pub async fn extend_pull(&self, repo: &str, number: u64, files: &[File]) -> Result<String> {
        let head = pull_head(number);
        self.import(repo, &head, Some(&head), &format!("More of pull {number}"), files).await
    }

    /// The commit that a branch, reference or abbreviated commit means.
    pub async fn resolve(&self, repo: &str, name: &str) -> Result<String> {
        let commit = format!("{name}^{{commit}}");
        let sha = self.git(repo, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).await;
        Ok(text(&sha.with_context(|| format!("{repo} has no {name}"))?))
    }

    /// The content of a file at a commit, branch or other reference, if it is there.
    pub async fn read(&self, repo: &str, at: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let is_commit = at.len() == 40 && at.bytes().all(|it| it.is_ascii_hexdigit());
        let sha = if is_commit { at.to_owned() } else { self.resolve(repo, at).await? };
        let listed = self.git(repo, &["ls-tree", "-z", &sha, "--", path]).await?;
        // "100644 blob <id>\t<path>"; a folder is a tree.
        if String::from_utf8_lossy(&listed).split(' ').nth(1) != Some("blob") {
            return Ok(None);
        }
        self.git(repo, &["cat-file", "blob", &format!("{sha}:{path}")]).await.map(Some)
    }

    /// Runs git in a repository, for what has no verb here, and gives its standard output.
    pub async fn git(&self, repo: &str, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = self.command(repo).args(arguments).output().await.context("git does not start")?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())
    }

    async fn import(
        &self,
        repo: &str,
        reference: &str,
        parent: Option<&str>,
        message: &str,
        files: &[File],
    ) -> Result<String> {
        let parent = match parent {
            Some(parent) => Some(self.resolve(repo, parent).await?),
            None => None,
        };
        Commit { reference, parent: parent.as_deref(), message, files }.import(self.command(repo)).await
    }

    fn command(&self, repo: &str) -> Command {
        let mut command = Command::new("git");
        command.kill_on_drop(true).current_dir(self.path(repo));
        for (name, value) in environment(self.folder.path()) {
            command.env(name, value);
        }
        command
    }

    fn path(&self, repo: &str) -> PathBuf {
        self.folder.path().join("repositories").join(repo)
    }
}

/// The reference under which a forge offers the head of a pull.
pub fn pull_head(number: u64) -> String {
    format!("refs/pull/{number}/head")
}

/// Keeps the user's and the machine's settings out.
fn environment(folder: &Path) -> [(&'static str, PathBuf); 3] {
    [
        ("GIT_CONFIG_GLOBAL", folder.join("gitconfig")),
        ("GIT_CONFIG_SYSTEM", PathBuf::from("/dev/null")),
        ("GIT_TEMPLATE_DIR", PathBuf::new()),
    ]
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}
