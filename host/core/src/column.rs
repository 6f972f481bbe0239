//! A column of byte rows laid end to end: the unit in which records cross the sandbox and the log.
//!
//! Row `i` is `data[ends[i-1]..ends[i]]`, with `ends[-1] = 0`. A row named in `nulls` is absent
//! rather than empty. Never index a column that came from outside before `check` has passed.

use serde::{Deserialize, Serialize};

/// Rows of bytes laid end to end, some of them absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteColumn {
    /// All rows, one behind the other.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
    /// Where each row ends in `data`, ascending; the last is the length of `data`.
    pub ends: Vec<u32>,
    /// Rows that are absent rather than empty, ascending. An absent row has no bytes.
    pub nulls: Vec<u32>,
}

impl ByteColumn {
    /// An empty column with room for `rows` rows of `bytes` bytes together.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { data: Vec::with_capacity(bytes), ends: Vec::with_capacity(rows), nulls: Vec::new() }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of row `row`; an absent row, and a row past the end, are `None`.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let end = *self.ends.get(row)? as usize;
        let start = self.start(row);
        if start == end && !self.nulls.is_empty() && self.nulls.binary_search(&(row as u32)).is_ok()
        {
            return None;
        }
        self.data.get(start..end)
    }

    /// Adds a row.
    pub fn push(&mut self, row: Option<&[u8]>) {
        match row {
            Some(bytes) => self.data.extend_from_slice(bytes),
            None => self.nulls.push(self.ends.len() as u32),
        }
        self.ends.push(self.data.len() as u32);
    }

    /// Adds `count` absent rows.
    pub fn push_nulls(&mut self, count: usize) {
        let first = self.ends.len() as u32;
        self.nulls.extend(first..first + count as u32);
        self.ends.resize(self.ends.len() + count, self.data.len() as u32);
    }

    /// Adds the rows `from..to` of another column in bulk. Rows past its end are left out.
    pub fn extend_rows(&mut self, other: &ByteColumn, from: usize, to: usize) {
        let to = to.min(other.len());
        if from >= to {
            return;
        }
        let (start, end) = (other.start(from), other.start(to));
        let first = self.ends.len() as u32;
        let base = self.data.len() as u32;
        self.data.extend_from_slice(other.data.get(start..end).unwrap_or_default());
        let ends = other.ends.get(from..to).unwrap_or_default();
        self.ends.extend(ends.iter().map(|end| base + (end - start as u32)));
        if !other.nulls.is_empty() {
            let low = other.nulls.partition_point(|null| (*null as usize) < from);
            let high = other.nulls.partition_point(|null| (*null as usize) < to);
            let nulls = other.nulls.get(low..high).unwrap_or_default();
            self.nulls.extend(nulls.iter().map(|null| first + (null - from as u32)));
        }
    }

    /// Removes all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.ends.clear();
        self.nulls.clear();
    }

    /// Whether the column is well formed and has `rows` rows: ends ascend, the last one is the
    /// length of the data, nulls ascend, lie inside and have no bytes. Says what is wrong.
    pub fn check(&self, rows: usize) -> Result<(), String> {
        if self.ends.len() != rows {
            return Err(format!("has {} rows where {rows} are due", self.ends.len()));
        }
        let mut before = 0;
        for (row, end) in self.ends.iter().enumerate() {
            if *end < before {
                return Err(format!("row {row} ends at {end}, before it starts at {before}"));
            }
            before = *end;
        }
        if before as usize != self.data.len() {
            return Err(format!("the last row ends at {before} of {} bytes", self.data.len()));
        }
        let mut next = 0;
        for null in &self.nulls {
            if *null < next || *null as usize >= rows {
                return Err(format!("null row {null} is out of order or outside"));
            }
            if self.start(*null as usize) as u32
                != self.ends.get(*null as usize).copied().unwrap_or(0)
            {
                return Err(format!("row {null} is absent and has bytes"));
            }
            next = null + 1;
        }
        Ok(())
    }

    fn start(&self, row: usize) -> usize {
        match row.checked_sub(1).and_then(|before| self.ends.get(before)) {
            Some(end) => *end as usize,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(rows: &[Option<&str>]) -> ByteColumn {
        let mut column = ByteColumn::default();
        for row in rows {
            column.push(row.map(str::as_bytes));
        }
        column
    }

    #[test]
    fn an_absent_row_differs_from_an_empty_one() {
        let column = column(&[Some("a"), None, Some(""), Some("bc")]);
        assert_eq!(column.get(0), Some(&b"a"[..]));
        assert_eq!(column.get(1), None);
        assert_eq!(column.get(2), Some(&b""[..]));
        assert_eq!(column.get(3), Some(&b"bc"[..]));
        assert_eq!(column.get(4), None);
        column.check(4).unwrap();
    }

    #[test]
    fn rows_copied_in_bulk_equal_rows_copied_one_by_one() {
        let from = column(&[Some("a"), None, Some("bcd"), Some(""), None, Some("e")]);
        for start in 0..6 {
            for end in start..7 {
                let mut bulk = column(&[Some("x"), None]);
                let mut single = bulk.clone();
                bulk.extend_rows(&from, start, end);
                (start..end.min(6)).for_each(|row| single.push(from.get(row)));
                assert_eq!(bulk, single);
                bulk.check(bulk.len()).unwrap();
            }
        }
    }

    #[test]
    fn a_lying_column_is_refused() {
        let good = column(&[Some("ab"), None]);
        let lies: [fn(&mut ByteColumn); 6] = [
            |c| c.ends[0] = 3,
            |c| c.ends[1] = 1,
            |c| c.nulls = vec![0],
            |c| c.nulls = vec![2],
            |c| c.nulls = vec![1, 1],
            |c| c.data.push(0),
        ];
        for lie in lies {
            let mut bad = good.clone();
            lie(&mut bad);
            assert!(bad.check(2).is_err(), "{bad:?}");
        }
        assert!(good.check(3).is_err());
    }
}
