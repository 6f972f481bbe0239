//! Checkpoints that are not what was written: torn at any byte, flipped, swapped or gone. A bad
//! newest falls back to the one before, loudly; without any the task starts anew only if told to.

use crate::workload::{ends_as_undisturbed, prepared};
use pawl_tests::{Folder, input};
use std::path::Path;

/// A pipeline that was killed with several checkpoints of `window/0` on the disk.
fn crashed(name: &str) -> Folder {
    let folder = prepared(name);
    let died = folder.run_to_crash("commit-durable:25", &["--until-idle"]);
    assert!(died.was_killed(), "{}", died.err);
    assert!(folder.checkpoints("window/0").len() >= 2);
    folder
}

fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_newest_checkpoint_that_is_torn_or_flipped_falls_back_to_the_one_before_loudly() {
    let base = crashed("base");
    let whole = std::fs::metadata(&base.checkpoints("window/0")[0]).unwrap().len() as usize;
    for cut in [0, 1, 7, 100, whole / 2, whole - 1] {
        let folder = base.copy("torn");
        damage(&folder.checkpoints("window/0")[0], |bytes| bytes.truncate(cut));
        falls_back(&folder, &format!("cut at {cut}"));
    }
    for flipped in [0, 9, 60, whole / 2] {
        let folder = base.copy("flipped");
        damage(&folder.checkpoints("window/0")[0], |bytes| {
            bytes[flipped] ^= 4;
        });
        falls_back(&folder, &format!("flipped at {flipped}"));
    }
    let folder = base.copy("foreign");
    let other = std::fs::read(&folder.checkpoints("window/1")[0]).unwrap();
    std::fs::write(&folder.checkpoints("window/0")[0], other).unwrap();
    falls_back(&folder, "of another partition");
}

fn falls_back(folder: &Folder, what: &str) {
    let ended = folder.run(&["--until-idle"]).success();
    for says in ["ERROR", "falling back to the one before", "newer=1"] {
        assert!(ended.err.contains(says), "{what}: {}", ended.err);
    }
    ends_as_undisturbed(folder, what);
}

#[test]
fn without_a_checkpoint_that_can_be_used_it_refuses_and_goes_on_fresh_only_if_told_to() {
    let base = crashed("base");
    for gone in [false, true] {
        let folder = base.copy("none");
        for path in folder.checkpoints("window/0") {
            match gone {
                true => std::fs::remove_file(&path).unwrap(),
                false => damage(&path, |bytes| bytes.truncate(50)),
            }
        }
        let refused = folder.run(&["--until-idle"]);
        refused.fails(1, &["no-checkpoint", "window/0", "--fresh"]);
        // The others went on; this one stands where it stood, and nothing of its input is lost.
        folder.run(&["--until-idle", "--fresh"]).success();
        let stored = folder.stored();
        let counters = stored.counters();
        let wanted = &crate::workload::UNDISTURBED.idle.counters;
        assert_eq!(counters["window/0"].records_in, wanted["window/0"].records_in);
        assert_eq!(counters["window/1"], wanted["window/1"]);
        // With a new state it goes on as any other.
        folder.produce("observations", &input::joined(&input::numbered(0, 3)));
        folder.run(&["--until-idle"]).success();
    }
}
