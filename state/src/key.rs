//! Where a value lives: a module's store and a byte string in it.
use smallvec::SmallVec;
use std::fmt;

/// A module's store, by its name (at most 16 ASCII bytes, held inline). The name enters the app hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId([u8; 16]);

impl StoreId {
    /// The store called `name`.
    ///
    /// # Panics
    /// Where `name` is empty or longer than 16 bytes; at compile time for a constant.
    pub const fn new(name: &str) -> Self {
        let from = name.as_bytes();
        assert!(
            !from.is_empty() && from.len() <= 16,
            "a store's name has 1 to 16 bytes"
        );
        let mut to = [0; 16];
        let mut i = 0;
        while i < from.len() {
            to[i] = from[i];
            i += 1;
        }
        Self(to)
    }
    /// The store called `name`, where that can be a name.
    pub fn parse(name: &str) -> Option<Self> {
        (!name.is_empty() && name.len() <= 16 && !name.contains('\0')).then(|| Self::new(name))
    }
    /// Its name.
    pub fn name(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(16);
        std::str::from_utf8(&self.0[..len]).expect("built from a str")
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key of one store. Up to 64 bytes are held inline, so that the hot path does not allocate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    store: StoreId,
    body: SmallVec<[u8; 64]>,
}

impl Key {
    /// The key whose bytes are `parts`, one after another.
    pub fn new(store: StoreId, parts: &[&[u8]]) -> Self {
        let mut body = SmallVec::new();
        for part in parts {
            body.extend_from_slice(part);
        }
        Self { store, body }
    }
    /// Whose it is.
    pub fn store(&self) -> StoreId {
        self.store
    }
    /// Its bytes within the store: the key of the IAVL leaf.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.store.name())?;
        self.body.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// Neighbouring keys of one store, in either order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRange {
    /// The store.
    pub store: StoreId,
    /// First key, included.
    pub start: Vec<u8>,
    /// End, excluded; `None` is the end of the store.
    pub end: Option<Vec<u8>>,
    /// Whether the greatest key is visited first.
    pub descending: bool,
}

impl KeyRange {
    /// All keys that begin with `prefix`, ascending.
    pub fn prefix(store: StoreId, prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while let Some(last) = end.last_mut() {
            if *last == u8::MAX {
                end.pop();
            } else {
                *last += 1;
                break;
            }
        }
        Self {
            store,
            start: prefix.to_vec(),
            end: (!end.is_empty()).then_some(end),
            descending: false,
        }
    }
    /// The same keys, greatest first.
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }
    /// Whether `key` lies inside.
    pub fn contains(&self, key: &Key) -> bool {
        key.store == self.store
            && key.bytes() >= self.start.as_slice()
            && self.end.as_ref().is_none_or(|end| key.bytes() < end.as_slice())
    }
    /// The range as bounds on [`Key`], for ordered maps.
    pub fn bounds(&self) -> (std::ops::Bound<Key>, std::ops::Bound<Key>) {
        use std::ops::Bound::{Excluded, Included};
        let low = Key::new(self.store, &[&self.start]);
        let high = match &self.end {
            Some(end) => Key::new(self.store, &[end]),
            // The next store's first key: names are compared as 16 bytes.
            None => Key::new(
                StoreId((u128::from_be_bytes(self.store.0) + 1).to_be_bytes()),
                &[],
            ),
        };
        // An empty or inverted range would make BTreeMap::range panic.
        if low >= high {
            (Included(low.clone()), Excluded(low))
        } else {
            (Included(low), Excluded(high))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_its_successor_begins() {
        let s = StoreId::new("bank");
        assert_eq!(KeyRange::prefix(s, &[1, 0xff]).end, Some(vec![2]));
        assert_eq!(KeyRange::prefix(s, &[0xff, 0xff]).end, None);
        assert_eq!(KeyRange::prefix(s, &[]).end, None);
        let all = KeyRange::prefix(s, &[0xff]);
        assert!(all.contains(&Key::new(s, &[&[0xff, 0xff]])));
        assert!(!all.contains(&Key::new(StoreId::new("bank2"), &[&[0xff]])));
        let map: std::collections::BTreeMap<Key, ()> = [
            (Key::new(s, &[&[0xff, 1]]), ()),
            (Key::new(StoreId::new("bank2"), &[&[1]]), ()),
        ]
        .into();
        assert_eq!(map.range(all.bounds()).count(), 1);
    }

    #[test]
    fn stores_sort_by_name() {
        assert!(StoreId::new("acc") < StoreId::new("bank"));
        assert!(StoreId::new("bank") < StoreId::new("bank2"));
        assert_eq!(StoreId::new("staking").name(), "staking");
        assert!(StoreId::parse("").is_none());
    }
}
