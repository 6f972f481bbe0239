//! What every checkpoint store must do, as plain functions that take any store. Each wants a store
//! of its own, empty, of the pipeline `PIPELINE`. They panic where the store is wrong.

use crate::checkpoint::{
    Checkpoint, Draft, DraftPart, Header, OperatorRecord, Owner, PartKey, bytes,
};
use crate::error::Error;
use crate::manifest::FILES_MAX;
use crate::store::Store;
use pawl_core::commit::{Progress, TaskId};
use pawl_core::decision::{CheckpointName, OperatorDigest};
use std::collections::BTreeMap;

/// The pipeline whose store the suite expects.
pub const PIPELINE: &str = "suite";

/// Runs everything, each with a store that `make` gives it.
pub fn all<S: Store>(mut make: impl FnMut() -> S) {
    what_was_written_comes_back(&make());
    a_checkpoint_is_created_only_once(&make());
    a_superseded_owner_stores_nothing(&make());
    a_draft_that_makes_no_sense_is_refused(&make());
    an_object_comes_back_and_must_come_first(&make());
    a_base_need_not_be_the_newest(&make());
    tasks_do_not_see_each_other(&make());
    keeping_spares_the_newest_and_what_they_refer_to(&make());
    a_file_that_is_mostly_unused_is_let_go(&make());
    for seed in 0..4 {
        random_checkpoints_equal_a_model(&make(), seed);
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next one.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    /// Up to `most` bytes.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.number() as u8).collect()
    }
}

/// A task for tests.
pub fn task(stage: &str, partition: u32) -> TaskId {
    TaskId { stage: stage.to_owned(), partition }
}

/// A checkpoint's name.
pub fn name(epoch: u64, sequence: u64) -> CheckpointName {
    CheckpointName { epoch, sequence }
}

/// The key of an operator's part.
pub fn key(number: u64) -> PartKey {
    PartKey { owner: Owner::Operator(0), number }
}

/// A header without operators.
pub fn header(task: &TaskId, name: CheckpointName) -> Header {
    Header {
        pipeline: PIPELINE.to_owned(),
        task: task.clone(),
        name,
        progress: Progress { position: name.sequence * 10, ticks: 3, decisions: 1, admitted: 0 },
        semantics: 1,
        input_sum: 1 << 100,
        output_sum: u128::from(name.sequence),
        operators: Vec::new(),
        created_ms: 1_258_000_000_000,
        log: "0123456789abcdef0123456789abcdef".to_owned(),
    }
}

/// A draft with these parts; those without bytes are as in `base`.
pub fn draft(
    header: Header,
    base: Option<CheckpointName>,
    parts: &[(PartKey, Option<&[u8]>)],
) -> Draft {
    let core = format!("state at {:?}", header.name).into_bytes();
    let part = |(key, data): &(PartKey, Option<&[u8]>)| DraftPart {
        key: *key,
        data: data.map(|data| bytes(data.to_vec())),
    };
    Draft { header, core, base, parts: parts.iter().map(part).collect() }
}

fn parts_of(checkpoint: &Checkpoint) -> BTreeMap<PartKey, Vec<u8>> {
    checkpoint.parts.iter().cloned().collect()
}

/// Header, state and parts are the same after writing and reading, in whatever order they came.
pub fn what_was_written_comes_back(store: &dyn Store) {
    let task = task("../weird stage/\u{e4}", 7);
    assert_eq!(store.names(&task).expect("names of nothing"), []);
    let found = store.newest(&task).expect("newest of nothing");
    assert!(found.checkpoint.is_none() && found.rejected.is_empty());

    let window = PartKey { owner: Owner::Window(2), number: 16_384 };
    let large = vec![7; 300_000];
    let parts: [(PartKey, Option<&[u8]>); 3] =
        [(key(9), Some(b"nine")), (window, Some(&large)), (key(1), Some(b""))];
    let written = draft(header(&task, name(1, 1)), None, &parts);
    let report = store.write(&written).expect("write");
    assert_eq!((report.parts_given, report.parts_referenced, report.parts_copied), (3, 0, 0));
    assert!(report.bytes > 300_000);

    let read = store.read(&task, name(1, 1)).expect("read");
    assert_eq!(read.header, written.header);
    assert_eq!(read.core, written.core);
    let keys: Vec<PartKey> = read.parts.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [window, key(1), key(9)]);
    assert_eq!(parts_of(&read)[&window], large);
    assert_eq!(parts_of(&read)[&key(1)], b"");
    assert_eq!(store.header(&task, name(1, 1)).expect("header"), written.header);
    let newest = store.newest(&task).expect("newest");
    assert_eq!(newest.checkpoint, Some(read));

    let bare = draft(header(&task, name(1, 2)), Some(name(1, 1)), &[]);
    store.write(&bare).expect("write a checkpoint without parts");
    assert_eq!(store.read(&task, name(1, 2)).expect("read").parts, []);
    assert_eq!(store.names(&task).expect("names"), [name(1, 2), name(1, 1)]);
}

/// The second of one name is refused, and the first stays.
pub fn a_checkpoint_is_created_only_once(store: &dyn Store) {
    let task = task("stage", 0);
    let first = draft(header(&task, name(1, 1)), None, &[(key(1), Some(b"first"))]);
    store.write(&first).expect("write");
    let second = draft(header(&task, name(1, 1)), None, &[(key(1), Some(b"second"))]);
    assert!(matches!(store.write(&second), Err(Error::Exists { .. })));
    assert_eq!(parts_of(&store.read(&task, name(1, 1)).expect("read"))[&key(1)], b"first");
}

/// FN-1: below a later checkpoint, above all one of a higher epoch, nothing can be written.
pub fn a_superseded_owner_stores_nothing(store: &dyn Store) {
    let task = task("stage", 0);
    store.write(&draft(header(&task, name(1, 1)), None, &[])).expect("write");
    store.write(&draft(header(&task, name(2, 2)), None, &[])).expect("write");
    for late in [name(1, 3), name(1, 9), name(2, 1)] {
        let refused = store.write(&draft(header(&task, late), None, &[]));
        assert!(
            matches!(refused, Err(Error::Superseded { by, .. }) if by == name(2, 2)),
            "{refused:?}"
        );
    }
    assert_eq!(store.names(&task).expect("names"), [name(2, 2), name(1, 1)]);
}

/// Parts that are nowhere or twice, another pipeline, and names that could lead anywhere.
pub fn a_draft_that_makes_no_sense_is_refused(store: &dyn Store) {
    let task = task("stage", 0);
    let first = header(&task, name(1, 1));
    let nowhere = store.write(&draft(first.clone(), None, &[(key(1), None)]));
    assert!(matches!(nowhere, Err(Error::NoSuchPart { base: None, .. })), "{nowhere:?}");
    let twice = [(key(1), Some(&b"a"[..])), (key(1), Some(&b"b"[..]))];
    assert!(matches!(store.write(&draft(first.clone(), None, &twice)), Err(Error::Refused { .. })));
    let other = Header { pipeline: "other".to_owned(), ..first.clone() };
    assert!(matches!(store.write(&draft(other, None, &[])), Err(Error::Refused { .. })));

    store.write(&draft(first, None, &[(key(1), Some(b"a"))])).expect("write");
    let next = header(&task, name(1, 2));
    let missing = store.write(&draft(next.clone(), Some(name(1, 1)), &[(key(2), None)]));
    assert!(matches!(missing, Err(Error::NoSuchPart { base: Some(_), .. })), "{missing:?}");
    let no_base = store.write(&draft(next, Some(name(0, 0)), &[(key(1), None)]));
    assert!(matches!(no_base, Err(Error::Absent { .. })), "{no_base:?}");
    assert_eq!(store.names(&task).expect("names"), [name(1, 1)]);

    for digest in ["", "../tasks", &"A".repeat(64)] {
        assert!(matches!(store.object(digest), Err(Error::Refused { .. })));
    }
    let nameless = crate::suite::task("", 0);
    assert!(matches!(store.names(&nameless), Err(Error::Refused { .. })));
}

/// Components and configurations are stored by digest, before the checkpoint that names them.
pub fn an_object_comes_back_and_must_come_first(store: &dyn Store) {
    let digest = store.put_object(b"abc").expect("put");
    assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(store.put_object(b"abc").expect("put again"), digest);
    assert_eq!(store.object(&digest).expect("get"), b"abc");
    assert!(matches!(store.object(&"0".repeat(64)), Err(Error::Absent { .. })));

    let task = task("stage", 0);
    let operator = |component: &str, configuration: &str| OperatorRecord {
        digest: OperatorDigest {
            operator: "cell".to_owned(),
            component: component.to_owned(),
            configuration: configuration.to_owned(),
        },
        state_version: 2,
        operator_version: "1.2.3".to_owned(),
    };
    let with = |operator| Header { operators: vec![operator], ..header(&task, name(1, 1)) };
    let absent = "0".repeat(64);
    for wrong in [operator(&absent, &digest), operator(&digest, &absent)] {
        let refused = store.write(&draft(with(wrong), None, &[]));
        assert!(matches!(refused, Err(Error::Absent { .. })), "{refused:?}");
    }
    let right = with(operator(&digest, &digest));
    store.write(&draft(right.clone(), None, &[])).expect("write");
    assert_eq!(store.header(&task, name(1, 1)).expect("header"), right);
}

/// After falling back to an older checkpoint, unchanged means: as in that one.
pub fn a_base_need_not_be_the_newest(store: &dyn Store) {
    let task = task("stage", 0);
    let one = draft(header(&task, name(1, 1)), None, &[(key(1), Some(b"one"))]);
    store.write(&one).expect("write");
    let two = draft(header(&task, name(1, 2)), None, &[(key(1), Some(b"two"))]);
    store.write(&two).expect("write");
    let three = draft(header(&task, name(2, 3)), Some(name(1, 1)), &[(key(1), None)]);
    store.write(&three).expect("write");
    assert_eq!(parts_of(&store.read(&task, name(2, 3)).expect("read"))[&key(1)], b"one");
}

/// Equal names in different tasks are different checkpoints.
pub fn tasks_do_not_see_each_other(store: &dyn Store) {
    let tasks = [task("a", 0), task("a", 1), task("b", 0), task("A", 0), task("a%", 0)];
    for (at, task) in tasks.iter().enumerate() {
        let part = [at as u8];
        let mine = draft(header(task, name(1, 1)), None, &[(key(1), Some(&part))]);
        store.write(&mine).expect("write");
    }
    for (at, task) in tasks.iter().enumerate() {
        let read = store.read(task, name(1, 1)).expect("read");
        assert_eq!(parts_of(&read)[&key(1)], [at as u8]);
    }
}

/// `keep` removes only what nobody needs.
pub fn keeping_spares_the_newest_and_what_they_refer_to(store: &dyn Store) {
    let task = task("stage", 0);
    let large = [1; 1000];
    let first: [(PartKey, Option<&[u8]>); 2] = [(key(1), Some(&large)), (key(2), Some(b"0"))];
    store.write(&draft(header(&task, name(1, 1)), None, &first)).expect("write");
    let none = store.keep(&task, 3).expect("keep");
    assert_eq!((none.headers.len(), none.removed.len()), (1, 0));
    for sequence in 2..8 {
        let small = [sequence as u8];
        let parts: [(PartKey, Option<&[u8]>); 2] = [(key(1), None), (key(2), Some(&small))];
        let next = header(&task, name(1, sequence));
        let report = store.write(&draft(next, Some(name(1, sequence - 1)), &parts)).expect("write");
        assert_eq!((report.parts_referenced, report.files_referenced), (1, 1));
    }
    let kept = store.keep(&task, 3).expect("keep");
    let names: Vec<CheckpointName> = kept.headers.iter().map(|header| header.name).collect();
    assert_eq!(names, [name(1, 7), name(1, 6), name(1, 5)]);
    assert_eq!(kept.removed, [name(1, 4), name(1, 3), name(1, 2)]);
    let left = [name(1, 7), name(1, 6), name(1, 5), name(1, 1)];
    assert_eq!(store.names(&task).expect("names"), left);
    for name in left {
        assert_eq!(parts_of(&store.read(&task, name).expect("read"))[&key(1)], large);
    }
    assert_eq!(store.keep(&task, 0).expect("keep").headers.len(), 1);
    assert_eq!(store.names(&task).expect("names"), [name(1, 7), name(1, 1)]);
}

/// One part in use does not keep a large file on the disk: it is copied.
pub fn a_file_that_is_mostly_unused_is_let_go(store: &dyn Store) {
    let task = task("stage", 0);
    let data = [3; 1000];
    let all: Vec<(PartKey, Option<&[u8]>)> =
        (0..8).map(|number| (key(number), Some(&data[..]))).collect();
    store.write(&draft(header(&task, name(1, 1)), None, &all)).expect("write");
    let mut most = all.clone();
    most[0].1 = None;
    let report =
        store.write(&draft(header(&task, name(1, 2)), Some(name(1, 1)), &most)).expect("write");
    assert_eq!((report.parts_copied, report.parts_referenced, report.files_referenced), (1, 0, 0));
    store.keep(&task, 1).expect("keep");
    assert_eq!(store.names(&task).expect("names"), [name(1, 2)]);
    assert_eq!(parts_of(&store.read(&task, name(1, 2)).expect("read"))[&key(0)], data);
}

/// Fifty checkpoints with random parts given, unchanged and gone; owners change on the way, some
/// go back to an older base, and only the newest are kept.
pub fn random_checkpoints_equal_a_model(store: &dyn Store, seed: u64) {
    let random = &mut Random(seed);
    let task = task("stage", 0);
    let mut model: BTreeMap<CheckpointName, BTreeMap<PartKey, Vec<u8>>> = BTreeMap::new();
    let mut base: Option<CheckpointName> = None;
    let mut epoch = 1;
    for sequence in 1..=50 {
        epoch += u64::from(random.below(8) == 0);
        let mut parts = base.map(|base| model[&base].clone()).unwrap_or_default();
        parts.retain(|_, _| random.below(20) > 0);
        let mut given: Vec<PartKey> = Vec::new();
        for _ in 0..1 + random.below(6) {
            let owner = [Owner::Window(1), Owner::Operator(0)][random.below(2)];
            let key = PartKey { owner, number: random.below(40) as u64 };
            parts.insert(key, random.bytes(2_000));
            given.push(key);
        }
        let drafted: Vec<(PartKey, Option<&[u8]>)> = parts
            .iter()
            .map(|(key, data)| (*key, given.contains(key).then_some(data.as_slice())))
            .collect();
        let this = name(epoch, sequence);
        let report = store
            .write(&draft(header(&task, this), base, &drafted))
            .unwrap_or_else(|error| panic!("seed {seed}, {this:?}: {error}"));
        assert!(report.files_referenced <= FILES_MAX, "seed {seed}");
        assert_eq!(
            report.parts_given + report.parts_copied + report.parts_referenced,
            parts.len(),
            "seed {seed}"
        );
        model.insert(this, parts);
        base = Some(this);

        if random.below(3) == 0 {
            let kept = store.keep(&task, 3).expect("keep");
            let newest: Vec<CheckpointName> = model.keys().rev().take(3).copied().collect();
            let names: Vec<CheckpointName> = kept.headers.iter().map(|h| h.name).collect();
            assert_eq!(names, newest, "seed {seed}");
            if random.below(4) == 0 {
                base = newest.last().copied();
            }
        }
        for (name, parts) in model.iter().rev().take(3) {
            let read = store
                .read(&task, *name)
                .unwrap_or_else(|error| panic!("seed {seed}, {name:?}: {error}"));
            assert_eq!(parts_of(&read), *parts, "seed {seed}, {name:?}");
        }
    }
    store.keep(&task, 3).expect("keep");
    let left = store.names(&task).expect("names").len();
    assert!(left <= 3 + 3 * FILES_MAX, "seed {seed}: {left} files left");
}
