//! Lines and rows, whatever the pieces in which they come.

use crate::csv;
use crate::split::{Piece, Splitter, TAIL_BYTES};
use crate::testing::Random;

/// All pieces of a text that comes in parts of at most `part` bytes, and the position behind.
fn pieces(is_csv: bool, max: usize, text: &[u8], part: usize) -> (Vec<String>, u64) {
    let mut splitter = Splitter::new(is_csv, max, 0, &[], 0);
    let mut found = Vec::new();
    let mut take = |splitter: &mut Splitter, end| {
        while let Some(piece) = splitter.next(end) {
            found.push(match piece {
                Piece::Whole(range) => String::from_utf8_lossy(splitter.bytes(range)).into_owned(),
                Piece::Bad(bad) => {
                    let bytes = String::from_utf8_lossy(&bad.bytes).into_owned();
                    format!("{}:{}-{}:{bytes}", bad.kind, bad.from, bad.to)
                }
            });
            let position = splitter.position() as usize;
            let tail = &text[position.saturating_sub(TAIL_BYTES)..position];
            assert_eq!(splitter.tail(), tail);
        }
    };
    for part in text.chunks(part) {
        splitter.feed(part);
        take(&mut splitter, false);
    }
    take(&mut splitter, true);
    let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!(splitter.lines(), lines);
    (found, splitter.position())
}

fn each_way(is_csv: bool, max: usize, text: &str, expected: &[&str]) {
    for part in [1, 2, 3, 7, 1000] {
        let (found, position) = pieces(is_csv, max, text.as_bytes(), part);
        assert_eq!(found, expected, "in parts of {part}");
        assert_eq!(position, text.len() as u64);
    }
}

#[test]
fn lines_are_whole_whatever_the_parts_and_empty_ones_are_left_out() {
    each_way(false, 9, "a\n\nbc\n\r\nd\r\n", &["a", "bc", "d\r"]);
    each_way(false, 9, "a\nb", &["a", "b"]);
    each_way(false, 9, "", &[]);
    each_way(false, 9, "\n\n", &[]);
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_one_is_read() {
    let bad = "line-too-long:2-8:abc";
    each_way(false, 3, "x\nabcde\nabc\n", &["x", bad, "abc"]);
    each_way(false, 3, "x\nabcde", &["x", "line-too-long:2-7:abc"]);
}

#[test]
fn a_position_never_lies_within_a_line_that_is_too_long() {
    let mut splitter = Splitter::new(false, 3, 0, &[], 0);
    splitter.feed(b"ab\n12345");
    assert!(matches!(splitter.next(false), Some(Piece::Whole(_))));
    assert_eq!(splitter.next(false), None);
    splitter.feed(&[b'x'; 1000]);
    assert_eq!(splitter.next(false), None);
    assert_eq!((splitter.position(), splitter.tail()), (3, &b"ab\n"[..]));
}

#[test]
fn a_newline_in_quotes_ends_no_row() {
    each_way(true, 99, "a,b\r\n1,\"x\ny\"\n\"\"\"\n\",2\n", &["a,b", "1,\"x\ny\"", "\"\"\"\n\",2"]);
    each_way(true, 99, "a\n\"b\"", &["a", "\"b\""]);
    // A quote within a plain field is only a letter.
    each_way(true, 99, "5\",a\n6,b\n", &["5\",a", "6,b"]);
}

#[test]
fn a_quote_that_stays_open_costs_one_line() {
    let bad = "open-quote:4-9:1,\"x";
    each_way(true, 99, "a,b\n1,\"x\n2,y\n3,z\n", &["a,b", bad, "2,y", "3,z"]);
    let bad = "row-too-long:4-9:1,\"x";
    each_way(
        true,
        12,
        "a,b\n1,\"x\n2,y\n3,z\n4,w\n5,v\n",
        &["a,b", bad, "2,y", "3,z", "4,w", "5,v"],
    );
}

#[test]
fn a_row_becomes_an_object_of_texts_in_the_order_of_the_header() {
    let header = csv::header(b"\xef\xbb\xbfb,a,\"c \"\"d\"\"\"").unwrap();
    let object = csv::object(&header, b"1,\"x,\ny\",\"\"").unwrap();
    assert_eq!(object, br#"{"b":"1","a":"x,\ny","c \"d\"":""}"#);
    let kind = |row: &[u8]| csv::object(&header, row).unwrap_err().kind;
    assert_eq!(kind(b"1,2"), "field-count");
    assert_eq!(kind(b"1,2,3,4"), "field-count");
    assert_eq!(kind(b"1,\"2\"x,3"), "quotes");
    assert_eq!(kind(b"1,2,\xff"), "not-text");
    assert!(csv::header(b"a,a").is_err());
    assert!(csv::header(b"a,,b").is_err());
    assert!(csv::header(b"a,\xff").is_err());
}

#[test]
fn any_table_comes_back_from_its_rows() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let letters: Vec<char> = "a,\"\n\r;ä{".chars().collect();
        let mut text = "x,y\n".to_owned();
        let mut expected = Vec::new();
        for _ in 0..20 {
            let mut fields = Vec::new();
            for _ in 0..2 {
                let length = random.below(6);
                let letter = |random: &mut Random| letters[random.below(8) as usize];
                fields.push((0..length).map(|_| letter(&mut random)).collect::<String>());
            }
            let quoted = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
            text.push_str(&quoted.collect::<Vec<_>>().join(","));
            text.push_str(["\n", "\r\n"][random.below(2) as usize]);
            expected.push(serde_json::json!({ "x": fields[0], "y": fields[1] }));
        }
        let part = 1 + random.below(9) as usize;
        let (rows, _) = pieces(true, 1000, text.as_bytes(), part);
        let header = csv::header(rows[0].as_bytes()).unwrap();
        let object = |row: &String| csv::object(&header, row.as_bytes()).unwrap();
        let found = rows[1..].iter().map(|row| serde_json::from_slice(&object(row)).unwrap());
        assert_eq!(found.collect::<Vec<serde_json::Value>>(), expected, "seed {seed}");
    }
}
