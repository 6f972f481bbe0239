//! What somebody on call relies on is true: rules and dashboard name only metrics that the program
//! emits, all of them are explained, each alert has a runbook, and runbooks name only commands
//! that there are. With `promtool` the rules are checked and their unit tests run.

use crate::monitor::Watched;
use pawl_tests::Folder;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const PIPELINE: &str = r#"
pawl = 1
name = "operations"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[[stage]]
name = "copy"
input = "in"
output = "out"
[[stage.operator]]
name = "guest"
plugin = "identity"
"#;

fn operations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations")
}

fn read(name: &str) -> String {
    let path = operations().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All that looks like the name of a metric of ours.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("pawl_")).map(str::to_owned).collect()
}

/// Name and type of everything that the program emits.
fn emitted() -> BTreeMap<String, String> {
    let folder = Folder::new("emitted", PIPELINE);
    let watched = Watched::start(&folder, &[], &[]);
    let text = pawl_tests::wait_for("metrics", std::time::Duration::from_secs(60), || {
        let text = watched.get("/metrics").body;
        text.contains("pawl_lag_records{").then_some(text)
    });
    let with = |what: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(what)?.split_once(' '));
        lines.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
    };
    let (helps, types) = (with("# HELP "), with("# TYPE "));
    assert!(helps.keys().eq(types.keys()), "each has its help and its type");
    assert!(types.len() >= 30, "{types:?}");
    types
}

#[test]
fn every_metric_is_in_the_table_and_every_name_in_rules_and_dashboard_is_a_metric() {
    let emitted = emitted();
    let mut told = BTreeMap::new();
    for row in read("metrics.md").lines().filter(|line| line.starts_with("| `pawl_")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        told.insert(cells[1].trim_matches('`').to_owned(), cells[2].to_owned());
    }
    assert_eq!(told, emitted, "the table in docs/operations/metrics.md against the program");
    let (rules, board) = (read("alerts.yml"), read("dashboard.json"));
    for (file, text) in [("alerts.yml", &rules), ("dashboard.json", &board)] {
        let unknown: Vec<String> =
            names(text).into_iter().filter(|name| !emitted.contains_key(name)).collect();
        assert!(unknown.is_empty(), "{file} names what the program does not emit: {unknown:?}");
    }
    for entry in std::fs::read_dir(operations().join("runbooks")).unwrap() {
        let path = entry.unwrap().path();
        let unknown: Vec<String> = names(&std::fs::read_to_string(&path).unwrap())
            .into_iter()
            .filter(|name| !emitted.contains_key(name))
            .collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
    }
    let board: serde_json::Value = serde_json::from_str(&board).expect("the dashboard is JSON");
    let panels = board["panels"].as_array().expect("it has panels");
    let own = ["row", "stat", "table", "timeseries"];
    for panel in panels {
        let kind = panel["type"].as_str().unwrap_or_default();
        assert!(own.contains(&kind), "{kind} is no panel of Grafana's own");
    }
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
}

#[test]
fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
    let rules = read("alerts.yml");
    let alerts: BTreeSet<String> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .map(str::to_owned)
        .collect();
    assert!(alerts.len() >= 15, "{alerts:?}");
    let tested = read("alerts_test.yml");
    for alert in &alerts {
        assert!(tested.contains(alert.as_str()), "{alert} has no unit test");
        assert!(rules.contains(&format!("runbook: \"runbooks/{alert}.md\"")), "{alert}");
    }
    let books = std::fs::read_dir(operations().join("runbooks")).unwrap();
    let books = books.map(|entry| entry.unwrap().path());
    let books: BTreeSet<String> =
        books.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(books, alerts);
    for book in &books {
        let text = read(&format!("runbooks/{book}.md"));
        for part in ["## Look at this first", "## Then", "## Wake somebody up"] {
            assert!(text.contains(part), "{book} lacks `{part}`");
        }
        for named in text.split('`').filter_map(|word| word.strip_suffix(".md")) {
            let known = named.starts_with("docs/") || books.contains(named);
            assert!(known, "{book} names {named}.md, which is not there");
        }
    }
}

#[test]
fn runbooks_name_only_commands_and_options_that_there_are() {
    let folder = Folder::new("commands", PIPELINE);
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(operations().join("runbooks")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // Code stands between backticks, broken where the line ends.
        for code in text.split('`').skip(1).step_by(2).filter(|code| code.starts_with("pawl ")) {
            let code = code.split('|').next().unwrap_or_default();
            let words: Vec<&str> = code.split_whitespace().skip(1).collect();
            let is_command = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase());
            let command: Vec<&str> = words.iter().take(2).take_while(is_command).copied().collect();
            seen.insert(command.join(" "));
            let help = folder.pawl(&[&command[..], &["--help"]].concat(), b"").success().text();
            for option in words.iter().filter(|word| word.starts_with('-')) {
                assert!(help.contains(option), "{}: `{code}` has no {option}", path.display());
            }
        }
    }
    assert!(seen.len() >= 5, "{seen:?}");
}

#[test]
fn rules_are_valid_and_fire_when_they_should() {
    let program = std::env::var("PAWL_PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let promtool = |arguments: &[&str]| {
        Command::new(&program).args(arguments).current_dir(operations()).output()
    };
    if promtool(&["--version"]).is_err() {
        let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!is_ci, "CI must have promtool (Debian: prometheus)");
        println!("SKIPPED: promtool is not installed (Debian: prometheus)");
        return;
    }
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let output = promtool(&arguments).unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
    let folder = Folder::new("checked", PIPELINE);
    let watched = Watched::start(&folder, &[], &[]);
    let metrics = pawl_tests::wait_for("metrics", std::time::Duration::from_secs(60), || {
        let text = watched.get("/metrics").body;
        text.contains("pawl_lag_records{").then_some(text)
    });
    folder.write("metrics", metrics.as_bytes());
    let input = std::fs::File::open(folder.path().join("metrics")).unwrap();
    let checked = Command::new(&program).args(["check", "metrics"]).stdin(input).output().unwrap();
    let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    assert!(checked.status.success() && said.is_empty(), "{said}");
}
