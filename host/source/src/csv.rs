//! Rows of CSV as JSON objects of texts: names from the header, in its order. A row that does not
//! fit is said to be so and never mended.

/// Why a row is no record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Short stable name.
    pub kind: &'static str,
    /// For a person.
    pub what: String,
}

/// The names in a header line. Fails if one is not text, is empty, or stands there twice: fields
/// would be lost.
pub(crate) fn header(line: &[u8]) -> Result<Vec<String>, String> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let mut names: Vec<String> = Vec::new();
    for field in fields(line).map_err(|misfit| misfit.what)? {
        let name = String::from_utf8(field).map_err(|_| "a name is not UTF-8".to_owned())?;
        if name.is_empty() || names.contains(&name) {
            return Err(format!("the name {name:?} is empty or stands there twice"));
        }
        names.push(name);
    }
    Ok(names)
}

/// A row as a JSON object.
pub(crate) fn object(header: &[String], row: &[u8]) -> Result<Vec<u8>, Misfit> {
    let fields = fields(row)?;
    if fields.len() != header.len() {
        let what = format!("{} fields where the header has {}", fields.len(), header.len());
        return Err(Misfit { kind: "field-count", what });
    }
    let mut json = Vec::with_capacity(row.len() + header.len() * 16);
    for (at, (name, field)) in header.iter().zip(&fields).enumerate() {
        json.push(if at == 0 { b'{' } else { b',' });
        let Ok(text) = std::str::from_utf8(field) else {
            let what = format!("the field {name} is not UTF-8");
            return Err(Misfit { kind: "not-text", what });
        };
        push_text(&mut json, name);
        json.push(b':');
        push_text(&mut json, text);
    }
    json.push(b'}');
    Ok(json)
}

fn push_text(json: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(json, text).expect("a text is always JSON, and a Vec takes all bytes");
}

/// The fields of a row, quotes taken off.
fn fields(row: &[u8]) -> Result<Vec<Vec<u8>>, Misfit> {
    let mut fields = Vec::new();
    let mut rest = row;
    loop {
        let (field, behind) = match rest.strip_prefix(b"\"") {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
                let (field, behind) = rest.split_at(end);
                (field.to_vec(), behind)
            }
        };
        fields.push(field);
        match behind {
            [b',', next @ ..] => rest = next,
            _ => return Ok(fields),
        }
    }
}

/// A field from behind its opening quote on, and what stands behind the closing one.
fn quoted_field(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), Misfit> {
    let mut field = Vec::new();
    loop {
        let Some(quote) = rest.iter().position(|byte| *byte == b'"') else {
            let what = "a quote is not closed".to_owned();
            return Err(Misfit { kind: "quotes", what });
        };
        field.extend_from_slice(&rest[..quote]);
        match &rest[quote + 1..] {
            [b'"', behind @ ..] => {
                field.push(b'"');
                rest = behind;
            }
            behind @ ([] | [b',', ..]) => return Ok((field, behind)),
            _ => {
                let what = "text stands behind a closing quote".to_owned();
                return Err(Misfit { kind: "quotes", what });
            }
        }
    }
}
