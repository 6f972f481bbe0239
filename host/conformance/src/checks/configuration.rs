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
    /// There was no time to see.
    Unseen,
}

/// CF-04.
pub(super) fn never_traps(kit: &Kit) -> Verdict {
    let config: Value = serde_json::from_str(&kit.config).unwrap_or_else(|_| json!({}));
    let mut texts = config::odd_texts();
    texts.extend(config::not_json(&kit.config));
    for path in config::leaves(&config) {
        texts.extend(config::without(&config, &path));
        let leaf = config.pointer(&path).cloned().unwrap_or_default();
        let wrong = config::wrong_types(&leaf).into_iter().flatten();
        let values = config::odd_values().into_iter().chain(wrong);
        texts.extend(values.map(|value| config::replaced(&config, &path, value)));
    }
    let (mut findings, mut tried, mut refused) = (Vec::new(), 0, 0);
    for text in &texts {
        if findings.len() >= FINDINGS_MAX || kit.watch.is_law_over() {
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
        if findings.len() >= FINDINGS_MAX || kit.watch.is_law_over() {
            break;
        }
        match field(kit, &config, &path, &base) {
            Field::Unread => {}
            Field::Refused(text) => {
                (reads, refusals, fields) = (true, refusals + 1, fields + 1);
                note_refusal(&path, &text, &mut findings, &mut notes);
                note_reach(kit, &config, &path, &base, &mut notes);
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
    if reads && let Some(fields) = config.as_object() {
        let mut more = fields.clone();
        more.insert("pawl-conformance-unknown".to_owned(), json!(1));
        if matches!(does(kit, &Value::Object(more).to_string()), Does::Takes(..)) {
            notes.push(
                "it takes fields that it does not know, so a mistyped name goes unseen".into(),
            );
        }
    }
    let mut not_json = None;
    for text in config::not_json(&kit.config) {
        match does(kit, &text) {
            Does::Refuses(why) if why.trim().is_empty() => {
                findings.push(finding("a configuration is refused without a word".to_owned()));
            }
            Does::Refuses(_) => refusals += 1,
            Does::Takes(..) if reads => {
                let shown = shown_bytes(text.as_bytes());
                not_json.get_or_insert_with(|| {
                    format!("it takes {shown}, which is not JSON, and no pipeline file can give")
                });
            }
            _ => {}
        }
        findings.truncate(FINDINGS_MAX);
    }
    notes.extend(not_json);
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
    let leaf = config.pointer(path).cloned().unwrap_or_default();
    let mut swallowed = None;
    for pair in config::wrong_types(&leaf) {
        let [one, two] = pair.map(|value| config::replaced(config, path, value));
        let (as_one, as_two) = (does(kit, &one), does(kit, &two));
        if let Does::Refuses(text) = as_one {
            return Field::Refused(text);
        }
        if let Does::Refuses(text) = as_two {
            return Field::Refused(text);
        }
        // Something that breaks is another law's, and what differs is used as it is.
        if as_one == as_two && matches!(as_one, Does::Takes(_, Some(_))) {
            swallowed.get_or_insert(one);
        }
    }
    let others = config::alternatives(&leaf);
    let is_read = others.into_iter().any(|other| {
        let with = does(kit, &config::replaced(config, path, other));
        !matches!(with, Does::Breaks(_) | Does::Unseen) && with != *base
    });
    match (is_read && *base != Does::Unseen, swallowed) {
        (false, _) => Field::Unread,
        (true, None) => Field::Kept,
        (true, Some(one)) => {
            let shown = shown_bytes(one.as_bytes());
            Field::Swallowed(format!(
                "{path} is read, and yet values of another type are taken, and different ones \
                 taken for the same: {shown}"
            ))
        }
    }
}

/// A number out of all reach that is taken, and changes nothing, though the field is read.
fn note_reach(kit: &Kit, config: &Value, path: &str, base: &Does, notes: &mut Vec<String>) {
    if !config.pointer(path).is_some_and(Value::is_number) || notes.len() >= FINDINGS_MAX {
        return;
    }
    for value in [json!(i64::MIN), json!(-1e300)] {
        let with = config::replaced(config, path, value.clone());
        if does(kit, &with) == *base && matches!(base, Does::Takes(_, Some(_))) {
            notes.push(format!("{path} = {value} is taken, and does what the given value does"));
            return;
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
    let mut player = match Player::of_instance(kit, config, kit.instance(config)) {
        Ok(player) => player,
        Err(Error::Configuration(text)) => return Does::Refuses(text),
        Err(error) => return Does::Breaks(error.to_string()),
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
    match played {
        Err(broke) if broke.is_over() => Does::Unseen,
        played => Does::Takes(wiring, played.ok().map(|()| player.trace)),
    }
}

fn finding(what: String) -> Finding {
    Finding { what, steps: Vec::new(), records: Vec::new() }
}
