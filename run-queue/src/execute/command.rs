//! `{"command": …}`: a command on the worker itself.

use common::task::Command;

use super::process::{self, Ended};
use crate::handler::{Failure, Work};

/// Runs it. A command that fails has been dealt with all the same, since nobody knows whether it may run twice; what it ended
/// with is in the worker's log.
pub(super) async fn perform(command: &Command, work: &Work) -> Result<(), Failure> {
    let program = match command {
        Command::Shell(text) => process::program(["sh", "-c", text]),
        Command::Words(words) => process::program(words),
    };
    match process::run(program, None, work).await? {
        Ended::Exited(status) if status.success() => tracing::info!("the command succeeded"),
        ended => tracing::error!(?ended, "the command failed"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use common::queue::Queue;
    use tokio_util::sync::CancellationToken;

    use super::super::process::tests::work;
    use super::*;

    #[tokio::test]
    async fn commands_run_with_and_without_a_shell_and_may_fail() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a b").display().to_string();
        let work = work(Queue::Public, CancellationToken::new());
        let words = vec!["touch".to_owned(), file.clone()];
        perform(&Command::Words(words), &work).await.unwrap();
        perform(&Command::Shell(format!("rm '{file}'; exit 3")), &work).await.unwrap();
        assert!(!std::path::Path::new(&file).exists());
    }
}
