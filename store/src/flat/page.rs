//! A page: some 32 KiB of rows in order, each without what its key shares with the one before.
//!
//! ```text
//! row      shared | length | rest of the key | height less the segment's first | 0, or 1 + length, and the value
//! page     rows | offset of every 16th row u32... | how many offsets u32              other numbers are LEB128
//! ```
//! Rows are sorted by key, then by height, the newest first. A key is its store's name, filled up with zeros to 16 bytes,
//! and its bytes, so that keys of all stores sort as [`state::Key`] does. Every 16th row has its whole key.
use crate::codec::Reader;
use crate::iavl::put_uvarint;
use state::{Bytes, StoreError};
use std::cmp::Ordering;

/// A page is full with so many bytes; a bigger row has one to itself. Reading one from the disk takes as long as
/// hashing it, so a smaller page would save little and need more fences.
pub(super) const PAGE_BYTES: usize = 32 << 10;
/// A search reads so many rows one after another at most.
const RESTART_ROWS: usize = 16;

/// A row. Its key has the store's name before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) key: &'a [u8],
    /// The height that wrote it, less the segment's first.
    pub(super) age: u64,
    /// `None` where the height removed the key.
    pub(super) value: Option<&'a [u8]>,
}

/// What a page knows of a key at a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// Its newest row up to then.
    Row(Option<&'a [u8]>),
    /// It has none here, nor on a later page.
    Nothing,
    /// All rows are before the place sought: a later page may begin with it.
    Beyond,
}

/// Puts rows into a page.
#[derive(Debug, Default)]
pub(super) struct PageBuilder {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    rows: usize,
    last: Vec<u8>,
}

fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl PageBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }
    /// Whether `row` would make it bigger than a page.
    pub(super) fn is_full_for(&self, row: &Row<'_>) -> bool {
        let row = row.key.len() + row.value.map_or(0, <[u8]>::len) + 24;
        self.bytes.len() + self.restarts.len() * 4 + row > PAGE_BYTES
    }
    /// Appends a row, which comes after those before it.
    pub(super) fn push(&mut self, row: &Row<'_>) {
        let shared = if self.rows.is_multiple_of(RESTART_ROWS) {
            self.restarts.push(self.bytes.len() as u32);
            0
        } else {
            common(&self.last, row.key)
        };
        let out = &mut self.bytes;
        put_uvarint(out, shared as u64);
        put_uvarint(out, (row.key.len() - shared) as u64);
        out.extend_from_slice(&row.key[shared..]);
        put_uvarint(out, row.age);
        put_uvarint(out, row.value.map_or(0, |v| v.len() as u64 + 1));
        out.extend_from_slice(row.value.unwrap_or(&[]));
        self.last.truncate(shared);
        self.last.extend_from_slice(&row.key[shared..]);
        self.rows += 1;
    }
    /// The page's bytes; the next one begins.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        for at in &self.restarts {
            bytes.extend_from_slice(&at.to_be_bytes());
        }
        bytes.extend_from_slice(&(self.restarts.len() as u32).to_be_bytes());
        self.restarts.clear();
        self.rows = 0;
        bytes
    }
}

/// A page whose bytes were checked.
#[derive(Debug)]
pub(super) struct Page {
    bytes: Bytes,
    /// Where the rows end.
    end: usize,
    restarts: usize,
}

fn bad() -> StoreError {
    StoreError::Corrupt("a page of history is not one".into())
}

/// Reads a row's numbers and slices; `shared` bytes of its key are the row's before.
struct Raw<'a> {
    shared: usize,
    rest: &'a [u8],
    age: u64,
    value: Option<&'a [u8]>,
}

fn raw<'a>(reader: &mut Reader<'a>) -> Result<Raw<'a>, StoreError> {
    let shared = reader.uvarint()? as usize;
    let rest = reader.bytes()?;
    let age = reader.uvarint()?;
    let value = match reader.uvarint()? {
        0 => None,
        len => Some(reader.take(usize::try_from(len - 1).map_err(|_| bad())?)?),
    };
    Ok(Raw {
        shared,
        rest,
        age,
        value,
    })
}

impl Page {
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self, StoreError> {
        let (rest, count) = bytes.split_last_chunk::<4>().ok_or_else(bad)?;
        let restarts = u32::from_be_bytes(*count) as usize;
        let end = rest
            .len()
            .checked_sub(restarts.checked_mul(4).ok_or_else(bad)?)
            .ok_or_else(bad)?;
        Ok(Self {
            end,
            restarts,
            bytes: bytes.into(),
        })
    }
    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }
    fn restart(&self, i: usize) -> Result<Reader<'_>, StoreError> {
        let at = self.end + i * 4;
        let at = self.bytes.get(at..at + 4).ok_or_else(bad)?;
        let at = u32::from_be_bytes(at.try_into().expect("4 bytes")) as usize;
        Ok(Reader::new(
            self.bytes.get(at..self.end).ok_or_else(bad)?,
            "a page of history",
        ))
    }
    /// The newest row of `key` that is no older than the segment's first height plus `age`.
    pub(super) fn find(&self, key: &[u8], age: u64) -> Result<Found<'_>, StoreError> {
        let (mut low, mut high) = (0, self.restarts);
        // The last restart that is not after the place sought.
        while low + 1 < high {
            let middle = usize::midpoint(low, high);
            let row = raw(&mut self.restart(middle)?)?;
            match row.rest.cmp(key).then(age.cmp(&row.age)) {
                Ordering::Greater => high = middle,
                Ordering::Less | Ordering::Equal => low = middle,
            }
        }
        if self.restarts == 0 {
            return Ok(Found::Beyond);
        }
        let mut reader = self.restart(low)?;
        // How much of `key` the row before has, which is not after it: then a row that shares more is not either.
        let (mut known, mut rows) = (0, 0);
        while !reader.is_empty() {
            let row = raw(&mut reader)?;
            if rows % RESTART_ROWS == 0 {
                known = 0;
            }
            rows += 1;
            if row.shared < known {
                return Ok(Found::Nothing);
            }
            if row.shared > known {
                continue;
            }
            let wanted = &key[known..];
            let same = common(row.rest, wanted);
            known += same;
            match (same == row.rest.len(), same == wanted.len()) {
                (true, true) if row.age <= age => return Ok(Found::Row(row.value)),
                (true, _) => {}
                (false, true) => return Ok(Found::Nothing),
                (false, false) if row.rest[same] > wanted[same] => return Ok(Found::Nothing),
                (false, false) => {}
            }
        }
        Ok(Found::Beyond)
    }
    /// All its rows.
    pub(super) fn decode(&self) -> Result<Rows, StoreError> {
        let mut reader = Reader::new(&self.bytes[..self.end], "a page of history");
        let (mut keys, mut rows) = (Vec::with_capacity(self.end * 2), Vec::new());
        let mut start = 0_usize;
        while !reader.is_empty() {
            let row = raw(&mut reader)?;
            let before = start;
            if row.shared > keys.len() - before {
                return Err(bad());
            }
            start = keys.len();
            if row.rest.is_empty() && keys.len() - before == row.shared {
                // The same key once more.
                start = before;
            } else {
                keys.extend_from_within(before..before + row.shared);
                keys.extend_from_slice(row.rest);
            }
            let value = row.value.map(|value| {
                let at = value.as_ptr() as usize - self.bytes.as_ptr() as usize;
                (at, at + value.len())
            });
            rows.push((start, keys.len(), row.age, value));
        }
        Ok(Rows {
            bytes: self.bytes.clone(),
            keys,
            rows,
        })
    }
}

/// A key's start and end, its age, and where its value lies.
type Place = (usize, usize, u64, Option<(usize, usize)>);

/// A page's rows, by place.
#[derive(Debug)]
pub(super) struct Rows {
    bytes: Bytes,
    keys: Vec<u8>,
    rows: Vec<Place>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
    pub(super) fn get(&self, i: usize) -> Row<'_> {
        let (start, end, age, value) = self.rows[i];
        Row {
            key: &self.keys[start..end],
            age,
            value: value.map(|(start, end)| &self.bytes[start..end]),
        }
    }
    /// How many rows have a key below `key`.
    pub(super) fn below(&self, key: &[u8]) -> usize {
        self.rows
            .partition_point(|(start, end, ..)| &self.keys[*start..*end] < key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> Vec<u8> {
        format!("bank{:0>8}", n * 3).into_bytes()
    }

    #[test]
    fn a_page_gives_back_its_rows_and_finds_the_newest_up_to_a_height() {
        let mut builder = PageBuilder::default();
        let mut want = Vec::new();
        for n in 0..200 {
            for age in (0..n % 5).rev() {
                let value = (age % 3 > 0).then(|| format!("{n}/{age}").into_bytes());
                want.push((key(n), age * 2, value));
            }
        }
        for (key, age, value) in &want {
            builder.push(&Row {
                key,
                age: *age,
                value: value.as_deref(),
            });
        }
        let page = Page::new(builder.take()).unwrap();
        let rows = page.decode().unwrap();
        assert_eq!(rows.len(), want.len());
        for (i, (key, age, value)) in want.iter().enumerate() {
            let have = rows.get(i);
            assert_eq!(
                (have.key, have.age, have.value),
                (&key[..], *age, value.as_deref())
            );
        }
        for n in 0..620 {
            let key = format!("bank{n:0>8}").into_bytes();
            for age in 0..10 {
                let place = want
                    .iter()
                    .find(|(k, a, _)| (k, *a) >= (&key, 0) && (k > &key || *a <= age));
                let found = match place {
                    None => Found::Beyond,
                    Some((k, _, value)) if *k == key => Found::Row(value.as_deref()),
                    Some(_) => Found::Nothing,
                };
                assert_eq!(page.find(&key, age).unwrap(), found, "{n} at {age}");
            }
        }
        assert_eq!(page.find(b"ban", 9).unwrap(), Found::Nothing);
        assert_eq!(
            page.find(b"bank00000003", 9).unwrap(),
            Found::Row(want[0].2.as_deref())
        );
    }

    #[test]
    fn the_layout_of_a_page_is_pinned() {
        let mut builder = PageBuilder::default();
        for (key, age, value) in [
            (&b"ab"[..], 5, Some(&b"x"[..])),
            (b"ab", 3, None),
            (b"ac", 300, Some(b"")),
        ] {
            builder.push(&Row { key, age, value });
        }
        let want = "0002616205027802000300010163ac02010000000000000001";
        assert_eq!(hex::encode(builder.take()), want);
        assert!(builder.is_empty());
    }
}
