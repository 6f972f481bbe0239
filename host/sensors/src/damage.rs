//! How lines get damaged on their way: cut short, overwritten, of another version, impossible.
//!
//! A damaged line never holds a line feed and is never a good observation by accident.

use crate::ledger::Ledger;
use crate::random::Random;

/// A damaged copy of a good line; the ledger counts of which kind.
pub(crate) fn damage(good: &str, random: &mut Random, ledger: &mut Ledger) -> Vec<u8> {
    match random.below(4) {
        0 => {
            ledger.cut_short += 1;
            let length = 1 + random.below(good.len() as u64 - 1) as usize;
            good.as_bytes()[..length].to_vec()
        }
        1 => {
            ledger.garbage += 1;
            garbage(random)
        }
        2 => {
            ledger.wrong_version += 1;
            let version = format!("\"schema_version\":{}", 2 + random.below(8));
            good.replacen("\"schema_version\":1", &version, 1).into_bytes()
        }
        _ => {
            ledger.out_of_range += 1;
            impossible(good, random)
        }
    }
}

/// 1 to 200 bytes, none of them the end of a line; the first is no start of any JSON.
fn garbage(random: &mut Random) -> Vec<u8> {
    let length = 1 + random.below(200);
    let mut bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    bytes[0] |= 0x80;
    for byte in &mut bytes {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = 0;
        }
    }
    bytes
}

/// Well-formed JSON with one number that cannot be.
fn impossible(good: &str, random: &mut Random) -> Vec<u8> {
    const LIES: [(&str, &str); 4] = [
        ("\"position_km\":[", "\"position_km\":[1e12,"),
        ("\"velocity_km_s\":[", "\"velocity_km_s\":[-300000.5,"),
        ("\"position_sigma_km\":", "\"position_sigma_km\":-"),
        ("\"object_id\":", "\"object_id\":-"),
    ];
    let (field, lie) = LIES[random.below(LIES.len() as u64) as usize];
    let mut text = good.replacen(field, lie, 1);
    if field.ends_with('[') {
        // The first number was put in front, so one of the old three has to go.
        let start = text.find(lie).map_or(0, |at| at + lie.len());
        if let Some(comma) = text[start..].find(',') {
            text.replace_range(start..=start + comma, "");
        }
    }
    text.into_bytes()
}
