//! The one record that is to blame is found, wherever it hides: in a chain, beside another, behind
//! a window; all others go through once and in order.

use pawl_tests::{Folder, input};
use std::time::{Duration, Instant};

const CHAIN: &str = r#"
pawl = 1
name = "chain"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[topics.side]
[[stage]]
name = "copy"
input = "in"
output = "out"
batch_records_max = 256
[[stage.operator]]
name = "first"
plugin = "identity"
[[stage.operator]]
name = "second"
plugin = "misbehaving"
config = { mode = "by-value" }
outputs = { side = "side" }
limits = { time_per_call_ms = 60 }
[[stage.operator]]
name = "third"
plugin = "identity"
"#;

fn check(folder: &Folder, lines: &[String], culprits: &[&str]) {
    let stored = folder.stored();
    let good = lines.iter().filter(|line| !culprits.contains(&line.as_str()));
    assert_eq!(stored.texts("out"), good.cloned().collect::<Vec<_>>(), "once each, in order");
    let mut bad: Vec<_> = lines.iter().filter(|line| culprits.contains(&line.as_str())).collect();
    bad.sort();
    let refused = stored.refused();
    assert!(refused.iter().map(|(payload, _)| payload).eq(bad), "{refused:?}");
    let ids: std::collections::BTreeSet<_> = stored.letters().into_iter().map(|l| l.id).collect();
    assert_eq!(ids.len(), refused.len(), "each has an id of its own");
}

#[test]
fn a_trap_on_an_inner_edge_costs_that_record_alone() {
    let folder = Folder::new("inner", CHAIN);
    let mut lines = input::numbered(0, 700);
    lines[300] = "trap".to_owned();
    folder.produce("in", &input::joined(&lines));
    folder.run(&["--until-idle"]).success();
    check(&folder, &lines, &["trap"]);
    let letter = &folder.stored().letters()[0];
    assert_eq!(letter.operator, "copy/second");
    assert_eq!(letter.origin, "in/0/300");
}

#[test]
fn several_culprits_in_one_batch_are_all_found() {
    let folder = Folder::new("several", CHAIN);
    let mut lines = input::numbered(0, 256);
    for place in [0, 1, 2, 100, 101, 254, 255] {
        lines[place] = if place % 2 == 0 { "trap" } else { "loop" }.to_owned();
    }
    folder.produce("in", &input::joined(&lines));
    folder.run(&["--until-idle"]).success();
    check(&folder, &lines, &["trap", "loop"]);
}

#[test]
fn culprits_of_two_operators_of_a_chain_do_not_hide_each_other() {
    // The first one owes an output without end, which traps in nobody: it is refused for itself.
    let both = CHAIN.replace(
        "plugin = \"identity\"\n[[stage.operator]]\nname = \"second\"",
        "plugin = \"misbehaving\"\nconfig = { mode = \"half-a-batch\" }\n\
         outputs = { side = \"side\" }\n[[stage.operator]]\nname = \"second\"",
    );
    let folder = Folder::new("both", &both);
    let mut lines = input::numbered(0, 500);
    for place in [3, 4, 77, 300, 499] {
        lines[place] = "trap".to_owned();
    }
    folder.produce("in", &input::joined(&lines));
    folder.run(&["--until-idle"]).success();
    check(&folder, &lines, &["trap"]);
}

#[test]
fn one_record_in_fifty_may_trap_and_thousands_still_go_through_quickly() {
    let folder = Folder::new("fifty", CHAIN);
    let mut lines = input::numbered(0, 5000);
    lines.iter_mut().step_by(50).for_each(|line| *line = "trap".to_owned());
    folder.produce("in", &input::joined(&lines));
    let start = Instant::now();
    folder.run(&["--until-idle"]).success();
    let took = start.elapsed();
    println!("took {took:?}");
    check(&folder, &lines, &["trap"]);
    assert!(took < Duration::from_secs(30), "100 traps in 5,000 records took {took:?}");
}

#[test]
fn traps_between_checkpoints_and_windows_leave_both_as_they_are() {
    let folder = Folder::new("windows", &crate::time::WINDOWS.replace("MODE", "by-value"));
    let lines = input::observations(7, 1500);
    folder.produce("observations", &input::joined(&lines));
    folder.run(&["--close-windows"]).success();
    let honest = Folder::new("windows-honest", &crate::time::WINDOWS.replace("MODE", "plain"));
    let spared: Vec<_> = lines.iter().filter(|line| *line != "trap").collect();
    honest.produce("observations", &input::joined(&spared));
    honest.run(&["--close-windows"]).success();
    let (stored, honest) = (folder.stored(), honest.stored());
    assert!(!honest.texts("alerts").is_empty());
    assert_eq!(stored.outputs("alerts"), honest.outputs("alerts"));
    assert_eq!(stored.edge("window/0", 1), honest.edge("window/0", 1));
    let traps = stored.refused().into_iter().filter(|(payload, _)| payload == "trap").count();
    assert_eq!(traps, lines.len() - spared.len());
}
