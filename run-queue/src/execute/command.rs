//! `{"command": …}`: a command on the worker itself.

use common::Chain;
use common::task::Command;

use super::Mailer;
use super::notice::Notice;
use super::process::{self, Ended, Finished};
use crate::handler::{Failure, Work};

/// Runs it. A command that fails has been dealt with all the same, since nobody knows whether it may run twice, as long as somebody
/// hears of it: where there is a mail server, it has taken the notice.
pub(super) async fn perform(
    command: &Command,
    work: &Work,
    host: &str,
    mailer: Option<&Mailer>,
) -> Result<(), Failure> {
    let program = match command {
        Command::Shell(text) => process::program(["sh", "-c", text]),
        Command::Words(words) => process::program(words),
    };
    let Finished { ended, output } = process::run(program, None, work).await?;
    if matches!(ended, Ended::Exited(status) if status.success()) {
        tracing::info!("the command succeeded");
        return Ok(());
    }
    tracing::error!(?ended, "the command failed");
    let Some(mailer) = mailer else { return Ok(()) };
    let (queue, headers, output) = (work.queue, &work.headers, output.last_lines());
    tell(&Notice { command, ended, output, queue, headers, host }, work, mailer).await
}

/// A notice that nobody takes is tried again for a while. Then the message is not acknowledged: it comes back after a pause, and is dead
/// in the end, where an operator sees it.
async fn tell(notice: &Notice<'_>, work: &Work, mailer: &Mailer) -> Result<(), Failure> {
    let unsent = |error: &dyn std::error::Error| {
        let (ended, why) = (notice.ended, Chain(error));
        Failure::Retry(format!("the command failed with {ended}, and its notice could not be sent: {why}"))
    };
    let mail = notice.mail(&mailer.settings.from, &mailer.settings.to).map_err(|it| unsent(&it))?;
    tokio::select! {
        sent = mailer.send(&mail) => sent.map_err(|it| unsent(&it)),
        () = work.cancelled.cancelled() => Err(Failure::Abandoned),
    }
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
        perform(&Command::Words(words), &work, "host", None).await.unwrap();
        perform(&Command::Shell(format!("rm '{file}'; exit 3")), &work, "host", None).await.unwrap();
        assert!(!std::path::Path::new(&file).exists());
    }
}
