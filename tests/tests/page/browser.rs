//! Chromium without a window, driven over its DevTools protocol through two pipes: no port that
//! could be taken, no package, no driver program. Each message is JSON with a zero byte behind it.
//!
//! Needs `chromium` (Debian: `apt-get install chromium`), or its path in `PAWL_CHROMIUM`. Without
//! it tests are skipped loudly, except where the variable `CI` is `true`: there they fail.

use pawl_tests::within;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How long the browser may take for anything. It starts cold, beside other tests.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Messages of the browser that nobody has read yet.
const UNREAD_MAX: usize = 65_536;

/// A browser with one page. Dropped, it ends.
pub struct Browser {
    child: Child,
    commands: Option<ChildStdin>,
    messages: Receiver<Value>,
    session: String,
    number: u64,
    events: Vec<Value>,
    profile: PathBuf,
}

impl Browser {
    /// Starts one; none where Chromium is not installed.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            let what = "Chromium is not installed (apt-get install chromium)";
            assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "{what}");
            eprintln!("\n*** SKIPPED: {what} ***\n");
            return None;
        };
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pawl-browser-{}-{number}", std::process::id());
        let profile = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&profile).expect("the folder for temporary files is writable");
        let mut child = launch(&program, &profile);
        let commands = child.stdin.take();
        let answers = child.stdout.take().expect("it is piped");
        let (sender, messages) = sync_channel(UNREAD_MAX);
        std::thread::spawn(move || {
            let answers = BufReader::new(answers).split(0).map_while(Result::ok);
            for message in answers.filter_map(|bytes| serde_json::from_slice(&bytes).ok()) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let (session, events) = (String::new(), Vec::new());
        let mut browser = Self { child, commands, messages, session, number: 0, events, profile };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let made = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": made["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", target);
        attached["sessionId"].as_str().expect("a session").clone_into(&mut self.session);
        for room in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{room}.enable"), json!({}));
        }
    }

    /// Calls a method of the protocol.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let commands = self.commands.as_mut().expect("it is taken only at the end");
        let sent = commands.write_all(format!("{message}\0").as_bytes());
        sent.unwrap_or_else(|error| panic!("{method}: {error}: {}", self.last_words()));
        loop {
            let message = match self.messages.recv_timeout(LIMIT) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => panic!("{method}: no answer in {LIMIT:?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{method}: the browser has ended: {}", self.last_words())
                }
            };
            if message["id"] == json!(self.number) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn last_words(&self) -> String {
        std::fs::read_to_string(self.profile.join("stderr")).unwrap_or_default()
    }

    /// A page of so many pixels, with a system that is `light` or `dark`.
    pub fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600
        });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Goes to an address and waits until it is there. What was heard before is forgotten.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": "about:blank" }));
        self.wait("the page before is gone", "location.href === 'about:blank'");
        self.events.clear();
        self.call("Page.navigate", json!({ "url": url }));
        self.wait(
            "the page",
            "location.href !== 'about:blank' && document.readyState === 'complete'",
        );
    }

    /// The value of an expression.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let parameters =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let done = self.call("Runtime.evaluate", parameters);
        assert!(done["exceptionDetails"].is_null(), "{expression}: {done}");
        done["result"]["value"].clone()
    }

    /// An expression as text.
    #[track_caller]
    pub fn text(&mut self, expression: &str) -> String {
        let value = self.eval(expression);
        value.as_str().unwrap_or_else(|| panic!("{expression} is {value}")).to_owned()
    }

    /// What stands in an element, as a person sees it.
    #[track_caller]
    pub fn says(&mut self, selector: &str) -> String {
        self.text(&format!("document.querySelector({selector:?}).innerText"))
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait(&mut self, what: &str, expression: &str) {
        let found = within(LIMIT, || {
            let parameters = json!({ "expression": expression, "returnByValue": true });
            // While a page is exchanged for the next one there may be nothing to ask.
            let done = self.call("Runtime.evaluate", parameters);
            (done["result"]["value"] == json!(true)).then_some(())
        });
        if found.is_none() {
            let page = self.eval("document.body.innerText");
            panic!("waited {LIMIT:?} in vain for {what}; the page says {page}");
        }
    }

    /// Waits until the headline holds a text.
    #[track_caller]
    pub fn wait_for_headline(&mut self, text: &str) {
        let headline = "document.querySelector('#verdict h1')?.innerText";
        self.wait(&format!("`{text}`"), &format!("!!{headline}?.includes({text:?})"));
    }

    /// Presses and lets go the mouse in the middle of an element, as a hand would.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{ const it = document.querySelector({selector:?});
              it.scrollIntoView({{ block: 'center' }});
              const box = it.getBoundingClientRect();
              return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ));
        let (x, y) = (place[0].clone(), place[1].clone());
        for (kind, count) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 1)] {
            let button = if count > 0 { "left" } else { "none" };
            let event =
                json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": count });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Presses a key that has no letter, and lets it go.
    pub fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "Tab" => (9, ""),
            other => panic!("no key {other} is known here"),
        };
        for kind in [if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text
            });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Errors and warnings that the page gave rise to, in the order in which they came.
    pub fn complaints(&mut self) -> Vec<String> {
        self.eval("1");
        let events = self.events.iter().filter_map(|event| {
            let it = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(it["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" => Some(it["args"].to_string()),
                "Log.entryAdded" => Some(it["entry"].to_string()),
                _ => None,
            }
        });
        events.collect()
    }

    /// Addresses that the page asked for.
    pub fn requests(&mut self) -> Vec<String> {
        self.eval("1");
        let sent = |event: &&Value| event["method"] == "Network.requestWillBeSent";
        let urls = self.events.iter().filter(sent).map(|event| &event["params"]["request"]["url"]);
        urls.map(|url| url.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// A picture of what is to be seen, as PNG, where `PAWL_SCREENSHOTS` names a folder for them.
    pub fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("PAWL_SCREENSHOTS") else { return };
        let taken = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = base64(taken["data"].as_str().expect("a picture"));
        let file = Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(file, bytes).expect("the folder of PAWL_SCREENSHOTS is writable");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // At the end of its pipe it ends by itself, and its helpers with it.
        self.commands = None;
        let ended = within(Duration::from_secs(5), || self.child.try_wait().ok().flatten());
        if ended.is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        drop(std::fs::remove_dir_all(&self.profile));
    }
}

/// The browser's program.
fn program() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("PAWL_CHROMIUM") {
        return Some(given.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let files = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    files.into_iter().find(|file| file.is_file())
}

/// Starts it. It speaks on the descriptors 3 and 4, which a shell makes of stdin and stdout.
fn launch(program: &Path, profile: &Path) -> Child {
    let stderr = std::fs::File::create(profile.join("stderr")).expect("the folder is writable");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null"]).arg(program);
    command.arg(format!("--user-data-dir={}", profile.display()));
    command.args([
        "--headless",
        "--remote-debugging-pipe",
        // Root and containers have no sandbox; the page is our own.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-extensions",
        "--no-first-run",
        "about:blank",
    ]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
    command.spawn().expect("sh is on every machine")
}

/// Bytes of a text in base64.
fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter_map(digit) {
        held = (held << 6) | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    bytes
}
