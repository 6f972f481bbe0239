//! Configurations that nobody meant: each is refused with a message, or means something.
//!
//! What may be left out, added or ignored is the plugin's own affair: a plugin without a
//! configuration may take any. So a field of the wrong type, and a text that is no JSON, count only
//! where it shows that the plugin reads its configuration.

use super::{FINDINGS_MAX, Verdict};
use crate::config;
use crate::history::{Cut, Item};
use crate::kit::Kit;
use crate::player::Player;
use crate::report::Finding;
use crate::trace::{Trace, clipped, shown_bytes};
use pawl_core::operator::Wiring;
use pawl_sandbox::Error;
use serde_json::{Value, json};

/// Items of the history that show what a configuration does.
const ITEMS_MAX: usize = 150;

/// What a plugin does with a configuration.
#[derive(PartialEq)]
enum Does {
    /// Refuses it, with this text.
    Refuses(String),
    /// Takes it, and behaves like that; none where the play broke.
    Takes(Box<Wiring>, Option<Trace>),
    /// Fails in `configure`.
    Breaks(String),
}

/// CF-04.
pub(super) fn never_traps(kit: &Kit) -> Verdict {
    let config: Value = serde_json::from_str(&kit.config).unwrap_or_else(|_| json!({}));
    let mut texts = config::odd_texts();
    texts.extend(config::not_json(&kit.config));
    for path in config::leaves(&config) {
        texts.extend(config::without(&config, &path));
        let values = config::odd_values().into_iter().chain(config::wrong_types());
        texts.extend(values.map(|value| config::replaced(&config, &path, value)));
    }
    let (mut findings, mut tried, mut refused) = (Vec::new(), 0, 0);
    for text in &texts {
        if findings.len() >= FINDINGS_MAX || kit.is_law_over() {
            break;
        }
        tried += 1;
        match kit.instance(text) {
            Ok(_) => {}
            Err(Error::Configuration(_)) => refused += 1,
            Err(Error::Failed { failure, during }) if failure.kind() != "bad-return" => {
                let shown = shown_bytes(text.as_bytes());
                let (kind, message) = (failure.kind(), failure.message());
                findings.push(finding(format!("{during} fails ({kind}: {message}) on {shown}")));
                if failure.kind() == "timeout" {
                    break;
                }
            }
            // A wiring that is not sane is another law's.
            Err(_) => refused += 1,
        }
    }
    let breaks = |text: &&str| matches!(does(kit, text), Does::Breaks(_));
    let notes = config::no_tables().into_iter().filter(|_| findings.is_empty()).find(breaks);
    let notes = notes.map(|text| format!("it breaks on {text}, which a pipeline file cannot give"));
    Verdict::of(findings, format!("{tried} texts, {refused} of them refused"))
        .noting(notes.into_iter().collect())
}

/// CF-05.
pub(super) fn errors(kit: &Kit) -> Verdict {
    let config: Value = serde_json::from_str(&kit.config).unwrap_or_else(|_| json!({}));
    let base = does(kit, &kit.config);
    let (mut findings, mut notes) = (Vec::new(), Vec::new());
    let (mut refusals, mut fields, mut reads) = (0, 0, false);
    for path in config::leaves(&config) {
        if findings.len() >= FINDINGS_MAX || kit.is_law_over() {
            break;
        }
        match field(kit, &config, &path, &base) {
            Field::Unread => {}
            Field::Refused(text) => {
                (reads, refusals, fields) = (true, refusals + 1, fields + 1);
                note_refusal(&path, &text, &mut findings, &mut notes);
            }
            Field::Kept => (reads, fields) = (true, fields + 1),
            Field::Swallowed(what) => {
                (reads, fields) = (true, fields + 1);
                findings.push(finding(what));
            }
        }
    }
    let unknown = json!({"pawl-conformance-unknown": 1}).to_string();
    reads |= matches!(does(kit, &unknown), Does::Refuses(_));
    reads |= matches!(does(kit, "{}"), Does::Refuses(_));
    for text in config::not_json(&kit.config) {
        match does(kit, &text) {
            Does::Refuses(why) if why.trim().is_empty() => {
                findings.push(finding("a configuration is refused without a word".to_owned()));
            }
            Does::Refuses(_) => refusals += 1,
            Does::Takes(..) if reads => {
                let shown = shown_bytes(text.as_bytes());
                findings.push(finding(format!("it takes {shown}, which is not JSON")));
            }
            _ => {}
        }
        findings.truncate(FINDINGS_MAX);
    }
    if findings.is_empty() && refusals == 0 {
        return Verdict::not_shown(
            "no configuration made a difference, so there may be nothing to be wrong: give one \
             that does with --config",
        );
    }
    let detail = format!("{refusals} wrong configurations were refused, {fields} fields are read");
    Verdict::of(findings, detail).noting(notes)
}

/// What became of a field of the wrong type.
enum Field {
    /// Nothing shows that it is read.
    Unread,
    /// Refused, with this text.
    Refused(String),
    /// Taken as it is: any JSON may stand there.
    Kept,
    /// Taken for something else, as this says.
    Swallowed(String),
}

fn field(kit: &Kit, config: &Value, path: &str, base: &Does) -> Field {
    let [one, two] = config::wrong_types().map(|value| config::replaced(config, path, value));
    let (as_one, as_two) = (does(kit, &one), does(kit, &two));
    if let Does::Refuses(text) = as_one {
        return Field::Refused(text);
    }
    if let Does::Refuses(text) = as_two {
        return Field::Refused(text);
    }
    // Something that breaks is another law's, and what differs is used as it is.
    let same = as_one == as_two && matches!(as_one, Does::Takes(_, Some(_)));
    let leaf = config.pointer(path).cloned().unwrap_or_default();
    let others = config::alternatives(&leaf);
    let is_read = others.into_iter().any(|other| {
        let with = does(kit, &config::replaced(config, path, other));
        !matches!(with, Does::Breaks(_)) && with != *base
    });
    match (is_read, same) {
        (false, _) => Field::Unread,
        (true, false) => Field::Kept,
        (true, true) => {
            let shown = shown_bytes(one.as_bytes());
            Field::Swallowed(format!(
                "{path} is read, and yet a table and a list in its place are taken, and taken \
                 for the same: {shown}"
            ))
        }
    }
}

fn note_refusal(path: &str, text: &str, findings: &mut Vec<Finding>, notes: &mut Vec<String>) {
    let name = path.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or(path);
    if text.trim().is_empty() {
        findings.push(finding(format!("a wrong {path} is refused without a word")));
    } else if !text.contains(name) && notes.len() < FINDINGS_MAX {
        let text = clipped(text, 120);
        notes.push(format!("the refusal of a wrong {path} does not name the field: {text}"));
    }
}

fn does(kit: &Kit, config: &str) -> Does {
    let mut player = match kit.instance(config) {
        Err(Error::Configuration(text)) => return Does::Refuses(text),
        Err(error) => return Does::Breaks(error.to_string()),
        Ok(_) => match Player::configured(kit, config) {
            Ok(player) => player,
            Err(broke) => return Does::Breaks(broke.text()),
        },
    };
    let wiring = Box::new(player.instance.wiring().clone());
    // Headers are given as the first configuration wants them.
    if wiring.wants.len() != kit.wiring.wants.len() {
        return Does::Takes(wiring, None);
    }
    let items: Vec<Item> = kit.items.iter().copied().take(ITEMS_MAX).collect();
    let end = kit.items.iter().rev().take(3).rev().filter(|item| matches!(item, Item::Tick(_)));
    let played = player.play(&items, Cut::Every(16)).and_then(|()| {
        let last: Vec<Item> = end.copied().collect();
        if items.len() == kit.items.len() { Ok(()) } else { player.play(&last, Cut::Every(1)) }
    });
    Does::Takes(wiring, played.ok().map(|()| player.trace))
}

fn finding(what: String) -> Finding {
    Finding { what, steps: Vec::new(), records: Vec::new() }
}
