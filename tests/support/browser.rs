//! A real Chromium, driven by WebDriver, and the checks that every page gets.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::tools;

/// The widths that the pages are designed for.
pub const PHONE: (u32, u32) = (390, 844);
/// See [`PHONE`].
pub const DESKTOP: (u32, u32) = (1280, 900);

/// What `prefers-color-scheme` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text on light.
    Light,
    /// Light text on dark.
    Dark,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        }
    }
}

/// More browsers at once than this only make each other slow.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// A browser with an empty profile; it derefs to fantoccini's [`Client`]. It is
/// killed when it goes out of scope, and when the test process dies.
pub struct Browser {
    client: Client,
    size: (u32, u32),
    scheme: Scheme,
    _driver: Driver,
    _permit: SemaphorePermit<'static>,
}

impl Deref for Browser {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Every size and scheme that a page must look right in.
pub fn all_looks() -> impl Iterator<Item = ((u32, u32), Scheme)> {
    [PHONE, DESKTOP].into_iter().flat_map(|size| [(size, Scheme::Light), (size, Scheme::Dark)])
}

impl Browser {
    /// Starts a browser; `None` when none is installed and skipping is allowed.
    pub async fn start(width: u32, height: u32, scheme: Scheme) -> Option<Browser> {
        Browser::start_with(width, height, scheme, &[]).await
    }

    /// Starts a browser with more command-line switches, such as
    /// `--blink-settings=scriptEnabled=false`.
    pub async fn start_with(
        width: u32,
        height: u32,
        scheme: Scheme,
        switches: &[&str],
    ) -> Option<Browser> {
        let (chromium, chromedriver) = programs()?;
        let permit = AT_ONCE.acquire().await.unwrap();
        Some(
            Browser::launch(chromium, chromedriver, permit, (width, height), scheme, switches)
                .await,
        )
    }

    /// Starts two browsers that know nothing of each other. A test that needs two must ask for
    /// both at once: two tests with one each would wait for each other.
    pub async fn start_two((width, height): (u32, u32), scheme: Scheme) -> Option<[Browser; 2]> {
        let (chromium, chromedriver) = programs()?;
        let mut permits = AT_ONCE.acquire_many(2).await.unwrap();
        let mut start = async || {
            let permit = permits.split(1).unwrap();
            let (chromium, chromedriver) = (chromium.clone(), chromedriver.clone());
            Browser::launch(chromium, chromedriver, permit, (width, height), scheme, &[]).await
        };
        Some([start().await, start().await])
    }

    async fn launch(
        chromium: PathBuf,
        chromedriver: PathBuf,
        permit: SemaphorePermit<'static>,
        (width, height): (u32, u32),
        scheme: Scheme,
        switches: &[&str],
    ) -> Browser {
        let driver = Driver::start(&chromedriver);
        let profile = format!("--user-data-dir={}", driver.folder.join("profile").display());
        let size = format!("--window-size={width},{height}");
        let mut arguments = vec![
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--disable-features=Translate,OptimizationHints,MediaRouter,PasswordLeakDetection",
            "--password-store=basic",
            "--lang=en-US",
            "--proxy-server=direct://",
            &profile,
            &size,
        ];
        arguments.extend(switches);
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "implicit": 0, "pageLoad": 60_000, "script": 60_000 },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .unwrap_or_else(|error| panic!("chromedriver: {error}"));
        let browser =
            Browser { client, size: (width, height), scheme, _driver: driver, _permit: permit };
        browser.emulate().await;
        browser
    }

    /// Applies the size and the scheme to the current tab. A tab that a test
    /// opens and switches to needs it again.
    pub async fn emulate(&self) {
        let (width, height) = self.size;
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        )
        .await;
        self.cdp(
            "Emulation.setEmulatedMedia",
            json!({ "features": [
                { "name": "prefers-color-scheme", "value": self.scheme.name() },
                { "name": "prefers-reduced-motion", "value": "reduce" },
            ] }),
        )
        .await;
    }

    /// Switches the current tab to another scheme.
    pub async fn set_scheme(&mut self, scheme: Scheme) {
        self.scheme = scheme;
        self.emulate().await;
    }

    /// Switches the current tab to another size.
    pub async fn set_size(&mut self, (width, height): (u32, u32)) {
        self.size = (width, height);
        self.emulate().await;
    }

    /// A command of the Chrome DevTools protocol.
    pub async fn cdp(&self, command: &str, parameters: Value) -> Value {
        let command = Cdp { command: command.to_owned(), parameters };
        self.client.issue_cmd(command).await.unwrap()
    }

    /// Fills the field that a CSS selector finds; what stood there is gone.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.element(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Clicks what a CSS selector finds. A click that leads to another page waits
    /// for that page.
    pub async fn click(&self, selector: &str) {
        self.element(selector).await.click().await.unwrap();
    }

    /// Clicks the button or link with this text.
    pub async fn click_text(&self, text: &str) {
        let path = format!(
            "//*[self::a or self::button or self::summary][normalize-space(.)={}]",
            quoted(text)
        );
        let found = self.client.wait().at_most(WAIT).for_element(Locator::XPath(&path)).await;
        let Ok(found) = found else { self.fail(&format!("no button or link {text:?}")).await };
        found.click().await.unwrap();
    }

    /// Waits for the element that a CSS selector finds.
    pub async fn element(&self, selector: &str) -> fantoccini::elements::Element {
        match self.client.wait().at_most(WAIT).for_element(Locator::Css(selector)).await {
            Ok(found) => found,
            Err(_) => self.fail(&format!("nothing by {selector:?}")).await,
        }
    }

    /// The text that a person sees in the page.
    pub async fn text(&self) -> String {
        self.element("body").await.text().await.unwrap()
    }

    /// Waits until the page shows a text, without loading it anew.
    pub async fn wait_for_text(&self, text: &str) {
        self.wait_for_text_within(WAIT, text).await;
    }

    /// The same, with another deadline.
    pub async fn wait_for_text_within(&self, deadline: Duration, text: &str) {
        let path = format!("//body[contains(normalize-space(.), {})]", quoted(text));
        if self.client.wait().at_most(deadline).for_element(Locator::XPath(&path)).await.is_err() {
            self.fail(&format!("the page doesn't say {text:?}")).await;
        }
    }

    /// Waits until the address satisfies a condition.
    pub async fn wait_for_address(&self, condition: impl Fn(&url::Url) -> bool) -> url::Url {
        let end = tokio::time::Instant::now() + WAIT;
        loop {
            let address = self.client.current_url().await.unwrap();
            if condition(&address) {
                return address;
            }
            if tokio::time::Instant::now() > end {
                self.fail("not the address that was waited for").await;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    async fn fail(&self, what: &str) -> ! {
        let address = self.client.current_url().await.map(String::from).unwrap_or_default();
        let text = match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        panic!("{what} at {address}, which says:\n{text}");
    }

    /// Runs axe-core over the page and returns what it holds against it. It
    /// works under any Content-Security-Policy.
    pub async fn axe(&self) -> Vec<Violation> {
        let file = tools::node_modules().join("axe-core/axe.min.js");
        let Ok(axe) = fs::read_to_string(&file) else {
            tools::missing("axe-core (npm ci in tests/clients)");
            return Vec::new();
        };
        let run = r#"
            const done = arguments[arguments.length - 1];
            const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
            axe.run(document, { runOnly: { type: "tag", values: tags },
                resultTypes: ["violations"] })
                .then(found => done({ found: found.violations.map(violation => ({
                    id: violation.id, impact: violation.impact || "", help: violation.help,
                    nodes: violation.nodes.map(node =>
                        `${node.target.join(" ")}: ${node.failureSummary} ${node.html}`) })) }))
                .catch(error => done({ error: String(error) }));"#;
        // Once per page: the source is half a megabyte.
        let loaded = self.client.execute("return typeof axe === 'object'", vec![]).await.unwrap();
        if loaded != Value::Bool(true) {
            self.client.execute(&format!("{axe}\n;window.axe = axe;"), vec![]).await.unwrap();
        }
        let answer = self.client.execute_async(run, vec![]).await.unwrap();
        let found = answer["found"].as_array().unwrap_or_else(|| panic!("axe: {answer}"));
        found
            .iter()
            .map(|violation| Violation {
                id: violation["id"].as_str().unwrap_or_default().to_owned(),
                impact: violation["impact"].as_str().unwrap_or_default().to_owned(),
                help: violation["help"].as_str().unwrap_or_default().to_owned(),
                nodes: violation["nodes"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|node| node.as_str().map(str::to_owned))
                    .collect(),
            })
            .collect()
    }

    /// What every page must pass: axe finds nothing, nothing scrolls sideways,
    /// and the console has no complaint (blocked by the CSP, 404 …). Leaves a
    /// screenshot under `name`.
    pub async fn check_page(&self, name: &str) {
        self.check_sight(name).await;
        self.check_console(name, None).await;
    }

    /// [`Browser::check_page`] in both schemes on a phone and on a desk; the page
    /// is left as it was. `status`: what it was answered with, where that is an
    /// error, since Chromium notes that in the console.
    pub async fn check_looks(&mut self, name: &str, status: Option<u16>) {
        let before = (self.size, self.scheme);
        self.check_console(name, status).await;
        for (size, scheme) in all_looks() {
            (self.size, self.scheme) = (size, scheme);
            self.emulate().await;
            self.check_sight(name).await;
        }
        (self.size, self.scheme) = before;
        self.emulate().await;
        self.check_console(name, None).await;
    }

    async fn check_sight(&self, name: &str) {
        self.screenshot(name).await;
        let violations = self.axe().await;
        assert!(violations.is_empty(), "axe on {name}: {violations:#?}");
        self.no_sideways_scroll().await;
    }

    async fn check_console(&self, name: &str, status: Option<u16>) {
        let known = status.map(|status| format!("responded with a status of {status} ("));
        let mut complaints = self.console().await;
        complaints.retain(|text| !known.as_deref().is_some_and(|known| text.contains(known)));
        assert!(complaints.is_empty(), "console on {name}: {complaints:#?}");
    }

    /// Fails when the page is wider than the window.
    pub async fn no_sideways_scroll(&self) {
        let script = "const page = document.documentElement; \
            const wide = [...document.querySelectorAll('body *')] \
                .filter(e => e.getBoundingClientRect().right > page.clientWidth + 1) \
                .slice(0, 5).map(e => e.outerHTML.slice(0, 120)); \
            return [page.scrollWidth, page.clientWidth, wide];";
        let answer = self.client.execute(script, vec![]).await.unwrap();
        let (content, window) = (answer[0].as_u64().unwrap(), answer[1].as_u64().unwrap());
        assert!(content <= window, "the page is {content} px wide in {window} px: {}", answer[2]);
    }

    /// The errors and warnings of the console since it was last asked.
    pub async fn console(&self) -> Vec<String> {
        let answer = self.client.issue_cmd(BrowserLog).await.unwrap();
        answer
            .as_array()
            .into_iter()
            .flatten()
            .filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")))
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Saves the window as `target/screenshots/NAME-WIDTH-SCHEME.png`.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let folder = tools::target_folder().join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{name}-{}-{}.png", self.size.0, self.scheme.name()));
        fs::write(&file, self.client.screenshot().await.unwrap()).unwrap();
        file
    }
}

/// How long the browser may take to show what a test waits for.
const WAIT: Duration = Duration::from_secs(20);

fn programs() -> Option<(PathBuf, PathBuf)> {
    let found = tools::chromium().zip(tools::chromedriver());
    if found.is_none() {
        tools::missing("Chromium or chromedriver");
    }
    found
}

fn quoted(text: &str) -> String {
    if text.contains('\'') { format!("\"{text}\"") } else { format!("'{text}'") }
}

/// A rule of axe-core that a page breaks.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule.
    pub id: String,
    /// `minor`, `moderate`, `serious` or `critical`.
    pub impact: String,
    /// What the rule asks for.
    pub help: String,
    /// Where it is broken, and why.
    pub nodes: Vec<String>,
}

#[derive(Debug)]
struct Cdp {
    command: String,
    parameters: Value,
}

impl WebDriverCompatibleCommand for Cdp {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.command, "params": self.parameters });
        (Method::POST, Some(body.to_string()))
    }
}

#[derive(Debug)]
struct BrowserLog;

impl WebDriverCompatibleCommand for BrowserLog {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

/// One chromedriver and its Chromium. They die with `keeper`'s standard input.
struct Driver {
    keeper: Child,
    port: u16,
    folder: PathBuf,
}

impl Driver {
    fn start(chromedriver: &std::path::Path) -> Driver {
        let folder = tempfile::Builder::new().prefix("perennial-web-").tempdir().unwrap().keep();
        // The keeper starts the driver, waits for the end of its own input, then
        // kills the driver and every process that names the profile's folder.
        let script = "\"$1\" --port=0 --log-level=SEVERE </dev/null & driver=$!; \
            read -r line; kill -9 $driver; \
            for try in 1 2; do for process in /proc/[0-9]*; do \
            grep -qsF -- \"--user-data-dir=$2/\" \"$process/cmdline\" && \
            kill -9 \"${process#/proc/}\"; done; done; \
            cd /; rm -rf \"$2\" || { sleep 1; rm -rf \"$2\"; }";
        let mut keeper = Command::new("sh")
            .args(["-c", script, "perennial-test-keeper"])
            .arg(chromedriver)
            .arg(&folder)
            .current_dir(&folder)
            .env("TMPDIR", &folder)
            .env("HOME", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(keeper.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let rest = line.split_once("started successfully on port ")?.1;
            rest.trim_end_matches('.').trim().parse().ok()
        });
        std::thread::spawn(move || lines.for_each(drop));
        let port = port.expect("chromedriver says which port it listens on");
        Driver { keeper, port, folder }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
