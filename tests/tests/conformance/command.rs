//! `pawl conformance` as people and scripts use it: exit codes, JSON, JUnit, one law again.

use pawl_tests::Folder;
use serde_json::Value;

const PEOPLE: &str = r#"{"name":"ada","n":1}
{"name":"bob","n":2}

{"topic":"t","partition":0,"offset":7,"key":"k","value":"{\"name\":\"cy\",\"n\":3}"}
"#;

fn folder() -> Folder {
    let folder = Folder::new("conformance", "");
    folder.write("people.jsonl", PEOPLE.as_bytes());
    folder.write("config.json", br#"{"window_ms": 1000}"#);
    let plugins = pawl_tests::folder::plugins();
    for name in ["misbehaving_mutants", "identity"] {
        let file = format!("{name}.wasm");
        std::fs::copy(plugins.join(&file), folder.path().join(&file)).expect("plugins are built");
    }
    folder
}

const MUTANTS: &str = "misbehaving_mutants.wasm";

#[test]
fn a_good_plugin_ends_with_0_and_one_line_that_says_so() {
    let folder = folder();
    let ended = folder
        .pawl(&["conformance", MUTANTS, "--config", "config.json", "--input", "people.jsonl"], b"")
        .success();
    let text = ended.text();
    let last = text.lines().last().unwrap_or_default();
    assert_eq!(last, "mutants 0.1.0 keeps the contract: 28 laws passed", "{text}");
    assert!(!text.contains('\x1b'), "colour is for terminals");
    assert_eq!(ended.err, "");
}

#[test]
fn a_bad_plugin_ends_with_1_and_is_told_what_broke_and_how_to_see_it_again() {
    let folder = folder();
    let config = r#"{"mutant":"batch-size-told","window_ms":1000}"#;
    let given = ["conformance", MUTANTS, "--config", config, "--input", "people.jsonl"];
    let ended = folder.pawl(&given, b"");
    let text = ended.text();
    ended.fails(1, &["pawl: mutants 0.1.0 breaks the contract: 1 of 28 laws failed (CF-12)"]);
    let again = text.lines().find_map(|line| line.trim_start().strip_prefix("again: "));
    let again = again.unwrap_or_else(|| panic!("{text}"));
    assert!(text.contains("why:") && text.contains("mend:"), "{text}");
    // As a shell takes it.
    let program = format!("{} {again}", env_path());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &program]).current_dir(folder.path());
    let output = shell.output().expect("there is a shell");
    assert_eq!(output.status.code(), Some(1), "{again}");
    let once = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(once.contains("FAILED     CF-12") && !once.contains("CF-11"), "{once}");
    // Word for word what was found in the whole run.
    let found = |text: &str| -> Vec<String> {
        let from = text.lines().skip_while(|line| !line.starts_with("FAILED"));
        from.take_while(|line| !line.contains("why:")).map(str::to_owned).collect()
    };
    assert_eq!(found(&once), found(&text));
}

/// A shell's way to the built program: `pawl` is a function there.
fn env_path() -> String {
    let program = pawl_tests::folder::program();
    format!("pawl() {{ '{}' \"$@\"; }};", program.display())
}

#[test]
fn the_report_is_json_and_junit_for_scripts() {
    let folder = folder();
    let config = r#"{"mutant":"leaks","window_ms":1000}"#;
    let ended = folder.pawl(
        &[
            "conformance",
            MUTANTS,
            "--config",
            config,
            "--input",
            "people.jsonl",
            "--json",
            "--junit",
            "report.xml",
            "--law",
            "27,CF-12",
            "--law",
            "1",
        ],
        b"",
    );
    let report: Value = serde_json::from_slice(&ended.out).expect("one JSON object");
    ended.fails(1, &["1 of 3 laws failed (CF-27)"]);
    assert_eq!(report["conformance"], 1);
    assert_eq!(report["samples"]["records"], 3);
    let ids: Vec<_> = report["laws"].as_array().expect("laws").iter().map(|l| &l["id"]).collect();
    assert_eq!(ids, ["CF-01", "CF-12", "CF-27"]);
    assert_eq!(report["laws"][2]["outcome"], "failed");
    assert!(report["laws"][2]["replay"].as_str().is_some_and(|text| text.ends_with("--law CF-27")));
    let xml = std::fs::read_to_string(folder.path().join("report.xml")).expect("a report");
    assert!(xml.contains("tests=\"3\" failures=\"1\""), "{xml}");
}

#[test]
fn what_is_not_shown_fails_only_where_it_must_be_shown() {
    let folder = folder();
    let given = ["conformance", MUTANTS, "--config", "config.json"];
    let text = folder.pawl(&given, b"").success().text();
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains("no record was accepted"), "{text}");
    folder
        .pawl(&[&given[..], &["--strict"]].concat(), b"")
        .fails(1, &["is not shown to keep CF-10"]);
}

#[test]
fn what_is_asked_wrongly_ends_with_2_and_says_what_to_do() {
    let folder = folder();
    let pawl = |more: &[&str], says: &[&str]| {
        folder.pawl(&[&["conformance"], more].concat(), b"").fails(2, says);
    };
    pawl(&[MUTANTS], &["refuses the configuration", "window_ms", "give it one with --config"]);
    pawl(&["none.wasm"], &["could not read none.wasm"]);
    pawl(&[MUTANTS, "--config", "none.json"], &["could not read none.json"]);
    pawl(&[MUTANTS, "--config", "people.jsonl"], &["is not JSON"]);
    pawl(&["identity.wasm", "--input", "none.jsonl"], &["could not read none.jsonl"]);
    pawl(&["identity.wasm", "--law", "29"], &["no law \"29\"", "CF-28"]);
    pawl(&["identity.wasm", "--time-per-call-ms", "0"], &["--time-per-call-ms", "0"]);
    pawl(
        &["identity.wasm", "--input", "people.jsonl", "--time-field", "/t"],
        &["no sample", "--time-field"],
    );
    pawl(&[], &["PLUGIN"]);
}

#[test]
fn what_is_no_plugin_fails_whatever_law_is_asked_for() {
    let folder = folder();
    folder.write("junk.wasm", b"this is not WebAssembly");
    let ended = folder.pawl(&["conformance", "--law", "12", "junk.wasm"], b"");
    assert!(ended.text().contains("FAILED     CF-01"), "{}", ended.text());
    ended.fails(1, &["breaks the contract", "CF-01"]);
}

#[test]
fn a_plugin_has_the_limits_that_it_is_given() {
    let folder = folder();
    let given = ["conformance", "identity.wasm", "--table-elements-max", "1"];
    let ended = folder.pawl(&[&given[..], &["--law", "1"]].concat(), b"");
    let text = ended.text();
    assert!(text.contains("table_elements_max is 1"), "{text}");
    assert!(text.contains("A limit: raise the one that is named"), "{text}");
    ended.fails(1, &["CF-01"]);
    let endless = ["--law", "1", "identity.wasm", "--time-max-s", "18446744073709551615"];
    folder.pawl(&[&["conformance"], &endless[..]].concat(), b"").success();
}

#[test]
fn the_command_line_that_is_told_again_is_exact() {
    let folder = folder();
    folder.write("two  blanks.jsonl", PEOPLE.as_bytes());
    let config = "{\n  \"mutant\": \"calls-counted\",  \"window_ms\": 1000\n}";
    let given = ["conformance", MUTANTS, "--config", config, "--input", "two  blanks.jsonl"];
    let more = ["--time-max-s", "600", "--state-bytes-max", "1000000", "--law", "12"];
    let text = folder.pawl(&[&given[..], &more[..]].concat(), b"").text();
    let again = format!(
        "again: pawl conformance {MUTANTS} --config \
         '{{\"mutant\":\"calls-counted\",\"window_ms\":1000}}' --input 'two  blanks.jsonl' \
         --time-max-s 600 --state-bytes-max 1000000 --seed 1 --law CF-12"
    );
    assert!(text.contains(&again), "{text}");
}

#[test]
fn colour_is_what_the_command_line_says() {
    let folder = folder();
    let given = ["conformance", "--law", "1", "identity.wasm"];
    let always = folder.pawl(&[&["--color", "always"], &given[..]].concat(), b"").success();
    assert!(always.text().contains("\x1b[32mpassed"), "{}", always.text());
}
