//! Input made from a seed: observations for `count-window`, with all that can be wrong with them.

use crate::random::Random;

/// Event time of the first observation, in milliseconds since the Unix epoch.
pub const START_MS: i64 = 1_234_280_000_000;

/// Milliseconds of event time between two observations.
const BETWEEN_MS: i64 = 20;

/// One good observation.
pub fn observation(id: impl std::fmt::Display, cell: u64, time: i64) -> String {
    format!(
        r#"{{"observation_id":"{id}","sensor_id":"S{}","cell":"{cell}","t_ms":{time},"x":1.5,"y":2,"z":3}}"#,
        time.rem_euclid(4)
    )
}

/// About `count` observations over 40 cells, in the order of time but for some disorder. Of a
/// thousand about 50 come twice, 10 are late, 10 cut short, 10 without a field that is needed, and
/// 2 are orders for the misbehaving guest to trap, one of them beside another.
pub fn observations(seed: u64, count: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let mut lines: Vec<String> = Vec::new();
    for number in 0..count {
        let disorder = random.below(600) as i64 - 300;
        let time = START_MS + number as i64 * BETWEEN_MS + disorder;
        let mut line = observation(number, random.below(40), time);
        match random.below(1000) {
            0..10 => line.truncate(random.below(line.len() as u64 - 1) as usize + 1),
            10..20 => line = line.replace("sensor_id", "sensor"),
            20..30 => line = observation(number, random.below(40), time - 20_000),
            30..80 if !lines.is_empty() => {
                let back = random.below(lines.len().min(50) as u64) as usize;
                lines.push(lines[lines.len() - 1 - back].clone());
            }
            _ => {}
        }
        lines.push(line);
        if matches!(number % 1000, 400 | 800 | 801) {
            lines.push("trap".to_owned());
        }
    }
    lines
}

/// Lines as `pawl produce` takes them.
pub fn joined(lines: &[impl AsRef<str>]) -> String {
    lines.iter().map(|line| format!("{}\n", line.as_ref())).collect()
}

/// Numbered lines from `from` to below `to`.
pub fn numbered(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|number| format!("record {number}")).collect()
}
