//! Sums up observations per cell and tumbling window, and alerts on windows that at least
//! `min_sensors` sensors saw. Event time is the record's: the pipeline takes it from `t_ms`.

use pawl_sdk::prelude::*;
use std::borrow::Cow;

/// The pipeline's file says how long windows are, and which count.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Length of a window.
    window_ms: u64,
    /// How long after its end a window waits, beside the pipeline's `disorder`.
    #[serde(default)]
    lateness_ms: u64,
    /// Windows that fewer sensors saw cause no alert.
    #[serde(default = "two")]
    min_sensors: usize,
}

fn two() -> usize {
    2
}

/// What is read of an observation; the rest of it is only checked to be JSON.
#[derive(Deserialize)]
struct Observation<'a> {
    #[serde(borrow)]
    sensor_id: Cow<'a, str>,
    #[serde(borrow)]
    cell: Cow<'a, str>,
    x: f64,
    y: f64,
    z: f64,
}

/// What is kept of a window of a cell. Wrapping sums are the same in any order.
#[derive(Default, Serialize, Deserialize)]
struct Sums {
    count: u64,
    /// Sorted.
    sensors: Vec<String>,
    x: i64,
    y: i64,
    z: i64,
}

#[derive(Serialize)]
struct Alert<'a> {
    alert_id: &'a str,
    cell: &'a str,
    window_start: i64,
    count: u64,
    sensors: usize,
    sx: i64,
    sy: i64,
    sz: i64,
}

/// The operator.
pub struct CountWindow {
    windows: Tumbling<String, Sums>,
    min_sensors: usize,
}

impl Operator for CountWindow {
    const NAME: &'static str = "count-window";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Wiring), String> {
        let windows = Tumbling::new(config.window_ms, config.lateness_ms)
            .map_err(|error| format!("window_ms, lateness_ms: {error}"))?;
        let wiring = windows.wire(Wiring::to("alerts"));
        Ok((Self { windows, min_sensors: config.min_sensors }, wiring))
    }

    fn process(&mut self, record: Record<'_>, _: &mut Emitter<'_>) -> Result<(), Rejection> {
        let seen: Observation<'_> = record.json()?;
        let sums = self.windows.at(&*seen.cell, record.event_time());
        sums.count += 1;
        sums.x = sums.x.wrapping_add(thousandths(seen.x));
        sums.y = sums.y.wrapping_add(thousandths(seen.y));
        sums.z = sums.z.wrapping_add(thousandths(seen.z));
        if let Err(at) = sums.sensors.binary_search_by(|sensor| (**sensor).cmp(&seen.sensor_id)) {
            sums.sensors.insert(at, seen.sensor_id.into_owned());
        }
        Ok(())
    }

    fn advance(&mut self, watermark: i64, out: &mut Emitter<'_>) {
        self.windows.fire(watermark, |window, cell, sums| {
            if sums.sensors.len() < self.min_sensors {
                return;
            }
            let id = format!("{:016x}", fnv1a(&format!("{cell}|{}", window.start)));
            let alert = Alert {
                alert_id: &id,
                cell,
                window_start: window.start,
                count: sums.count,
                sensors: sums.sensors.len(),
                sx: sums.x,
                sy: sums.y,
                sz: sums.z,
            };
            let alert = out.emit_json(&alert).expect("an alert has only text and numbers");
            alert.key(cell).id(&id).event_time(window.end);
        });
    }

    fn state(&mut self) -> Vec<&mut dyn State> {
        vec![&mut self.windows]
    }
}

pawl_sdk::export!(CountWindow);

fn thousandths(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

/// FNV-1a, 64 bits.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pawl_sdk::testing::{Harness, Input};

    const CONFIG: &str = r#"{"window_ms": 1000, "lateness_ms": 500}"#;

    fn seen(cell: &str, sensor: &str, time: i64, x: f64) -> Input {
        let value = format!(
            r#"{{"observation_id":"00","sensor_id":"{sensor}","object_id":"1","cell":"{cell}","t_ms":{time},"x":{x},"y":-0.5,"z":0.0004,"pad":"p"}}"#
        );
        Input::new(cell, value).at(time)
    }

    #[test]
    fn a_window_that_two_sensors_saw_becomes_one_alert_once_it_has_waited() {
        let mut host = Harness::<CountWindow>::new(CONFIG).unwrap();
        let ran = host.process(&[
            seen("7", "S1", 5000, 1.5),
            seen("7", "S2", 5999, 0.0005),
            seen("8", "S1", 5500, 1.0),
            seen("7", "S2", 6000, 9.0),
        ]);
        assert!(ran.sent.is_empty() && ran.rejected.is_empty());
        assert!(host.advance(6499).is_empty());
        let sent = host.advance(6500);
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert_eq!(
            sent[0].text(),
            r#"{"alert_id":"4ca6b3904e23028b","cell":"7","window_start":5000,"count":2,"sensors":2,"sx":1501,"sy":-1000,"sz":0}"#
        );
        assert_eq!(sent[0].key.as_deref(), Some(&b"7"[..]));
        assert_eq!(sent[0].id.as_deref(), Some(&b"4ca6b3904e23028b"[..]));
        assert_eq!(sent[0].event_time, 6000);
    }

    #[test]
    fn a_value_cut_short_is_rejected_and_leaves_no_trace() {
        let mut host = Harness::<CountWindow>::new(CONFIG).unwrap();
        let before = host.snapshot();
        let ran = host.process(&[Input::new("7", r#"{"sensor_id":"S1","cell":"7","x":1"#)]);
        assert_eq!(ran.rejected[0].1.kind, "deserialization");
        assert_eq!(host.snapshot(), before);
    }

    #[test]
    fn a_restored_operator_goes_on_as_the_one_before() {
        let mut host = Harness::<CountWindow>::new(CONFIG).unwrap();
        host.process(&[seen("7", "S1", 100, 1.0), seen("9", "S4", 100, 1.0)]);
        let parts = host.snapshot();
        let mut again = Harness::<CountWindow>::restored(CONFIG, 1, &parts).unwrap();
        for host in [&mut host, &mut again] {
            host.process(&[seen("7", "S0", 200, 2.0), seen("9", "S5", 300, 1.0)]);
        }
        let sent = host.advance(5000);
        assert_eq!(sent.len(), 2);
        assert_eq!(again.advance(5000), sent);
        assert_eq!(again.snapshot(), host.snapshot());
    }

    #[test]
    fn a_wrong_configuration_is_refused_with_the_name_of_the_field() {
        for (config, names) in [
            ("{}", "window_ms"),
            (r#"{"window_ms": "1s"}"#, "window_ms"),
            (r#"{"window_ms": 0}"#, "window_ms"),
            (r#"{"window_ms": 1000, "sensors": 3}"#, "sensors"),
        ] {
            let error = Harness::<CountWindow>::new(config).err().unwrap();
            assert!(error.contains(names), "{error}");
        }
    }
}
