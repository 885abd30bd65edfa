//! A server of the harness with all its descendants: one process group, which never outlives us.
//!
//! Ending it on drop is not enough, as a test that is killed (by nextest's timeout, by an
//! impatient developer) drops nothing. So each group has a watchdog: a shell in a group of its
//! own that reads a pipe from us. However we end, the kernel closes the pipe; the shell
//! then kills the server's group and removes its folder.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

/// Says what to do at the end of the pipe; a word that arrives before it means that the group
/// ended in an orderly way and that its id may belong to somebody else by now.
const WATCHDOG: &str = r#"trap "" INT TERM HUP; read -r word && exit; kill -s KILL -- "-$1"; rm -rf -- "$2""#;

/// How long killed processes may take to be gone.
const KILLED: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// A process group that we started.
#[derive(Debug)]
pub struct Group {
    id: Pid,
    leader: Child,
    watchdog: Child,
}

impl Group {
    /// Starts `command` as the leader of a new group.
    ///
    /// `folder` is removed if this process ends without ending the group.
    pub fn spawn(command: &mut Command, folder: &Path) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let leader = command.process_group(0).spawn().with_context(|| format!("{program} does not start"))?;
        let id = Pid::from_child(&leader);
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &id.to_string()])
            .arg(folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { id, leader, watchdog }),
            Err(error) => {
                let _ = kill_process_group(id, Signal::KILL);
                Err(error).context("the watchdog does not start")
            }
        }
    }

    /// The id of the group.
    pub fn id(&self) -> i32 {
        self.id.as_raw_nonzero().get()
    }

    /// How the leader ended, if it has.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.leader.try_wait().context("asking for the state of a child")
    }

    /// Asks the whole group to end in an orderly way, and kills what is left at the deadline.
    pub async fn terminate(mut self, deadline: Duration) -> Result<()> {
        let _ = kill_process_group(self.id, Signal::TERM);
        let end = Instant::now() + deadline;
        while Instant::now() < end && self.exited()?.is_none() {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Kills the whole group, now, and waits until it is gone.
    pub fn kill(self) {
        drop(self);
    }

    fn end(&mut self) {
        // No such group any more: just what is wanted.
        let _ = kill_process_group(self.id, Signal::KILL);
        let _ = self.leader.wait();
        let end = Instant::now() + KILLED;
        while Instant::now() < end && !members(self.id()).is_empty() {
            thread::sleep(POLL);
        }
        if let Some(mut pipe) = self.watchdog.stdin.take() {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.watchdog.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// The living processes of a group. Zombies don't count: their parent may take its time.
pub fn members(group: i32) -> Vec<i32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| group_of(*pid) == Some(group))
        .collect()
}

fn group_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; after it come state, parent and group.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    (state != "Z" && state != "X").then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Group {
        let folder = tempfile::tempdir().unwrap();
        Group::spawn(Command::new("sh").args(["-c", script]), folder.path()).unwrap()
    }

    #[test]
    fn drop_ends_descendants_too() {
        let group = shell("sleep 60 & sleep 60 & wait");
        let id = group.id();
        while members(id).len() < 3 {
            thread::sleep(POLL);
        }
        drop(group);
        assert_eq!(members(id), Vec::<i32>::new());
    }

    #[tokio::test]
    async fn terminate_waits_for_an_orderly_end() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!(
            "trap 'echo orderly > {0}; exit' TERM; echo > {0}.ready; while :; do sleep 0.01; done",
            mark.display()
        );
        let group = shell(&script);
        while !folder.path().join("mark.ready").exists() {
            tokio::time::sleep(POLL).await;
        }
        group.terminate(Duration::from_secs(5)).await.unwrap();
        assert_eq!(fs::read_to_string(mark).unwrap(), "orderly\n");
    }

    #[test]
    fn the_watchdog_cleans_up_after_us() {
        let folder = tempfile::tempdir().unwrap();
        let mut group = Group::spawn(Command::new("sleep").arg("60"), folder.path()).unwrap();
        let id = group.id();
        drop(group.watchdog.stdin.take()); // as the kernel does when we are killed
        group.watchdog.wait().unwrap();
        group.leader.wait().unwrap();
        assert_eq!(members(id), Vec::<i32>::new());
        assert!(!folder.path().exists());
    }
}
