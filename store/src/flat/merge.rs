//! Ordered walks over segments: all rows, to merge them into one, or what a reader at a height sees.
use super::cache::Cache;
use super::page::Rows;
use super::segment::{Builder, Segment};
use state::{StoreError, Value};
use std::sync::Arc;

type Result<T> = std::result::Result<T, StoreError>;

/// A place among a segment's rows.
pub(super) struct Cursor<'a> {
    segment: &'a Segment,
    cache: Option<&'a Cache>,
    /// The page that is read, and which it is.
    rows: Option<(usize, Rows)>,
    /// The row in it.
    at: usize,
}

/// Key, height, value.
type Row<'a> = (&'a [u8], u64, Option<&'a [u8]>);

impl<'a> Cursor<'a> {
    /// On the first row.
    pub(super) fn first(segment: &'a Segment, cache: Option<&'a Cache>) -> Result<Self> {
        let mut cursor = Self {
            segment,
            cache,
            rows: None,
            at: 0,
        };
        cursor.load(0)?;
        Ok(cursor)
    }
    /// On the first row of the first key from `key` on.
    pub(super) fn from(segment: &'a Segment, key: &[u8], cache: Option<&'a Cache>) -> Result<Self> {
        let mut cursor = Self {
            segment,
            cache,
            rows: None,
            at: 0,
        };
        cursor.load(segment.page_of(key))?;
        if let Some((_, rows)) = &cursor.rows {
            cursor.at = rows.below(key);
            if cursor.at == rows.len() {
                cursor.turn()?;
            }
        }
        Ok(cursor)
    }
    /// On the last row of the last key below `key`.
    pub(super) fn below(segment: &'a Segment, key: &[u8], cache: Option<&'a Cache>) -> Result<Self> {
        let mut cursor = Self::from(segment, key, cache)?;
        if cursor.rows.is_none() && segment.pages() > 0 {
            // All are below.
            cursor.load(segment.pages() - 1)?;
            cursor.at = cursor.rows.as_ref().map_or(0, |(_, rows)| rows.len());
        }
        cursor.back()?;
        Ok(cursor)
    }
    fn load(&mut self, page: usize) -> Result<()> {
        self.at = 0;
        self.rows = if page < self.segment.pages() {
            Some((page, self.segment.page(page, self.cache)?.decode()?))
        } else {
            None
        };
        Ok(())
    }
    /// To the next page.
    fn turn(&mut self) -> Result<()> {
        match self.rows.take() {
            Some((page, _)) => self.load(page + 1),
            None => Ok(()),
        }
    }
    /// The row it is on.
    pub(super) fn row(&self) -> Option<Row<'_>> {
        let (_, rows) = self.rows.as_ref()?;
        let row = rows.get(self.at);
        Some((row.key, self.segment.head.from + row.age, row.value))
    }
    pub(super) fn advance(&mut self) -> Result<()> {
        self.at += 1;
        match &self.rows {
            Some((_, rows)) if self.at == rows.len() => self.turn(),
            _ => Ok(()),
        }
    }
    fn back(&mut self) -> Result<()> {
        if self.at > 0 {
            self.at -= 1;
            return Ok(());
        }
        match self.rows.take() {
            Some((page, _)) if page > 0 => {
                self.load(page - 1)?;
                self.at = self.rows.as_ref().map_or(0, |(_, rows)| rows.len() - 1);
                Ok(())
            }
            _ => Ok(()),
        }
    }
    /// Passes a key's rows, ascending, and keeps in `head` what is seen of it at `height`. Keys not there yet are
    /// passed too.
    pub(super) fn next_key(&mut self, height: u64, head: &mut Head) -> Result<()> {
        head.some = false;
        while let Some((key, at, value)) = self.row() {
            if head.some && head.key != key {
                return Ok(());
            }
            if !head.some && at <= height {
                head.set(key, value);
            }
            self.advance()?;
        }
        Ok(())
    }
    /// As [`Cursor::next_key`], descending: a key's rows come oldest first.
    pub(super) fn key_before(&mut self, height: u64, head: &mut Head) -> Result<()> {
        head.some = false;
        while let Some((key, at, value)) = self.row() {
            if head.some && head.key != key {
                return Ok(());
            }
            if at <= height {
                head.set(key, value);
            }
            self.back()?;
        }
        Ok(())
    }
}

/// What a reader sees of the key a cursor passed last.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) some: bool,
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Value>,
}

impl Head {
    fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.some = true;
        if self.key != key {
            self.key.clear();
            self.key.extend_from_slice(key);
        }
        self.value = value.map(Value::copy_from_slice);
    }
}

/// Which rows a merged segment keeps: its head says from which height on all of them; of older ones each key's newest.
/// Rows above its last height are left out.
///
/// `parts` are neighbours, the oldest first. Returns whether it came to its end: `stop` is asked now and then.
pub(super) fn merge(
    parts: &[Arc<Segment>],
    head: super::segment::Head,
    out: &mut Builder,
    stop: &mut dyn FnMut() -> bool,
) -> Result<bool> {
    let cursors = parts.iter().map(|part| Cursor::first(part, None));
    let mut cursors = cursors.collect::<Result<Vec<_>>>()?;
    let mut last = Vec::new();
    // Whether a row that stands for all heights up to the first was there for the key.
    let (mut settled, mut rows) = (false, 0_u32);
    loop {
        // The smallest key; of equal ones the newest segment's rows come first.
        let mut least: Option<(usize, &[u8])> = None;
        for (i, cursor) in cursors.iter().enumerate().rev() {
            if let Some((key, ..)) = cursor.row()
                && least.is_none_or(|(_, least)| key < least)
            {
                least = Some((i, key));
            }
        }
        let Some((i, _)) = least else { return Ok(true) };
        let (key, height, value) = cursors[i].row().expect("just looked at");
        if key != &last[..] || rows == 0 {
            last.clear();
            last.extend_from_slice(key);
            settled = false;
        }
        if height > head.from && height <= head.to {
            out.push(key, height, value)?;
        } else if height <= head.from && !settled {
            settled = true;
            // What is removed from a whole state is just not there.
            if value.is_some() || !head.complete {
                out.push(key, head.from, value)?;
            }
        }
        cursors[i].advance()?;
        rows = rows.wrapping_add(1).max(1);
        if rows.is_multiple_of(1024) && stop() {
            return Ok(false);
        }
    }
}
