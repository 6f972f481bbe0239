//! The container file and the unit of systemd: no engine runs here, so what can be told by reading
//! them is.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
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
    let mut arguments = words(of["CMD"]);
    let port = of["EXPOSE"];
    let listen = arguments.iter().position(|word| word == "--listen").unwrap();
    assert_eq!(arguments[listen + 1], format!("0.0.0.0:{port}"), "no page, no health, no metrics");
    let file = arguments.iter().position(|word| word == "/etc/pawl/pipeline.toml").unwrap();
    arguments[file] = repository().join("no-such.toml").to_string_lossy().into_owned();
    let told = Command::new(env!("CARGO_BIN_EXE_pawl")).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("there is no such file"), "else the options are none: {told}");
    let check = of["HEALTHCHECK"].split_once(" CMD ").unwrap().1;
    assert!(words(check)[2].contains(&format!("/{port} ")), "{check}");
    assert!(is_healthy(&words(check), port, "HTTP/1.1 200 OK\r\n\r\n"));
    assert!(!is_healthy(&words(check), port, "HTTP/1.1 503 Service Unavailable\r\n\r\n"));
    let copies: Vec<&String> =
        last.iter().filter(|(word, _)| word == "COPY").map(|(_, copied)| copied).collect();
    for program in ["pawl", "sda-reprocess"] {
        let built = format!("/src/target/release/{program} ");
        assert!(copies.iter().any(|copied| copied.contains(&built)), "{program}: {copies:?}");
    }
    for (_, copied) in last.iter().filter(|(word, _)| word == "COPY") {
        assert!(copied.starts_with("--from=build /src/target/"), "{copied}");
    }
}

/// What the health check of the container says where it is answered so.
fn is_healthy(check: &[String], port: &str, answer: &'static str) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut asked, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            asked.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        asked.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    let [shell, arguments @ ..] = check else { panic!("{check:?}") };
    let arguments = arguments.iter().map(|word| word.replace(port, &own.to_string()));
    let status = Command::new(shell).args(arguments).status().unwrap();
    let request = server.join().unwrap();
    assert!(request.starts_with("GET /healthz HTTP/1.1\r\nHost: localhost\r\n"), "{request}");
    status.success()
}

/// Everything on call reads: the runbooks, the codes, what a page of the book says of a stop.
fn runbooks() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(repository().join("docs/operations/runbooks")).unwrap();
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        found.push((name, std::fs::read_to_string(path).unwrap()));
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

#[test]
fn every_runbook_says_how_commands_are_typed_on_the_machine() {
    for (name, text) in runbooks() {
        assert!(text.contains("](../deploy.md#commands-on-the-machine)"), "{name}");
        // The host holds the folder: what only a start takes is no command beside it.
        assert!(!text.contains("pawl run FILE"), "{name} starts a second host");
        let flags = ["--resume", "--switch-at-checkpoint", "--fresh", "--close-windows", "--set"];
        if flags.iter().any(|flag| text.contains(flag)) {
            assert!(text.contains("](../deploy.md#start-once-with-a-flag)"), "{name}");
        }
        assert!(!text.contains("journalctl -u pawl "), "{name}: no unit has that name");
    }
}

/// What is in the file is found with `-p FILE` alone; what the unit says beside it is not.
#[test]
fn what_is_shipped_runs_with_no_field_set_beside_the_file() {
    for path in ["docs/operations/pawl@.service", "docs/operations/Containerfile"] {
        assert!(!read(path).contains("--set"), "{path}");
    }
    let unit = read("docs/operations/pawl@.service");
    let start = unit.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    assert!(start.ends_with(" --listen ${PAWL_LISTEN} $PAWL_ARGS"), "{start}");
    assert!(unit.contains("\nEnvironment=PAWL_LISTEN=127.0.0.1:9464 PAWL_ARGS=\n"), "{unit}");
    assert!(!unit.contains("\nDynamicUser="), "commands need its user while it is stopped");
    let deploy = read("docs/operations/deploy.md");
    for named in ["sda-reprocess /usr/local/bin/", "PAWL_LISTEN=127.0.0.1:9465", "0.0.0.0:9464"] {
        assert!(deploy.contains(named), "{named}");
    }
}

#[test]
fn the_unit_of_systemd_is_valid_and_waits_for_a_drain() {
    let unit = read("docs/operations/pawl@.service");
    let said = |line: &str| unit.lines().any(|own| own == line);
    assert!(said("KillSignal=SIGTERM") && said("Restart=on-failure"), "{unit}");
    assert!(said("RestartPreventExitStatus=2 3"), "a restart mends neither: {unit}");
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
