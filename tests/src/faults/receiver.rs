//! The receiver: always at the same address, whoever kills it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use crate::fleet::{DEADLINE, Program};
use crate::forge::Hook;
use crate::proxy::Proxy;
use crate::secrets;

/// The receiver, behind a network of its own.
pub(super) struct Receiver {
    folder: PathBuf,
    config: PathBuf,
    proxy: Proxy,
    starts: usize,
    /// Where it listens, since it has first been started.
    address: Option<String>,
    program: Option<Program>,
}

impl Receiver {
    pub(super) async fn start(config: &Path, proxy: Proxy) -> Result<Self> {
        let folder = config.parent().context("a folder")?.to_owned();
        let config = config.to_owned();
        let mut receiver = Self { folder, config, proxy, starts: 0, address: None, program: None };
        receiver.run().await?;
        Ok(receiver)
    }

    /// Starts it, if it is not there.
    pub(super) async fn run(&mut self) -> Result<()> {
        if self.program.is_some() {
            return Ok(());
        }
        self.starts += 1;
        let config = self.config.display().to_string();
        let mut arguments = ["--amqp", self.proxy.address(), "--config", &config].map(str::to_owned).to_vec();
        if let Some(address) = &self.address {
            arguments.extend(["--listen".to_owned(), address.clone()]);
        }
        let mut program = Program::start("webhook", self.starts, &self.folder, &arguments, &[])?;
        self.address = Some(program.listening("events").await?);
        self.program = Some(program);
        Ok(())
    }

    pub(super) async fn kill(&mut self) -> Result<()> {
        let Some(mut program) = self.program.take() else { return Ok(()) };
        program.signal(Signal::KILL)?;
        program.ended(DEADLINE).await?;
        Ok(())
    }

    pub(super) const fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// What sends events to it.
    pub(super) fn hook(&self) -> Result<Hook> {
        let address = self.address.as_deref().context("the receiver was never there")?;
        Hook::new(&format!("http://{address}/"), secrets::WEBHOOK_TOKEN)
    }

    /// Ends it in good order, and says what did not end well.
    pub(super) async fn end(&mut self) -> Result<Option<String>> {
        let Some(program) = &mut self.program else { return Ok(None) };
        let status = program.stop(DEADLINE).await?;
        let is_wrong = !status.success() || program.said().contains("panicked");
        Ok(is_wrong.then(|| format!("the receiver ended with {status}:\n{}", program.said())))
    }
}
