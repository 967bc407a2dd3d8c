//! Pages read from files, as many as a number of bytes allows.
use super::page::Page;
use lru::LruCache;
use parking_lot::Mutex;
use std::sync::Arc;

/// So that readers on all cores seldom wait for each other.
const SHARDS: usize = 16;

/// A segment's number and a page's place in it.
type PageId = (u64, u32);

/// Pages used last.
#[derive(Debug)]
pub(super) struct Cache {
    shards: Vec<Mutex<Shard>>,
    /// Bytes a shard holds at most.
    most: usize,
}

#[derive(Debug)]
struct Shard {
    pages: LruCache<PageId, Arc<Page>>,
    bytes: usize,
}

impl Cache {
    /// Room for `bytes` in all.
    pub(super) fn new(bytes: usize) -> Self {
        let shard = || {
            Mutex::new(Shard {
                pages: LruCache::unbounded(),
                bytes: 0,
            })
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            most: bytes / SHARDS,
        }
    }
    fn shard(&self, (segment, page): PageId) -> &Mutex<Shard> {
        &self.shards[(segment as usize).wrapping_add(page as usize) % SHARDS]
    }
    pub(super) fn get(&self, id: PageId) -> Option<Arc<Page>> {
        self.shard(id).lock().pages.get(&id).cloned()
    }
    /// Keeps a page; forgets those that have gone unused longest.
    pub(super) fn put(&self, id: PageId, page: &Arc<Page>) {
        if page.size() > self.most {
            return;
        }
        let mut shard = self.shard(id).lock();
        shard.bytes += page.size();
        if let Some(old) = shard.pages.put(id, Arc::clone(page)) {
            shard.bytes -= old.size();
        }
        while shard.bytes > self.most
            && let Some((_, old)) = shard.pages.pop_lru()
        {
            shard.bytes -= old.size();
        }
    }
    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().bytes as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_unused_longest_goes_first_and_the_bytes_are_bounded() {
        let cache = Cache::new(16 * 1000);
        let page = || Arc::new(Page::new(vec![0; 300]).unwrap());
        for page_no in [0, 16, 0, 32, 0, 48] {
            if cache.get((0, page_no)).is_none() {
                cache.put((0, page_no), &page());
            }
        }
        assert!(cache.get((0, 0)).is_some() && cache.get((0, 16)).is_none());
        assert!(cache.bytes() <= 16_000);
        cache.put((9, 9), &Arc::new(Page::new(vec![0; 5000]).unwrap()));
        assert!(cache.get((9, 9)).is_none());
    }
}
