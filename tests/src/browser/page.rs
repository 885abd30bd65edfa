//! A tab of the browser, and what a person does with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::protocol::Protocol;

/// What a person would wait for.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// What the system prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

/// An uncaught error of a page, or something that its policy forbade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint(pub String);

/// A tab.
pub struct Page {
    protocol: Arc<Protocol>,
    session: String,
}

impl Page {
    pub(super) async fn open(protocol: Arc<Protocol>, width: u32, height: u32) -> Result<Self> {
        let target = protocol.call(None, "Target.createTarget", json!({"url": "about:blank"})).await?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = protocol.call(None, "Target.attachToTarget", attach).await?;
        let session = attached["sessionId"].as_str().context("no session")?.to_owned();
        let page = Self { protocol, session };
        for domain in ["Page", "Runtime", "Log"] {
            page.call(&format!("{domain}.enable"), json!({})).await?;
        }
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        page.call("Emulation.setDeviceMetricsOverride", size).await?;
        // As if the window were in front, whatever other tabs there are.
        page.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true})).await?;
        Ok(page)
    }

    /// Says something to the tab in the browser's protocol.
    pub async fn call(&self, method: &str, parameters: Value) -> Result<Value> {
        self.protocol.call(Some(&self.session), method, parameters).await
    }

    /// Goes to an address and waits until the page's script has begun.
    pub async fn visit(&self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", json!({"url": url})).await?;
        if let Some(error) = answer.get("errorText") {
            bail!("{url}: {error}");
        }
        self.until("document.readyState === 'complete'").await
    }

    /// Loads the page again, and waits until it is the new one.
    pub async fn reload(&self) -> Result<()> {
        self.value("window.isOld = true").await?;
        self.call("Page.reload", json!({})).await?;
        self.until("!window.isOld && document.readyState === 'complete'").await
    }

    /// The value of an expression in the page; of a promise, what it becomes.
    pub async fn value(&self, expression: &str) -> Result<Value> {
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", parameters).await?;
        if let Some(problem) = answer.get("exceptionDetails") {
            bail!("{expression}: {}", problem["exception"]["description"]);
        }
        Ok(answer["result"]["value"].clone())
    }

    /// The value as text.
    pub async fn text(&self, expression: &str) -> Result<String> {
        Ok(match self.value(expression).await? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    /// Waits until an expression is true.
    pub async fn until(&self, expression: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let value = self.value(&format!("Boolean({expression})")).await;
            if matches!(value, Ok(Value::Bool(true))) {
                return Ok(());
            }
            if Instant::now() > end {
                let screen = self.text("document.body.innerText.slice(0, 3000)").await.unwrap_or_default();
                bail!("not true in time: {expression}: {value:?}\nThe page says:\n{screen}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Presses a key: `f`, `N`, `Enter`, `Shift+Enter`, `PageDown`.
    pub async fn press(&self, keys: &str) -> Result<()> {
        let (shift, key) = match keys.strip_prefix("Shift+") {
            Some(key) => (8, key),
            None => (0, keys),
        };
        let text = match key {
            "Enter" => "\r",
            other if other.chars().count() == 1 => other,
            _ => "",
        };
        let (code, number) = match key {
            "Enter" => ("Enter", 13),
            "Tab" => ("Tab", 9),
            "Escape" => ("Escape", 27),
            "ArrowLeft" => (key, 37),
            "ArrowRight" => (key, 39),
            " " => ("Space", 32),
            other => (other, 0),
        };
        let down = json!({"type": "keyDown", "key": key, "code": code, "text": text,
            "windowsVirtualKeyCode": number, "modifiers": shift});
        self.call("Input.dispatchKeyEvent", down).await?;
        let up = json!({"type": "keyUp", "key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": shift});
        self.call("Input.dispatchKeyEvent", up).await?;
        Ok(())
    }

    /// Types into what has the focus.
    pub async fn type_text(&self, text: &str) -> Result<()> {
        self.call("Input.insertText", json!({"text": text})).await?;
        Ok(())
    }

    /// Clicks the middle of the first element that a CSS selector finds, with the keys of `modifiers` held (8: shift).
    pub async fn click(&self, selector: &str, modifiers: u32) -> Result<()> {
        let find = format!(
            "(() => {{ const found = document.querySelector({});
             found.scrollIntoView({{ block: 'nearest' }});
             const it = found.getBoundingClientRect();
             return [it.x + it.width / 2, it.y + it.height / 2] }})()",
            json!(selector)
        );
        let place = self.value(&find).await?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
                "modifiers": modifiers});
            self.call("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    /// Turns the wheel over the middle of the page.
    pub async fn wheel(&self, pixels: i64) -> Result<()> {
        let event = json!({"type": "mouseWheel", "x": 400, "y": 400, "deltaX": 0, "deltaY": pixels});
        self.call("Input.dispatchMouseEvent", event).await?;
        Ok(())
    }

    /// Changes what the system prefers.
    pub async fn prefer(&self, scheme: Scheme) -> Result<()> {
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features})).await?;
        Ok(())
    }

    /// A picture of what is seen, as PNG.
    pub async fn picture(&self) -> Result<Vec<u8>> {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"})).await?;
        Ok(BASE64_STANDARD.decode(answer["data"].as_str().context("no picture")?)?)
    }

    /// What went wrong in the page since the last call. Requests that fail are part of a page's life and none.
    pub fn complaints(&self) -> Vec<Complaint> {
        let events = self.protocol.take_events(&self.session);
        events.iter().filter_map(complaint).map(Complaint).collect()
    }
}

fn complaint(event: &Value) -> Option<String> {
    let parameters = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(parameters["exceptionDetails"].to_string()),
        "Log.entryAdded" => {
            let entry = &parameters["entry"];
            (entry["source"] != "network" && matches!(entry["level"].as_str()?, "error" | "warning"))
                .then(|| entry["text"].to_string())
        }
        _ => None,
    }
}
