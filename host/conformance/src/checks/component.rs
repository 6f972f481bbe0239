//! What a plugin says of itself before any record: the same, whenever it is asked.

use super::Verdict;
use crate::kit::Kit;
use crate::report::Finding;

/// CF-02.
pub(super) fn description(kit: &Kit) -> Verdict {
    for _ in 0..2 {
        let Ok(instance) = kit.instance(&kit.config) else { continue };
        if *instance.description() != kit.description {
            let what =
                format!("it says {:?}, and then {:?}", kit.description, instance.description());
            return Verdict::of(vec![plain(what)], "");
        }
    }
    let description = &kit.description;
    let reads: Vec<String> = description.restores.iter().map(u32::to_string).collect();
    Verdict::passed(format!(
        "{} {}, state version {}, reads {}",
        crate::trace::clipped(&description.name, 64),
        crate::trace::clipped(&description.version, 64),
        description.state_version,
        reads.join(", ")
    ))
}

/// CF-03.
pub(super) fn wiring(kit: &Kit) -> Verdict {
    for _ in 0..2 {
        match kit.instance(&kit.config) {
            Ok(instance) if *instance.wiring() == kit.wiring => {}
            Ok(instance) => {
                let what = format!("it gives {:?}, and then {:?}", kit.wiring, instance.wiring());
                return Verdict::of(vec![plain(what)], "");
            }
            Err(error) => {
                let what = format!("it takes the configuration once, and then not: {error}");
                return Verdict::of(vec![plain(what)], "");
            }
        }
    }
    let wiring = &kit.wiring;
    let names = |names: &[String]| match names.is_empty() {
        true => "none".to_owned(),
        false => crate::trace::clipped(&names.join(", "), 120),
    };
    Verdict::passed(format!(
        "outputs: {}; headers read: {}; headers set: {}; delay {} ms, ahead {} ms",
        names(&wiring.outputs),
        names(&wiring.wants),
        names(&wiring.sets),
        wiring.delay,
        wiring.ahead
    ))
}

fn plain(what: String) -> Finding {
    Finding { what, steps: Vec::new(), records: Vec::new() }
}
