//! What was used last, as much of it as fits into a number of entries and of bytes.
use lru::LruCache;
use std::hash::Hash;
use std::num::NonZeroUsize;

/// A cache whose memory is bounded by the sizes that its entries are put with.
#[derive(Debug)]
pub(crate) struct Cache<K: Hash + Eq, V> {
    entries: LruCache<K, (V, usize)>,
    bytes: usize,
    bytes_max: usize,
}

impl<K: Hash + Eq, V> Cache<K, V> {
    /// Room for `entries` (at least one) of `bytes` in all.
    pub(crate) fn new(entries: usize, bytes: usize) -> Self {
        let entries = NonZeroUsize::new(entries).unwrap_or(NonZeroUsize::MIN);
        Self {
            entries: LruCache::new(entries),
            bytes: 0,
            bytes_max: bytes,
        }
    }
    /// The value under `key`, which is now the last used.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(value, _)| value)
    }
    /// The value under `key`, without using it.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.entries.peek(key).map(|(value, _)| value)
    }
    /// Keeps `value`, of `size` bytes; forgets what has gone unused longest. What is larger than all room is not kept.
    pub(crate) fn put(&mut self, key: K, value: V, size: usize) {
        self.pop(&key);
        if size > self.bytes_max {
            return;
        }
        if let Some((_, (_, gone))) = self.entries.push(key, (value, size)) {
            self.bytes -= gone;
        }
        self.bytes += size;
        while self.bytes > self.bytes_max
            && let Some((_, (_, gone))) = self.entries.pop_lru()
        {
            self.bytes -= gone;
        }
    }
    /// Forgets `key`; gives what was there.
    pub(crate) fn pop(&mut self, key: &K) -> Option<V> {
        let (value, gone) = self.entries.pop(key)?;
        self.bytes -= gone;
        Some(value)
    }
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays_within_both_bounds() {
        let mut cache = Cache::new(3, 10);
        cache.put(1, 'a', 4);
        cache.put(2, 'b', 4);
        cache.get(&1);
        cache.put(3, 'c', 4);
        assert_eq!([1, 2, 3].map(|k| cache.peek(&k).is_some()), [true, false, true]);
        cache.put(3, 'd', 1);
        assert_eq!((cache.peek(&3), cache.bytes), (Some(&'d'), 5));
        cache.put(4, 'e', 1);
        cache.put(5, 'f', 1);
        assert_eq!((cache.peek(&1), cache.bytes), (None, 3));
        cache.put(4, 'g', 11);
        assert_eq!((cache.peek(&4), cache.bytes), (None, 2));
        cache.pop(&5);
        cache.clear();
        assert_eq!(cache.bytes, 0);
    }
}
