//! The page against the real service, with an operator that traps: what it shows is what happened,
//! and it outlives the host's death by `kill -9`.

use crate::browser::{Browser, LIMIT};
use crate::is_clean;
use pawl_tests::{Folder, Running, input, wait_for};

const PIPELINE: &str = r#"
pawl = 1
name = "watched"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
partitions = 2
[topics.out]
[topics.side]
[commit]
interval_ms = 20
[[stage]]
name = "copy"
input = "in"
output = "out"
[[stage.operator]]
name = "guest"
plugin = "misbehaving"
config = { mode = "by-value" }
outputs = { side = "side" }
[[sink]]
name = "files"
input = "out"
file = { folder = "written" }
"#;

/// Starts the service; tells its address.
pub fn start(folder: &Folder, listen: &str) -> (Running, String) {
    let mut running = folder.start(&["run", "p.toml", "--listen", listen]);
    running.wait_until_it_says("serving metrics");
    let address = wait_for("the address", LIMIT, || {
        let said = running.err();
        let from = said.find("127.0.0.1:")?;
        let text = said.get(from..)?;
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'))?;
        text.get(..end).map(str::to_owned)
    });
    (running, address)
}

#[test]
fn the_page_shows_what_a_real_run_does_and_outlives_its_kill() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = Folder::new("page", PIPELINE);
    let (running, address) = start(&folder, "127.0.0.1:0");
    let url = format!("http://{address}/");
    browser.look(1280, 900, "light");
    browser.open(&url);
    browser.wait_for_headline("All is well");
    folder.produce("in", &input::joined(&input::numbered(0, 3000)));
    browser.wait(
        "a rate on the way from stage to sink while records flow",
        "[...document.querySelectorAll('#graph .edge text')].some((one) => \
         parseFloat(one.textContent) > 0)",
    );
    browser.wait(
        "the count of records out",
        "document.querySelector('#stage-copy [data-label=out]').title === '3,000 in all'",
    );
    folder.produce("in", "trap\n");
    browser.wait("the dead letter", "/trap/.test(document.querySelector('#letters').innerText)");
    let stored = folder.stored().letters();
    assert_eq!(stored.len(), 1, "{stored:?}");
    browser.click("#letters button");
    browser.wait("the letter", "document.querySelector('#letter').open");
    let letter = browser.says("#letter");
    let id = browser.text("document.querySelector('#letter dd code').textContent");
    let show = format!("pawl dlq show -p p.toml {id}");
    assert!(letter.contains(&show) && letter.contains("guest"), "{letter}");
    assert_eq!(browser.says("#letter pre"), "trap");
    // What it says to type can be typed.
    let typed: Vec<&str> = show.split(' ').skip(1).collect();
    let shown = folder.pawl(&[&typed[..], &["--payload"]].concat(), b"").success();
    assert_eq!(shown.out, b"trap");
    browser.press("Escape");
    let nodes = browser.text(
        "[...document.querySelectorAll('#graph .node')].map((one) => \
         one.querySelector('.name, .label').textContent).sort().join()",
    );
    assert_eq!(nodes, "copy,files,in,out,side", "nothing was sent back: no topic for that");
    browser.picture("real-light");
    is_clean(&mut browser, &url);

    assert!(running.kill().was_killed());
    browser.wait_for_headline("The host does not answer since");
    let (running, _) = start(&folder, &address);
    browser.wait_for_headline("All is well");
    folder.produce("in", &input::joined(&input::numbered(3000, 4000)));
    browser.wait(
        "counts that go on",
        "document.querySelector('#stage-copy [data-label=out]').title === '4,000 in all'",
    );
    running.signal("TERM");
    running.wait().success();
}

#[test]
fn a_task_that_stops_is_the_headline_with_its_code_and_its_reason() {
    let Some(mut browser) = Browser::start() else { return };
    let stopping = PIPELINE
        .replace("by-value", "snapshot-traps")
        .replace("[commit]", "[checkpoint]\ninterval_ms = 50\n[commit]");
    let folder = Folder::new("page-stopped", &stopping);
    let (running, address) = start(&folder, "127.0.0.1:0");
    browser.look(1280, 900, "dark");
    browser.open(&format!("http://{address}/"));
    // A checkpoint is due while there is something to do.
    let headline = "document.querySelector('#verdict h1').innerText.includes('stopped: snapshot')";
    wait_for("the headline", LIMIT, || {
        folder.produce("in", &input::joined(&input::numbered(0, 100)));
        (browser.eval(headline) == true).then_some(())
    });
    assert!(browser.says("#verdict").contains("pawl explain snapshot"));
    drop(running);
}
