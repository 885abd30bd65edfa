//! The broker's management API: what takes `rabbitmqctl` two seconds takes it a few milliseconds.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::{Value, json};

use crate::secrets::BROKER_USER;

/// Regular expressions of the names of queues and exchanges; the default exchange is `amq.default`.
#[derive(Clone, Copy, Debug)]
pub struct Permissions<'a> {
    pub configure: &'a str,
    pub write: &'a str,
    pub read: &'a str,
}

/// A client of one broker's API.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    base: Url,
    user: String,
    password: String,
}

impl Api {
    /// Takes `http://user:password@host:port`.
    pub(super) fn new(url: &str) -> Result<Self> {
        let mut base = Url::parse(url).with_context(|| format!("{url} is not a URL"))?;
        let user = base.username().to_owned();
        let password = base.password().unwrap_or_default().to_owned();
        if user.is_empty() || password.is_empty() {
            bail!("expected http://user:password@host:port");
        }
        let _ = base.set_username("");
        let _ = base.set_password(None);
        let client = Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self { client, base, user, password })
    }

    /// The URL with the user in it, for another process.
    pub(super) fn url(&self) -> String {
        let mut url = self.base.clone();
        let _ = url.set_username(&self.user);
        let _ = url.set_password(Some(&self.password));
        url.as_str().trim_end_matches('/').to_owned()
    }

    /// Succeeds when the broker answers and knows us.
    pub(super) async fn ping(&self) -> Result<()> {
        self.get(&["whoami"]).await.map(drop)
    }

    pub(super) async fn create_vhost(&self, name: &str) -> Result<()> {
        self.send(Method::PUT, &["vhosts", name], Some(json!({}))).await?;
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        for user in [BROKER_USER, &self.user] {
            self.send(Method::PUT, &["permissions", name, user], Some(all.clone())).await?;
        }
        Ok(())
    }

    /// What the fleet's user may do in a virtual host, as regular expressions of names.
    pub(super) async fn permit(&self, vhost: &str, permissions: &Permissions<'_>) -> Result<()> {
        let Permissions { configure, write, read } = permissions;
        let permissions = json!({"configure": configure, "write": write, "read": read});
        self.send(Method::PUT, &["permissions", vhost, BROKER_USER], Some(permissions)).await.map(drop)
    }

    pub(super) async fn delete_vhost(&self, name: &str) -> Result<()> {
        self.send(Method::DELETE, &["vhosts", name], None).await.map(drop)
    }

    pub(super) async fn vhosts(&self) -> Result<Vec<String>> {
        names(&self.get(&["vhosts"]).await?)
    }

    pub(super) async fn queues(&self, vhost: &str) -> Result<Vec<String>> {
        names(&self.get(&["queues", vhost]).await?)
    }

    pub(super) async fn get(&self, path: &[&str]) -> Result<Value> {
        let response = self.send(Method::GET, path, None).await?;
        response.json().await.context("an answer of the broker's API that is not JSON")
    }

    async fn send(&self, method: Method, path: &[&str], body: Option<Value>) -> Result<Response> {
        let mut url = self.base.clone();
        // Escapes the parts, above all the virtual host `/`.
        url.path_segments_mut().ok().context("a URL without a path")?.clear().push("api").extend(path);
        let mut request =
            self.client.request(method.clone(), url).basic_auth(&self.user, Some(&self.password));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.with_context(|| format!("{method} {path:?}"))?;
        match response.status() {
            StatusCode::UNAUTHORIZED => bail!("the broker's API does not know the user {}", self.user),
            status if status.is_success() => Ok(response),
            status => bail!("{method} {path:?}: {status} {}", response.text().await.unwrap_or_default()),
        }
    }
}

fn names(list: &Value) -> Result<Vec<String>> {
    let list = list.as_array().context("expected a list from the broker's API")?;
    Ok(list.iter().filter_map(|it| it["name"].as_str()).map(str::to_owned).collect())
}
