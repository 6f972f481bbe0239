//! Element sets in the fields of the orbit mean-elements message (OMM), from JSON or CSV.
//!
//! Catalogue numbers are 32-bit numbers, never five digits. Numbers may come as JSON strings:
//! one of the two big publishers writes them so.

use crate::{Error, time};
use flate2::read::GzDecoder;
use serde::{Deserialize, Deserializer};
use std::io::Read;

/// One element set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Elements {
    /// Catalogue number.
    #[serde(rename = "NORAD_CAT_ID", deserialize_with = "object_id")]
    pub object_id: u32,
    /// Name, empty if there is none.
    #[serde(rename = "OBJECT_NAME", default)]
    pub name: String,
    /// Epoch, nanoseconds since the Unix epoch, UTC.
    #[serde(rename = "EPOCH", deserialize_with = "epoch")]
    pub epoch_ns: i64,
    /// Revolutions per day (Kozai).
    #[serde(rename = "MEAN_MOTION", deserialize_with = "number")]
    pub mean_motion: f64,
    /// Eccentricity.
    #[serde(rename = "ECCENTRICITY", deserialize_with = "number")]
    pub eccentricity: f64,
    /// Degrees.
    #[serde(rename = "INCLINATION", deserialize_with = "number")]
    pub inclination: f64,
    /// Degrees.
    #[serde(rename = "RA_OF_ASC_NODE", deserialize_with = "number")]
    pub right_ascension: f64,
    /// Degrees.
    #[serde(rename = "ARG_OF_PERICENTER", deserialize_with = "number")]
    pub argument_of_perigee: f64,
    /// Degrees.
    #[serde(rename = "MEAN_ANOMALY", deserialize_with = "number")]
    pub mean_anomaly: f64,
    /// SGP4's drag term, per earth radius.
    #[serde(rename = "BSTAR", deserialize_with = "number")]
    pub drag_term: f64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(f64),
    Text(String),
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = match NumberOrText::deserialize(from)? {
        NumberOrText::Number(value) => value,
        NumberOrText::Text(text) => text.trim().parse().map_err(serde::de::Error::custom)?,
    };
    if value.is_finite() { Ok(value) } else { Err(serde::de::Error::custom("not finite")) }
}

fn object_id<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let value = number(from)?;
    let whole = value as u32;
    if f64::from(whole) == value {
        Ok(whole)
    } else {
        Err(serde::de::Error::custom("a catalogue number is a whole number of 32 bits"))
    }
}

fn epoch<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    time::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// The last published element sets of Iridium 33 and Cosmos 2251 before they collided.
pub fn collision_2009() -> Vec<Elements> {
    parse_json(include_bytes!("../data/collision-2009.json"))
        .expect("the file was checked when it was put in, and a test reads it")
}

/// The 26,834 objects on orbit of 2024-11-01; see `data/README.md`.
pub fn catalog_2024() -> Vec<Elements> {
    parse_csv_gz(&include_bytes!("../data/catalog-2024-11-01.csv.gz")[..])
        .expect("the file was checked when it was put in, and a test reads it")
}

/// Reads a JSON array of OMM objects.
pub fn parse_json(text: &[u8]) -> Result<Vec<Elements>, Error> {
    serde_json::from_slice(text).map_err(Error::Json)
}

/// Reads CSV whose header names OMM fields, in any order; others are left alone.
pub fn parse_csv(text: &str) -> Result<Vec<Elements>, Error> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map(|(_, line)| line).unwrap_or_default();
    let columns = Columns::find(header).map_err(|what| Error::Csv { line: 1, what })?;
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            columns.read(&fields(line)).map_err(|what| Error::Csv { line: at + 1, what })
        })
        .collect()
}

/// Reads CSV as `parse_csv` does, compressed with gzip.
pub fn parse_csv_gz(compressed: impl Read) -> Result<Vec<Elements>, Error> {
    let mut text = String::new();
    GzDecoder::new(compressed).read_to_string(&mut text).map_err(Error::Read)?;
    parse_csv(&text)
}

/// Where each field stands in a line.
struct Columns {
    places: [usize; 10],
}

const NAMES: [&str; 10] = [
    "NORAD_CAT_ID",
    "OBJECT_NAME",
    "EPOCH",
    "MEAN_MOTION",
    "ECCENTRICITY",
    "INCLINATION",
    "RA_OF_ASC_NODE",
    "ARG_OF_PERICENTER",
    "MEAN_ANOMALY",
    "BSTAR",
];

impl Columns {
    fn find(header: &str) -> Result<Self, String> {
        let header = fields(header);
        let mut places = [0; 10];
        for (place, name) in places.iter_mut().zip(NAMES) {
            *place = header
                .iter()
                .position(|field| field.trim() == name)
                .ok_or_else(|| format!("the header has no column {name}"))?;
        }
        Ok(Self { places })
    }

    fn read(&self, line: &[String]) -> Result<Elements, String> {
        let text = |column: usize| -> Result<&str, String> {
            let field = line.get(self.places[column]).map(|field| field.trim());
            field.ok_or_else(|| format!("has no field {}", NAMES[column]))
        };
        let number = |column: usize| -> Result<f64, String> {
            let field = text(column)?;
            let value: f64 =
                field.parse().map_err(|_| format!("{}: {field:?} is no number", NAMES[column]))?;
            if value.is_finite() {
                Ok(value)
            } else {
                Err(format!("{}: not finite", NAMES[column]))
            }
        };
        Ok(Elements {
            object_id: text(0)?.parse().map_err(|_| "NORAD_CAT_ID: not 32 bits".to_owned())?,
            name: text(1)?.to_owned(),
            epoch_ns: time::parse(text(2)?).map_err(|error| format!("EPOCH: {error}"))?,
            mean_motion: number(3)?,
            eccentricity: number(4)?,
            inclination: number(5)?,
            right_ascension: number(6)?,
            argument_of_perigee: number(7)?,
            mean_anomaly: number(8)?,
            drag_term: number(9)?,
        })
    }
}

/// The fields of one CSV line; a quoted field may hold commas, and doubled quotes.
pub(crate) fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.trim_end_matches('\r').chars().peekable();
    while let Some(letter) = letters.next() {
        let field = fields.last_mut().expect("there is always a field");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_element_sets_of_2009_are_read_with_exact_epochs() {
        let elements = collision_2009();
        assert_eq!(elements.len(), 2);
        assert_eq!((elements[0].object_id, elements[1].object_id), (22675, 24946));
        assert_eq!(time::format(elements[0].epoch_ns), "2009-02-09T11:57:36.890496Z");
    }

    #[test]
    fn the_catalogue_of_2024_is_read_and_no_object_is_in_it_twice() {
        let all = catalog_2024();
        let ids: std::collections::BTreeSet<u32> = all.iter().map(|own| own.object_id).collect();
        assert_eq!((all.len(), ids.len(), ids.last()), (26_834, 26_834, Some(&270_387)));
    }

    #[test]
    fn csv_and_json_with_numbers_as_text_read_alike() {
        let csv = "OBJECT_NAME,OBJECT_ID,EPOCH,MEAN_MOTION,ECCENTRICITY,INCLINATION,\
            RA_OF_ASC_NODE,ARG_OF_PERICENTER,MEAN_ANOMALY,NORAD_CAT_ID,BSTAR\r\n\
            \"A, B\",x,2024-10-29T12:18:43.492896,10.85746790,.1843421,34.2551,358.1,\
            332.7861,18.6796,270387,.16091E-2\r\n";
        let json = r#"[{"OBJECT_NAME": "A, B", "EPOCH": "2024-10-29T12:18:43.492896Z",
            "MEAN_MOTION": "10.85746790", "ECCENTRICITY": "0.1843421", "INCLINATION": "34.2551",
            "RA_OF_ASC_NODE": "358.1", "ARG_OF_PERICENTER": "332.7861",
            "MEAN_ANOMALY": "18.6796", "NORAD_CAT_ID": "270387", "BSTAR": "0.0016091"}]"#;
        assert_eq!(parse_csv(csv).unwrap(), parse_json(json.as_bytes()).unwrap());
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = parse_csv("NORAD_CAT_ID\n5").unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("OBJECT_NAME"), "{error}");
        assert!(parse_json(b"[{}]").is_err());
        assert!(parse_csv_gz(&b"not gzip"[..]).is_err());
    }
}
