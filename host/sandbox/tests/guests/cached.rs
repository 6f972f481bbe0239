//! The cache of compiled components: it gives back the same component, and whatever lies in its
//! folder is a compilation more, never an error and never other code.

use crate::{ENGINE, batch, plugin};
use pawl_core::operator::Operator;
use pawl_sandbox::{Cache, Cached, Component, Engine, EngineOptions, Limits};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, UNIX_EPOCH};

/// A cache in a folder of its own, removed in the end.
struct Folder(Cache);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("cache-{test}-{}", std::process::id());
        let cache = Cache::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        assert!(!cache.folder.exists());
        Self(cache)
    }

    /// Its files, sorted.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0.folder).expect("it was written");
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        files
    }

    fn compile(&self, name: &str) -> Cached {
        Component::compile_cached(&ENGINE, &plugin(name), &Limits::default(), &self.0)
            .expect("the cache is no reason to fail")
    }

    /// Compiles the guest with whatever is in the folder, which is to give way to the right file.
    fn compile_anew(&self, right: &[u8], what: &str) {
        let cached = self.compile("misbehaving");
        assert!(!cached.loaded, "{what} was loaded");
        let warning = cached.warning.clone().unwrap_or_default();
        assert!(warning.contains("is damaged or foreign: compiled anew"), "{what}: {warning}");
        assert_eq!(computes(&cached), 3);
        assert!(fs::read(&self.files()[0]).is_ok_and(|is| is == right), "{what} is still there");
        assert!(self.compile("misbehaving").loaded);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let gone = fs::remove_dir_all(&self.0.folder);
        gone.or_else(|_| fs::remove_file(&self.0.folder)).unwrap_or_default();
    }
}

fn computes(cached: &Cached) -> usize {
    let mut instance =
        cached.component.instantiate("{}", &Limits::default()).expect("it takes any");
    instance.process(&batch(&["a", "b", "c"])).expect("it is honest").emissions.len()
}

#[test]
fn what_one_start_compiled_the_next_one_loads() {
    let folder = Folder::new("start");
    let first = folder.compile("misbehaving");
    assert_eq!((first.loaded, first.warning), (false, None));
    assert_eq!(folder.files().len(), 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.0.folder), mode(&folder.files()[0])), (0o700, 0o600));
    // Another engine of the same settings, as another process has.
    let engine = Engine::new(&EngineOptions::default()).unwrap();
    let bytes = plugin("misbehaving");
    let next = Component::compile_cached(&engine, &bytes, &Limits::default(), &folder.0).unwrap();
    assert_eq!((next.loaded, next.warning.as_deref(), computes(&next)), (true, None, 3));
    assert_eq!(next.component.digest(), first.component.digest());
}

#[test]
fn a_loaded_component_does_what_the_compiled_one_does() {
    let folder = Folder::new("same");
    let compiled = folder.compile("misbehaving").component;
    let loaded = folder.compile("misbehaving");
    assert!(loaded.loaded);
    let limits = Limits { time_per_call_ms: 300, memory_bytes_max: 64 << 20, ..Limits::default() };
    let values = ["well", "trap", "recurse", "loop", "hoard", "flood"];
    let modes = ["by-value", "plain", "snapshot-traps", "snapshot-endless", "no such mode"];
    for (mode, value) in modes.iter().flat_map(|mode| values.map(|value| (mode, value))) {
        let run = |component: &Component| {
            let config = format!(r#"{{"mode":"{mode}"}}"#);
            let mut instance = match component.instantiate(&config, &limits) {
                Ok(instance) => instance,
                Err(error) => return format!("{error:?}"),
            };
            let computed = instance.process(&batch(&["a", value, "b"]));
            let state = instance.snapshot(true);
            format!("{computed:?} {state:?} {:?} {}", instance.wiring(), instance.digest())
        };
        assert_eq!(run(&compiled), run(&loaded.component), "{mode} {value}");
    }
}

#[test]
fn whatever_lies_there_in_the_name_of_a_component_is_compiled_anew_and_replaced() {
    let folder = Folder::new("damaged");
    folder.compile("misbehaving");
    let path = folder.files().remove(0);
    let right = fs::read(&path).unwrap();
    let spoil = |what: &str, bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        folder.compile_anew(&right, what);
    };
    spoil("an empty file", b"");
    spoil("a seal cut short", &right[..31]);
    spoil("a seal alone", &right[..32]);
    spoil("half a file", &right[..right.len() / 2]);
    spoil("a file without its last byte", &right[..right.len() - 1]);
    spoil("a longer file", &[&right[..], b"\0"].concat());
    spoil("zeroes, as after a power failure", &vec![0; right.len()]);
    spoil("a component", &plugin("misbehaving"));
    let mut half = right.clone();
    half[right.len() / 2..].fill(0);
    spoil("a file whose second half was not written", &half);
    // Bits of the seal, of the header, of the code and of the end.
    for bit in (0..8 * right.len()).step_by(right.len() / 2 + 1).chain([0, 255, 256, 8 * 52]) {
        let mut flipped = right.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        spoil(&format!("a file with bit {bit} flipped"), &flipped);
    }
}

#[test]
fn a_file_under_the_name_of_another_is_not_loaded() {
    let folder = Folder::new("foreign");
    folder.compile("misbehaving");
    let path = folder.files().remove(0);
    let right = fs::read(&path).unwrap();
    // Of another component: well sealed, and not for this name.
    folder.compile("identity");
    let other = folder.files().into_iter().find(|file| *file != path).unwrap();
    fs::rename(&other, &path).unwrap();
    folder.compile_anew(&right, "another component");
    // Of another engine.
    let fuel = Engine::new(&EngineOptions { fuel: true }).unwrap();
    let (bytes, limits) = (plugin("misbehaving"), Limits::default());
    let compile = || Component::compile_cached(&fuel, &bytes, &limits, &folder.0).unwrap();
    let cached = compile();
    assert_eq!((cached.loaded, cached.warning), (false, None), "of an engine without fuel");
    assert_eq!(folder.files().len(), 2);
    assert!(compile().loaded && folder.compile("misbehaving").loaded);
    let other = folder.files().into_iter().find(|file| *file != path).unwrap();
    fs::rename(&other, &path).unwrap();
    folder.compile_anew(&right, "an engine with fuel");
}

#[test]
fn what_is_no_operator_is_refused_as_ever_and_leaves_nothing_behind() {
    let folder = Folder::new("refused");
    folder.compile("misbehaving");
    let bytes = plugin("misbehaving");
    let small = Limits { component_bytes_max: 7, ..Limits::default() };
    let default = Limits::default();
    let cases = [(&bytes[..], &small), (b"", &default), (&bytes[..bytes.len() - 9], &default)];
    for (bytes, limits) in cases {
        let refused = Component::compile_cached(&ENGINE, bytes, limits, &folder.0).err();
        assert_eq!(refused, Component::compile(&ENGINE, bytes, limits).err());
        assert!(refused.is_some());
    }
    assert_eq!(folder.files().len(), 1);
}

#[test]
fn a_folder_that_cannot_be_used_is_a_warning() {
    let folder = Folder::new("file");
    fs::write(&folder.0.folder, b"a file in its place").unwrap();
    for _ in 0..2 {
        let cached = folder.compile("misbehaving");
        assert!(!cached.loaded && cached.warning.is_some(), "{:?}", cached.warning);
        assert_eq!(computes(&cached), 3);
    }
    assert_eq!(fs::read(&folder.0.folder).unwrap(), b"a file in its place");
    // Below a file, and where even the superuser cannot write.
    for place in [folder.0.folder.join("below"), PathBuf::from("/proc/pawl-cache")] {
        let cache = Cache::new(place);
        let (bytes, limits) = (plugin("misbehaving"), Limits::default());
        let cached = Component::compile_cached(&ENGINE, &bytes, &limits, &cache).unwrap();
        assert!(!cached.loaded && cached.warning.is_some());
    }
}

#[test]
fn a_folder_that_others_may_write_is_neither_read_nor_written() {
    let folder = Folder::new("others");
    folder.compile("misbehaving");
    for mode in [0o770, 0o707, 0o777] {
        fs::set_permissions(&folder.0.folder, Permissions::from_mode(mode)).unwrap();
        let cached = folder.compile("misbehaving");
        assert!(!cached.loaded && cached.warning.unwrap().contains("chmod 700"), "{mode:o}");
    }
    folder.compile("identity");
    assert_eq!(folder.files().len(), 1);
    fs::set_permissions(&folder.0.folder, Permissions::from_mode(0o755)).unwrap();
    assert!(folder.compile("misbehaving").loaded);
}

#[test]
fn the_oldest_files_go_beyond_the_bound_and_torn_ones_before_them() {
    let mut folder = Folder::new("bound");
    folder.compile("misbehaving");
    let fresh = folder.files().remove(0);
    let put = |name: &str, seconds: u64| {
        let path = folder.0.folder.join(name);
        fs::write(&path, [0; 904]).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        path
    };
    // Written when the clock was wrong, and far ahead; the names sort otherwise.
    let others = [
        put("torn.0.tmp", 40_000_000_000),
        put("b.compiled", 1),
        put("c.compiled", 2),
        put("a.compiled", 40_000_000_000),
        put("of somebody else", 0),
    ];
    let size = fs::metadata(&fresh).unwrap().len() + 4096;
    let mut left = |bytes_max| {
        folder.0.bytes_max = bytes_max;
        fs::remove_file(&fresh).unwrap();
        let cached = folder.compile("misbehaving");
        assert_eq!((cached.loaded, cached.warning, fresh.exists()), (false, None, true));
        others.iter().filter(|path| path.exists()).count()
    };
    // Each of the others counts 5,000; what goes is the first of them.
    for (room, remain) in [(u64::MAX - size, 5), (20_000, 5), (19_999, 4), (10_000, 3), (0, 1)] {
        assert_eq!(left(size + room), remain, "room for {room} bytes more");
        assert!(others.iter().rev().take(remain).all(|path| path.exists()));
    }
    // No room for even one: compiled, not kept, and told.
    folder.0.bytes_max = size - 1;
    fs::remove_file(&fresh).unwrap();
    let cached = folder.compile("misbehaving");
    assert!(!cached.loaded && !fresh.exists());
    assert!(cached.warning.unwrap().contains(&format!("bytes_max is {}", size - 1)));
}

#[test]
fn what_a_kill_left_behind_goes_when_its_component_is_next_kept() {
    let folder = Folder::new("killed");
    folder.compile("misbehaving");
    let kept = folder.files().remove(0);
    let bytes = fs::read(&kept).unwrap();
    fs::remove_file(&kept).unwrap();
    for number in 0..3 {
        fs::write(kept.with_extension(format!("{number}.tmp")), &bytes[..number * 1000]).unwrap();
    }
    let cached = folder.compile("misbehaving");
    assert_eq!((cached.loaded, cached.warning), (false, None));
    assert_eq!(folder.files(), [kept]);
}

#[test]
fn threads_that_compile_at_once_all_get_it_and_leave_one_file_each() {
    let folder = Folder::new("threads");
    let names = ["misbehaving", "identity", "misbehaving", "misbehaving"];
    // Where nothing is, where whole files are, where they were removed, where they are torn.
    for round in ["none", "whole", "removed", "torn"] {
        for file in if round == "none" { Vec::new() } else { folder.files() } {
            match round {
                "removed" => fs::remove_file(file).unwrap(),
                "torn" => fs::write(file, b"torn").unwrap(),
                _ => {}
            }
        }
        let together = Barrier::new(names.len());
        std::thread::scope(|scope| {
            for name in names {
                scope.spawn(|| {
                    together.wait();
                    let cached = folder.compile(name);
                    assert_eq!(cached.warning.is_some(), round == "torn" && !cached.loaded);
                    assert!(round != "whole" || cached.loaded);
                    assert_eq!(computes(&cached), 3);
                });
            }
        });
        assert_eq!(folder.files().len(), 2, "{round}: {:?}", folder.files());
        assert!(folder.compile("misbehaving").loaded && folder.compile("identity").loaded);
    }
}
