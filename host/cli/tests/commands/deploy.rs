//! The container file and the unit of systemd: no engine runs here, so what can be told by reading
//! them is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// The instructions of a container file, stage by stage: word and arguments, lines joined.
fn stages(text: &str) -> Vec<Vec<(String, String)>> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut stages: Vec<Vec<(String, String)>> = Vec::new();
    for line in joined.lines().filter(|line| !line.trim().is_empty()) {
        let (word, arguments) = line.split_once(' ').unwrap();
        if word == "FROM" {
            stages.push(Vec::new());
        }
        let instruction = (word.to_owned(), arguments.trim().to_owned());
        stages.last_mut().expect("it begins with FROM").push(instruction);
    }
    stages
}

#[test]
fn the_container_is_built_with_the_pinned_compiler_and_runs_as_nobody_who_counts() {
    let stages = stages(&read("docs/operations/Containerfile"));
    let [build, last] = stages.as_slice() else { panic!("{} stages", stages.len()) };
    let toolchain = read("rust-toolchain.toml").parse::<toml::Table>().unwrap();
    let version = toolchain["toolchain"]["channel"].as_str().unwrap();
    assert!(build[0].1.starts_with(&format!("rust:{version}-")), "{}", build[0].1);
    // Both stages have one C library.
    let name = build[0].1.split_whitespace().next().unwrap().rsplit('-').next().unwrap();
    assert!(last[0].1.contains(name), "{}", last[0].1);
    let of: BTreeMap<&str, &str> = last.iter().map(|(w, a)| (w.as_str(), a.as_str())).collect();
    let user: u32 = of["USER"].split(':').next().unwrap().parse().unwrap();
    assert!(user >= 1000);
    assert_eq!((of["VOLUME"], of["STOPSIGNAL"]), ("/var/lib/pawl", "SIGTERM"));
    // In exec form signals reach the program itself; the arguments are those that it knows.
    let words = |of: &str| serde_json::from_str::<Vec<String>>(of).unwrap();
    assert_eq!(words(of["ENTRYPOINT"]), ["/usr/local/bin/pawl"]);
    let arguments = words(of["CMD"]);
    let asked = arguments.iter().map(|word| match word.ends_with("pipeline.toml") {
        true => repository().join("pipelines/window.toml").to_string_lossy().into_owned(),
        false => word.replace("run", "check"),
    });
    let mut effective = Command::new(env!("CARGO_BIN_EXE_pawl"));
    let told = effective.args(asked).arg("--effective").output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("plugins = [\"/usr/local/lib/pawl\"]\n"), "{told}");
    assert!(told.contains("path = \"/var/lib/pawl/pawl.db\"\n"), "{told}");
    for (_, copied) in last.iter().filter(|(word, _)| word == "COPY") {
        assert!(copied.starts_with("--from=build /src/target/"), "{copied}");
    }
}

#[test]
fn the_unit_of_systemd_is_valid_and_waits_for_a_drain() {
    let unit = read("docs/operations/pawl@.service");
    let said = |line: &str| unit.lines().any(|own| own == line);
    assert!(said("KillSignal=SIGTERM") && said("Restart=on-failure"), "{unit}");
    assert!(said("RestartPreventExitStatus=2"), "exit code 2 is usage: {unit}");
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let stop: u64 = stop.trim_end_matches('s').parse().unwrap();
    let pipeline = "pawl = 1\nname = \"p\"\ntopics.t = {}\ncheckpoint.remote.url = \"s3://b/c\"\n\
        [[stage]]\nname = \"s\"\ninput = \"t\"\n[[stage.operator]]\nname = \"o\"\nplugin = \"x\"\n";
    let (pipeline, _) = pawl_pipeline::parse(pipeline, Path::new(""), &[]).unwrap();
    let drain_ms = pipeline.checkpoint.remote.unwrap().drain_time_max_ms;
    assert!(stop * 1000 >= 2 * drain_ms, "{stop} s for a drain of {drain_ms} ms");

    let name = format!("pawl-unit-{}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("pawl@check.service");
    // It looks for the program, too.
    let unit = unit.replace("/usr/local/bin/pawl", env!("CARGO_BIN_EXE_pawl"));
    std::fs::write(&file, unit).unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output();
    std::fs::remove_dir_all(&folder).unwrap();
    match verified {
        Ok(verified) => {
            assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
        }
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("SKIPPED: the unit is not verified, without systemd-analyze: {error}");
        }
        Err(error) => panic!("systemd-analyze (package systemd) is missing: {error}"),
    }
}
