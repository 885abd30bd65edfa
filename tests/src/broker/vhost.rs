//! A virtual host: a test's own part of a broker that other tests use at the same time.

use std::thread;

use anyhow::Result;

use super::api::Api;

/// A virtual host in which `cockpit-amqp` may do everything; removed with all its queues on drop.
pub struct VirtualHost {
    name: String,
    api: Option<Api>,
}

impl VirtualHost {
    pub(super) async fn create(api: &Api, name: &str) -> Result<Self> {
        // Made before the first request, so that a half-made one is removed too.
        let vhost = Self { name: name.to_owned(), api: Some(api.clone()) };
        api.create_vhost(name).await?;
        Ok(vhost)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes it and says if that went wrong, which drop cannot.
    pub async fn remove(mut self) -> Result<()> {
        match self.api.take() {
            Some(api) => api.delete_vhost(&self.name).await,
            None => Ok(()),
        }
    }
}

impl Drop for VirtualHost {
    fn drop(&mut self) {
        let Some(api) = self.api.take() else { return };
        let (url, name) = (api.url(), self.name.clone());
        // Drop cannot wait for the runtime that it may be running on, so: another one, with its own client.
        let removal = thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { Api::new(&url)?.delete_vhost(&name).await })
        });
        // A broker that was stopped or killed took its virtual hosts with it.
        let _ = removal.join();
    }
}
