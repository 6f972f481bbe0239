//! What the page shows, and what happens on a click.

use crate::browser::Browser;
use crate::documents::{broken, healthy, hostile, young};
use crate::stand_in::StandIn;
use crate::{is_clean, open};

#[test]
fn a_healthy_pipeline_is_said_to_be_well_and_drawn_with_its_rates() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(|seconds| healthy(seconds, 4));
    browser.look(1280, 900, "light");
    open(&mut browser, &host);
    browser.wait_for_headline("All is well");
    let nodes = browser.text(
        "[...document.querySelectorAll('#graph .node')].map((one) => \
         one.querySelector('.name, .label').textContent).sort().join()",
    );
    assert_eq!(
        nodes,
        "alerts,archive,candidates,cells,correlate,database,drop,encounter,observations,observe,\
         sensors"
    );
    let ordered = browser.eval(
        "(() => { const x = (name) => [...document.querySelectorAll('#graph .node')].find((one) => \
         one.querySelector('.name, .label').textContent === name).getBoundingClientRect().x; \
         const all = ['sensors', 'observations', 'observe', 'cells', 'correlate', 'candidates', \
         'encounter', 'alerts', 'database'].map(x); \
         return all.every((one, at) => at === 0 || one > all[at - 1]); })()",
    );
    assert_eq!(ordered, true, "from left to right");
    browser.wait(
        "a rate on an edge",
        "[...document.querySelectorAll('#graph .edge text')].some((one) => \
         /^(1\\.[12]|2\\.9|3)\\d*k\\/s$/.test(one.textContent))",
    );
    let stages = browser.says("#stages");
    assert!(stages.contains("observe") && stages.contains("31 kB"), "{stages}");
    assert!(stages.contains("124 kB"), "four checkpoints together: {stages}");
    browser.picture("healthy-light");
    is_clean(&mut browser, &host.url());
}

#[test]
fn what_is_wrong_stands_on_top_worst_first_with_what_to_type() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(broken);
    browser.look(1280, 900, "dark");
    open(&mut browser, &host);
    browser.wait_for_headline("correlate/2 has stopped: replay-limit");
    let lead = browser.says("#verdict .lead");
    assert!(lead.contains("ten times 1,000 ms") && lead.contains("Nothing is lost"), "{lead}");
    assert!(lead.contains("pawl explain replay-limit"), "{lead}");
    assert!(lead.contains("runbook PawlTaskStopped"), "{lead}");
    for sentence in [
        "The source drop has stopped: file-shrunk",
        "as many records as usual: bad-json",
        "archive failed and will be tried again: file-io",
        "encounter/1 recovers",
        "The receiver of database is slow",
    ] {
        let list = format!("document.querySelector('#verdict').innerText.includes({sentence:?})");
        browser.wait(sentence, &list);
    }
    let verdict = browser.says("#verdict");
    assert!(!verdict.contains("database falls behind"), "its receiver is why: {verdict}");
    let levels = browser.text(
        "[...document.querySelectorAll('#verdict .problems li')].map((one) => \
         ['bad', 'warn', 'note'].indexOf(one.className)).join('')",
    );
    let mut sorted: Vec<char> = levels.chars().collect();
    sorted.sort_unstable();
    assert_eq!(levels, sorted.into_iter().collect::<String>(), "bad, warn, note");
    let title = browser.text("document.title");
    assert!(title.contains("correlate/2 has stopped"), "{title}");
    browser.wait("a held edge", "!!document.querySelector('#graph .edge.held')");
    browser.picture("broken-dark");
    is_clean(&mut browser, &host.url());
}

#[test]
fn a_click_on_a_dead_letter_opens_it_with_its_payload_and_the_commands() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(|seconds| healthy(seconds, 4));
    browser.look(1280, 900, "light");
    open(&mut browser, &host);
    let list = browser.says("#letters");
    assert!(list.contains("expected `,` at line 1 column 40"), "{list}");
    browser.click("#letters button");
    browser.wait("the letter", "document.querySelector('#letter').open");
    let letter = browser.says("#letter");
    for text in [
        "observations, partition 2, offset 44888281192",
        "pawl dlq show -p conjunctions.toml 00000000000000000000000000000001",
        "pawl dlq show -p conjunctions.toml 00000000000000000000000000000001 --payload",
        "pawl dlq replay -p conjunctions.toml --id=00000000000000000000000000000001 --dry-run",
        "pawl dlq stats -p conjunctions.toml --kind=bad-json",
        "UTC",
    ] {
        assert!(letter.contains(text), "`{text}` is not in {letter}");
    }
    // Set out, and not one digit of it changed.
    let set_out = "{\n  \"id\": 12345678901234567890,\n  \"cut\": {\n    \"off\": [\n";
    assert!(browser.says("#letter pre").starts_with(set_out));
    browser.click("#letter [data-do=raw]");
    assert!(browser.says("#letter pre").starts_with("{\"id\":12345678901234567890,"));
    browser.click("#letter .commands [data-do=copy]");
    browser.wait("a word that it is copied", "document.querySelector('#said').textContent !== ''");
    assert_eq!(browser.text("document.querySelector('#said').textContent"), "copied");
    browser.picture("letter-light");
    browser.click("#letter .close");
    browser.wait("its end", "!document.querySelector('#letter').open");
    is_clean(&mut browser, &host.url());
}

#[test]
fn what_strangers_wrote_is_shown_as_text_and_never_run() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(hostile);
    browser.look(1280, 900, "light");
    open(&mut browser, &host);
    let lead = browser.says("#verdict .lead");
    assert!(lead.contains("<script>window.harmed=1</script>"), "{lead}");
    assert!(lead.contains("pawl explain '$(reboot)'"), "quoted for the shell: {lead}");
    let count = browser.eval("document.querySelectorAll('#letters button').length");
    assert_eq!(count, 5);
    for at in 1..=5 {
        browser.click(&format!("#letters li:nth-child({at}) button"));
        browser.wait("the letter", "document.querySelector('#letter').open");
        let letter = browser.says("#letter");
        let commands = "pawl dlq show -p 'my pipe'\\''s $(reboot).toml' ";
        assert!(letter.contains(commands), "{letter}");
        let shown = match at {
            1 => "<img src=x onerror='window.harmed=2'>",
            2 => "turned ⟨U+202E⟩gnp.exe⟨U+202C⟩ ⟨U+0000⟩ ⟨U+0007⟩",
            3 => "only its beginning is shown",
            4 => "� stands for bytes that are none",
            _ => "مرحبا بالعالم",
        };
        assert!(letter.contains(shown), "`{shown}` is not in {letter}");
        if at == 4 {
            assert!(letter.contains("toml' ''\\''; reboot #' --payload"), "{letter}");
            assert!(letter.contains("--id=''\\''; reboot #' --dry-run"), "{letter}");
        }
        let wide = browser.eval("document.querySelector('#letter').scrollWidth");
        let room = browser.eval("document.querySelector('#letter').clientWidth");
        assert_eq!(wide, room, "letter {at} is wider than its box");
        browser.press("Escape");
        browser.wait("its end", "!document.querySelector('#letter').open");
    }
    let made =
        "document.querySelectorAll('main script, main img, header img, dialog script').length";
    assert_eq!(browser.eval(made), 0);
    assert_eq!(browser.eval("window.harmed === undefined"), true);
    is_clean(&mut browser, &host.url());
}

#[test]
fn what_is_not_known_is_never_shown_as_nought() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(young);
    browser.look(1280, 900, "light");
    browser.open(&host.url());
    browser.wait_for_headline("All is well");
    let lead = browser.says("#verdict");
    assert!(lead.contains("The host has been starting"), "{lead}");
    let row = browser.says("#stage-observe");
    assert!(row.contains("none yet") && row.contains("2 starting"), "{row}");
    assert!(!row.contains('0'), "{row}");
    assert!(browser.says("#dead").contains("None so far"));
    is_clean(&mut browser, &host.url());
}

#[test]
fn of_sixty_four_tasks_those_in_trouble_are_seen_and_all_on_request() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(|seconds| {
        let mut status = healthy(seconds, 64);
        for partition in [3, 40] {
            let task = &mut status["stages"][1]["tasks"][partition];
            task["state"] = "stopped".into();
            task["reason"] = serde_json::json!({ "code": "snapshot", "message": "it trapped" });
        }
        status
    });
    browser.look(1280, 900, "light");
    open(&mut browser, &host);
    browser.wait_for_headline("2 of 64 tasks of correlate have stopped: snapshot");
    let tasks = browser.says("#tasks");
    assert!(tasks.contains("correlate/3") && tasks.contains("correlate/40"), "{tasks}");
    assert!(!tasks.contains("correlate/4\t"), "{tasks}");
    browser.click("#tasks [data-what=correlate]");
    browser
        .wait("all of them", "document.querySelector('#tasks').innerText.includes('correlate/63')");
    is_clean(&mut browser, &host.url());
}

#[test]
fn a_host_that_does_not_answer_is_told_since_when_and_the_page_goes_on_by_itself() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(|seconds| healthy(seconds, 2));
    browser.look(1280, 900, "light");
    open(&mut browser, &host);
    browser.wait_for_headline("All is well");
    host.set(|_| None);
    browser.wait_for_headline("The host does not answer since");
    let lead = browser.says("#verdict");
    assert!(lead.contains("it answers with HTTP 500") && lead.contains("UTC"), "{lead}");
    assert!(browser.text("document.title").contains("no answer"));
    let dim = "Number(getComputedStyle(document.querySelector('#content')).opacity) < 0.8";
    assert_eq!(browser.eval(dim), true);
    let (port, url) = (host.port(), host.url());
    drop(host);
    let refused = "document.querySelector('#verdict').innerText.includes('nobody listens there')";
    browser.wait("a word of the refused connection", refused);
    browser.picture("gone-light");
    let host = StandIn::start_at(port, |seconds| healthy(seconds, 2));
    browser.wait_for_headline("All is well");
    assert_eq!(host.url(), url);
    let dimmed = "document.documentElement.classList.contains('away')";
    assert_eq!(browser.eval(dimmed), false);
    let told = browser.says("#foot");
    assert!(told.contains("This device's clock is"), "the clocks differ by years: {told}");
}

#[test]
fn a_source_that_is_silent_and_a_task_that_others_hold_are_told_and_by_whom() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(|seconds| {
        let mut status = healthy(seconds, 2);
        let now_ms = status["now_ms"].as_i64().expect("a time");
        status["sources"][0]["goes_on"] = true.into();
        status["sources"][0]["last_record_ms"] = (now_ms - 7_500_000).into();
        status["stages"][0]["tasks"][1]["watermark_ms"] = serde_json::Value::Null;
        status["stages"][0]["tasks"][1]["records"]["in"] = 0.into();
        status["stages"][1]["tasks"][0]["watermark_ms"] = serde_json::Value::Null;
        status["stages"][1]["tasks"][0]["held_by"] = "observe/1".into();
        status
    });
    browser.look(1280, 900, "light");
    open(&mut browser, &host);
    browser.wait_for_headline("correlate/0 has no event time yet");
    let said = browser.says("#verdict");
    for text in [
        "It waits for the time of observe/1, which has had no record yet",
        "No record for 2 h 5 min from the source sensors",
        "runbook PawlInputDry",
    ] {
        assert!(said.contains(text), "`{text}` is not in {said}");
    }
    let stages = browser.says("#stages");
    assert!(stages.contains("none yet in 1 of 2"), "{stages}");
    is_clean(&mut browser, &host.url());
}

#[test]
fn each_runbook_that_the_page_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = std::collections::BTreeSet::new();
    for file in ["problems.js", "refused.js", "verdict.js"] {
        let text = std::fs::read_to_string(root.join("host/monitor/page").join(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        named.extend(
            words.filter(|word| word.starts_with("Pawl") && word.len() > 4).map(str::to_owned),
        );
    }
    assert!(named.len() > 8, "{named:?}");
    for name in named {
        let book = root.join(format!("docs/operations/runbooks/{name}.md"));
        assert!(book.is_file(), "{}", book.display());
    }
}
