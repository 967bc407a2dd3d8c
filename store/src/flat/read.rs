//! State at an old height, read from segments: no tree is built.
use super::cache::Cache;
use super::filter::hash;
use super::merge::{Cursor, Head};
use super::segment::Segment;
use state::{
    AppHash, Control, Key, KeyRange, Snapshot, StateError, StateRead, StateScan, StoreError, StoreId, Value,
    Version,
};
use std::sync::Arc;

/// What stands before a key's bytes.
pub(super) const NAME_BYTES: usize = 16;
/// Under this key, which is no store's, each height has its app hash and its record's hash.
pub(super) const ROOT_KEY: &[u8] = &[0; NAME_BYTES];

/// A key as segments have it: its store's name, filled up, and its bytes.
pub(super) fn flat_key(store: StoreId, key: &[u8]) -> Vec<u8> {
    let name = store.name().as_bytes();
    let mut out = Vec::with_capacity(NAME_BYTES + key.len());
    out.extend_from_slice(name);
    out.resize(NAME_BYTES, 0);
    out.extend_from_slice(key);
    out
}

/// The first key after all of a store's.
fn store_end(store: StoreId) -> Vec<u8> {
    let name: [u8; NAME_BYTES] = flat_key(store, &[]).try_into().expect("a name");
    u128::from_be_bytes(name).saturating_add(1).to_be_bytes().to_vec()
}

/// State at a height, in segments that stay for as long as this does. A clone is a few more references.
#[derive(Clone, Debug)]
pub struct Flat(Arc<At>);

#[derive(Debug)]
struct At {
    version: Version,
    /// The oldest first, the first of them complete.
    parts: Vec<Arc<Segment>>,
    cache: Arc<Cache>,
    stores: Arc<[StoreId]>,
}

fn storage(e: &StoreError) -> StateError {
    StateError::Storage(e.to_string())
}

impl Flat {
    /// `parts` answer for `height`; they name its app hash.
    pub(super) fn new(
        height: u64,
        parts: Vec<Arc<Segment>>,
        cache: Arc<Cache>,
        stores: Arc<[StoreId]>,
    ) -> Result<Self, StoreError> {
        let version = Version {
            height,
            root: AppHash::default(),
        };
        let mut at = At {
            version,
            parts,
            cache,
            stores,
        };
        at.version.root = at.root()?;
        Ok(Self(Arc::new(at)))
    }
}

impl At {
    fn find(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let (hash, height) = (hash(key), self.version.height);
        for part in self.parts.iter().rev() {
            if let Some(value) = part.find(key, hash, height, &self.cache)? {
                return Ok(value);
            }
        }
        Ok(None)
    }
    /// The height's app hash.
    fn root(&self) -> Result<AppHash, StoreError> {
        let value = self.find(ROOT_KEY)?;
        let root = value.as_deref().and_then(<[u8]>::first_chunk::<32>).copied();
        let height = self.version.height;
        root.ok_or_else(|| StoreError::Corrupt(format!("history: height {height} has no app hash")))
    }
    fn check(&self, store: StoreId) -> Result<(), StateError> {
        if self.stores.contains(&store) {
            return Ok(());
        }
        Err(StateError::Storage(format!("no such store: {}", store.name())))
    }
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StoreError> {
        let low = flat_key(range.store, &range.start);
        let high = range
            .end
            .as_ref()
            .map_or_else(|| store_end(range.store), |end| flat_key(range.store, end));
        if low >= high {
            return Ok(());
        }
        let (height, cache) = (self.version.height, Some(&*self.cache));
        let mut sources = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let mut cursor = if range.descending {
                Cursor::below(part, &high, cache)?
            } else {
                Cursor::from(part, &low, cache)?
            };
            let mut head = Head::default();
            step(&mut cursor, height, &mut head, range.descending)?;
            sources.push((cursor, head));
        }
        let mut key = Vec::new();
        loop {
            let mut next: Option<&Head> = None;
            // Of equal keys the newest segment's counts.
            for (_, head) in sources.iter().rev().filter(|(_, head)| head.some) {
                let sooner = |other: &Head| {
                    if range.descending {
                        head.key > other.key
                    } else {
                        head.key < other.key
                    }
                };
                if next.is_none_or(sooner) {
                    next = Some(head);
                }
            }
            let Some(head) = next else { return Ok(()) };
            let inside = if range.descending {
                head.key >= low
            } else {
                head.key < high
            };
            if !inside {
                return Ok(());
            }
            if let Some(value) = &head.value
                && visit(&Key::new(range.store, &[&head.key[NAME_BYTES..]]), value).is_break()
            {
                return Ok(());
            }
            key.clear();
            key.extend_from_slice(&head.key);
            for (cursor, head) in &mut sources {
                if head.some && head.key == key {
                    step(cursor, height, head, range.descending)?;
                }
            }
        }
    }
}

fn step(cursor: &mut Cursor<'_>, height: u64, head: &mut Head, descending: bool) -> Result<(), StoreError> {
    if descending {
        cursor.key_before(height, head)
    } else {
        cursor.next_key(height, head)
    }
}

impl Snapshot for Flat {
    fn version(&self) -> Version {
        self.0.version
    }
}

impl StateRead for Flat {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        self.0.check(key.store())?;
        self.0
            .find(&flat_key(key.store(), key.bytes()))
            .map_err(|e| storage(&e))
    }
}

impl StateScan for Flat {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        self.0.check(range.store)?;
        self.0.scan(range, visit).map_err(|e| storage(&e))
    }
}
