//! What helps people: explanations, layouts, the effective configuration, completions, manual
//! pages, and messages that say what to do.

use crate::support::Folder;
use std::process::{Command, Stdio};

#[test]
fn a_code_is_explained_and_an_unknown_one_answered_with_the_nearest() {
    let folder = Folder::new("explain");
    let explained = folder.pawl(&["explain", "no-checkpoint"], b"");
    assert_eq!(explained.code, 0, "{explained:?}");
    let text = explained.text();
    assert!(text.contains("what happened") && text.contains("what to try"), "{text}");
    assert!(text.contains("--fresh"), "{text}");
    let words = folder.pawl(&["explain", "Circuit Breaker", "--json"], b"").json();
    assert_eq!(words[0]["codes"][0], "circuit-breaker");
    let unknown = folder.pawl(&["explain", "no-chekpoint"], b"");
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("did you mean no-checkpoint?"), "{unknown:?}");
    let part = folder.pawl(&["explain", "replay"], b"");
    assert!(part.err.contains("replay-limit, replay-trap"), "{part:?}");
    let nothing = folder.pawl(&["explain", "\x1b[2Jzzzzzzzz"], b"");
    assert!(nothing.err.contains("lists all codes") && !nothing.err.contains('\x1b'));
    let all = folder.pawl(&["explain"], b"").text();
    assert!(all.lines().count() > 50 && all.contains("sql-key"), "{all}");
    assert_eq!(folder.pawl(&["explain", "--json"], b"").json()[0]["codes"][0], "advance");
}

#[test]
fn an_error_with_a_code_says_how_to_read_on() {
    let folder = Folder::new("hint");
    // The folder of the log would lie in a file.
    let transport = "transport={ kind = \"embedded\", path = \"p.toml/log/pawl.db\" }";
    let failed = folder.pawl(&["produce", "-p", "p.toml", "in", "--set", transport], b"x\n");
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.err.contains("log-folder: "), "{failed:?}");
    assert!(failed.err.trim_end().ends_with("(pawl explain log-folder)"), "{failed:?}");
}

#[test]
fn a_file_is_laid_out_in_place_and_checked_without_a_change() {
    let folder = Folder::new("fmt");
    let path = folder.find("p.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    let checked = folder.pawl(&["fmt", "--check", "p.toml"], b"");
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(checked.err.contains("pawl fmt p.toml"), "{checked:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    assert_eq!(folder.pawl(&["fmt", "p.toml"], b"").code, 0);
    let after = std::fs::read_to_string(&path).unwrap();
    assert!(after.contains("\n\n[topics.in]\npartitions = 3\n"), "{after}");
    assert_eq!(folder.pawl(&["fmt", "--check", "p.toml"], b"").code, 0);
    assert_eq!(folder.pawl(&["fmt", "-"], before.as_bytes()).text(), after);
    let bad = folder.pawl(&["fmt", "-"], b"a = ");
    assert_eq!(bad.code, 2, "{bad:?}");
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1, "nothing is left beside the file");
}

#[test]
fn the_effective_configuration_is_a_file_that_means_the_same() {
    let folder = Folder::new("effective");
    let set = ["--set", "commit.interval_ms=7"];
    let told = folder.pawl(&[&["check", "p.toml", "--effective"], &set[..]].concat(), b"");
    assert_eq!(told.code, 0, "plugins need not be there: {told:?}");
    std::fs::write(folder.find("p.toml").with_file_name("e.toml"), told.text()).unwrap();
    let again = folder.pawl(&["check", "e.toml", "--effective"], b"");
    assert_eq!(again.text(), told.text());
    assert!(told.text().contains("interval_ms = 7\n"), "{told:?}");
    assert_eq!(folder.pawl(&["fmt", "--check", "e.toml"], b"").code, 0);
}

#[test]
fn check_tells_scripts_everything_at_once() {
    let folder = Folder::new("check-json");
    let no_plugin = folder.pawl(&["check", "p.toml", "--json"], b"");
    assert_eq!(no_plugin.code, 2);
    let told = no_plugin.json().remove(0);
    assert_eq!((&told["valid"], &told["pipeline"]), (&false.into(), &"test".into()));
    assert_eq!(told["mistakes"][0]["path"], "stage.copy.operator.id.plugin");
    assert!(told["delivery"].as_array().unwrap().len() > 3);
    let wrong = folder.pawl(&["check", "p.toml", "--json", "--set", "plugns=1"], b"");
    assert_eq!(wrong.code, 2);
    assert_eq!(wrong.json()[0]["mistakes"][0]["path"], "plugns");
}

#[test]
fn the_schema_is_printed_as_it_is_published() {
    let folder = Folder::new("schema");
    let schema = include_str!("../../../../docs/pipeline.schema.json");
    assert_eq!(folder.pawl(&["schema"], b"").text(), schema);
}

#[test]
fn colour_comes_only_where_it_is_asked_for_when_nobody_looks() {
    let folder = Folder::new("color");
    for (arguments, colored) in [
        (&["explain"][..], false),
        (&["explain", "--color", "always"], true),
        (&["--color", "never", "explain"], false),
        (&["explain", "--color", "auto"], false),
    ] {
        let ended = folder.pawl(arguments, b"");
        assert_eq!(ended.text().contains('\x1b'), colored, "{arguments:?}");
    }
    assert!(folder.pawl(&["explain", "zzzzz", "--color", "always"], b"").err.contains('\x1b'));
}

#[test]
fn completions_are_made_for_every_shell_and_bash_takes_them() {
    let folder = Folder::new("completions");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let made = folder.pawl(&["completions", shell], b"");
        assert!(made.code == 0 && made.text().contains("checkpoint"), "{shell}: {made:?}");
    }
    let reprocess = folder.pawl(&["completions", "bash", "sda-reprocess"], b"").text();
    assert!(reprocess.contains("--beyond-horizon"), "{reprocess}");
    let script = folder.pawl(&["completions", "bash"], b"").text();
    let asked = "\nCOMP_WORDS=(pawl topic de); COMP_CWORD=2; _pawl pawl de topic\n\
        echo \"${COMPREPLY[@]}\"\ncomplete -p pawl\n";
    let bash = Command::new("bash").args(["--norc", "-c", &format!("{script}{asked}")]).output();
    let bash = bash.expect("bash is on every machine that builds this");
    let (out, err) = (String::from_utf8_lossy(&bash.stdout), String::from_utf8_lossy(&bash.stderr));
    assert!(bash.status.success() && err.is_empty(), "{err}");
    assert!(out.starts_with("describe\n"), "{out}");
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let folder = Folder::new("man");
    let written = folder.pawl(&["man", "pages/man1"], b"");
    assert_eq!(written.code, 0, "{written:?}");
    for page in ["pawl.1", "pawl-run.1", "pawl-topic-trim.1", "sda-reprocess.1"] {
        let text = std::fs::read_to_string(folder.find(page)).unwrap();
        let name = page.trim_end_matches(".1");
        assert!(text.contains(&format!(".TH {name} 1")), "{page}: {text}");
        assert!(text.contains(".SH OPTIONS"), "{page}: {text}");
    }
    assert!(folder.pawl(&["man"], b"").text().contains(".TH pawl 1"));
}

#[test]
fn the_commonest_mistakes_are_answered_with_what_to_do() {
    let folder = Folder::new("mistakes");
    for (arguments, code, says) in [
        (&["check", "q.toml"][..], 2, "there is no such file; did you mean p.toml?"),
        (&["check", "elsewhere/pipe.toml"], 2, "no .toml file in elsewhere"),
        (&["check", "."], 2, "give the pipeline file in it"),
        (&["check", "p.toml"], 2, "build it (`just plugins`, or cargo build"),
        (&["consume", "-p", "p.toml", "outt"], 2, "did you mean out?"),
        (&["checkpoint", "show", "-p", "p.toml", "cpy/0"], 2, "did you mean copy/0?"),
        (&["check", "p.toml", "--set", "commit.intervall_ms=1"], 2, "did you mean `interval_ms`?"),
        (&["rnu"], 2, "'rnu'"),
    ] {
        let ended = folder.pawl(arguments, b"");
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(says), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn a_folder_that_is_in_use_is_told_with_who_has_it() {
    let folder = Folder::new("locked");
    let data = folder.pipeline().data;
    let lock = pawl_transport::Lock::acquire(&data, 1_700_000_000_000).unwrap();
    let refused = folder.pawl(&["run", "p.toml", "--until-idle"], b"");
    assert_eq!(refused.code, 1, "{refused:?}");
    let own = format!("is held by process {} since 2023", std::process::id());
    assert!(refused.err.contains(&own), "{refused:?}");
    assert!(refused.err.contains("stop that process first"), "{refused:?}");
    drop(lock);
}

#[test]
fn a_reader_of_a_table_that_goes_away_is_a_quiet_end() {
    let folder = Folder::new("table-pipe");
    let mut command = folder.command(&["explain"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}
