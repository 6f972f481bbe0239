//! Writes dead letters for measuring: `million PIPELINE.toml COUNT`. A day of them at an even rate,
//! and a spike in its last half hour. It times nothing itself: time the commands.

use pawl_tests::Draft;
use pawl_tests::letters;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let usage = "million PIPELINE.toml COUNT";
    let file = arguments.next().expect(usage);
    let count: u64 = arguments.next().and_then(|count| count.parse().ok()).expect(usage);
    let (pipeline, _) = pawl_pipeline::load(file.as_ref(), &[]).expect("the pipeline is right");
    let transport = pawl_service::open_transport(&pipeline, false).expect("it can be opened");
    let (kinds, day) = (["bad-json", "schema-version", "out-of-range", "frame"], 86_400_000);
    let end = 1_795_500_000_000;
    let mut drafts = Vec::new();
    for number in 0..count {
        let mut draft = Draft::new(number);
        let spike = number >= count / 2;
        let spread = |length: i64, of: u64, at: u64| length * at as i64 / of.max(1) as i64;
        draft.failed_ms = match spike {
            false => end - day + spread(day, count / 2, number),
            true => end - 1_800_000 + spread(1_800_000, count / 2, number - count / 2),
        };
        draft.kind = kinds[if spike { 0 } else { number as usize % 4 }].to_owned();
        draft.origin.1 = if spike { 2 } else { number as u32 % 3 };
        let radar = if spike { 7 } else { number % 12 };
        draft.headers = vec![("source".to_owned(), format!("radar-{radar}"))];
        draft.payload = format!("{{\"sensor_id\":\"s{radar}\",\"x\":\"{}\"}}", "x".repeat(160));
        drafts.push(draft);
        if drafts.len() == 100_000 || number + 1 == count {
            letters::write(&transport, &pipeline.dead_letters.topic, &drafts, 100);
            drafts.clear();
        }
    }
}
