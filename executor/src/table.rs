//! Finds what was put in, by hash, without a lock; nothing is ever taken out. And an arena, where things do not move.
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Something that changes often, on cache lines of its own: what lies beside it is then not lost with it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> std::ops::Deref for Apart<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Things of the first chunk; each next chunk doubles.
const FIRST_CHUNK: u32 = 64;
/// Chunks of 64, 128, …: together they hold 2³² − 64 things, which no block can fill.
const CHUNKS: usize = 26;

/// Lists of ids that threads take theirs from, each its own where there are no more threads.
const STRIPES: usize = 16;
/// Ids that a list is given at a time. What threads make then lies apart.
const STRIPE: u32 = 64;

/// Which list this thread takes ids from.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
    MINE.with(|mine| *mine)
}

/// Where a block's cells live: they never move, so a reference to one is all a read or a write has to keep.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNKS],
    /// Ids given out. Some of them may not be used.
    len: Apart<AtomicU32>,
    /// The next id of each list, and behind it in the upper half how many are left.
    stripes: [Apart<AtomicU64>; STRIPES],
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            len: Apart(AtomicU32::new(0)),
            stripes: [const { Apart(AtomicU64::new(0)) }; STRIPES],
        }
    }
}

impl<T> Arena<T> {
    pub(crate) fn alloc(&self, make: impl FnOnce(u32) -> T) -> u32 {
        let id = self.id();
        let (chunk, at) = Self::place(id);
        let size = (FIRST_CHUNK as usize) << chunk;
        let slots = self.chunks[chunk].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        slots[at].get_or_init(|| make(id));
        // Pairs with the one in `Cells::open_index`: of a maker and that walk, one sees what the other did.
        fence(Ordering::SeqCst);
        id
    }
    /// An id that nobody has.
    fn id(&self) -> u32 {
        const LEFT: u64 = 1 << 32;
        let stripe = &self.stripes[stripe()];
        let mut now = stripe.load(Ordering::Relaxed);
        while now >= LEFT {
            let next = now - LEFT + 1;
            match stripe.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return now as u32,
                Err(other) => now = other,
            }
        }
        let id = self.len.fetch_add(STRIPE, Ordering::Relaxed);
        // Where another thread did the same, its ids or these go unused.
        stripe.store(u64::from(STRIPE - 1) << 32 | u64::from(id + 1), Ordering::Relaxed);
        id
    }
    fn place(id: u32) -> (usize, usize) {
        let chunk = (id / FIRST_CHUNK + 1).ilog2();
        (chunk as usize, (id - FIRST_CHUNK * ((1 << chunk) - 1)) as usize)
    }
    /// What was put in under `id`.
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        let (chunk, at) = Self::place(id);
        self.chunks.get(chunk)?.get()?.get(at)?.get()
    }
    /// No id is as large.
    pub(crate) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }
    /// Empties it, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        for id in 0..self.len() {
            let (chunk, at) = Self::place(id);
            if let Some(slots) = self.chunks[chunk].get_mut() {
                slots[at].take();
            }
        }
        *self.len.0.get_mut() = 0;
        self.stripes.iter_mut().for_each(|stripe| *stripe.0.get_mut() = 0);
    }
}

/// How far from its place a thing may lie before a larger table takes it.
const REACH: usize = 16;
/// Tables, each eight times as large as the one before.
const TABLES: usize = 6;

/// Ids by hash. A thing lies within reach of its place in the first table that had room there.
#[derive(Debug)]
pub(crate) struct Table {
    /// Slots of the first table, a power of two.
    first: usize,
    tables: [OnceLock<Box<[AtomicU64]>>; TABLES],
}

impl Table {
    /// For about `count` things.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            first: (count * 2).next_power_of_two().max(64),
            tables: [const { OnceLock::new() }; TABLES],
        }
    }
    /// Empties it, and keeps the memory if there is room for about `count` things.
    pub(crate) fn clear(&mut self, count: usize) {
        let want = (count * 2).next_power_of_two().max(64);
        if want > self.first || want * 64 < self.first {
            *self = Self::new(count);
            return;
        }
        for (at, table) in self.tables.iter_mut().enumerate() {
            if at > 0 {
                table.take();
            } else if let Some(slots) = table.get_mut() {
                slots.iter_mut().for_each(|slot| *slot.get_mut() = 0);
            }
        }
    }
    /// The id of the thing with `hash` that is the `same`; `make`s one if there is none.
    ///
    /// # Panics
    /// Where millions of things have hashes that differ from random ones.
    pub(crate) fn find_or(&self, hash: u64, same: impl Fn(u32) -> bool, make: impl FnOnce() -> u32) -> u32 {
        let tag = hash & (u64::MAX << 32);
        let mut make = Some(make);
        let mut made = None;
        for (n, table) in self.tables.iter().enumerate() {
            let slots = table.get_or_init(|| (0..self.first << (3 * n)).map(|_| AtomicU64::new(0)).collect());
            let mask = slots.len() - 1;
            for step in 0..REACH {
                let slot = &slots[(hash as usize).wrapping_add(step) & mask];
                let mut entry = slot.load(Ordering::Acquire);
                if entry == 0 {
                    let id = *made.get_or_insert_with(|| make.take().expect("made once")());
                    let new = tag | u64::from(id + 1);
                    match slot.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire) {
                        Ok(_) => return id,
                        Err(other) => entry = other,
                    }
                }
                // The lower half is never 0 in an entry.
                let id = (entry & u64::from(u32::MAX)) as u32 - 1;
                if entry & (u64::MAX << 32) == tag && same(id) {
                    return id;
                }
            }
        }
        panic!("a table is full");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_with_one_hash_are_told_apart_as_long_as_there_is_room() {
        let (arena, table) = (Arena::default(), Table::new(1));
        let find = |n: u64, hash: u64| {
            let id = table.find_or(hash, |id| arena.get(id) == Some(&n), || arena.alloc(|_| n));
            *arena.get(id).unwrap()
        };
        for n in 0..80 {
            assert_eq!(find(n, 7), n);
        }
        assert_eq!(find(3, 7), 3);
        assert_eq!(arena.len(), 80);
    }

    #[test]
    fn threads_agree_on_what_they_find() {
        let (arena, table) = (Arena::default(), Table::new(16));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..10_000u64 {
                        let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                        let find =
                            || table.find_or(hash, |id| arena.get(id) == Some(&n), || arena.alloc(|_| n));
                        let id = find();
                        assert_eq!(arena.get(id), Some(&n));
                        assert_eq!(find(), id);
                    }
                });
            }
        });
    }

    #[test]
    fn an_emptied_arena_is_empty() {
        let mut arena = Arena::default();
        (0..1000).for_each(|n| assert_eq!(arena.alloc(|id| id * 2), n));
        assert_eq!(arena.get(999), Some(&1998));
        arena.clear();
        assert_eq!((arena.len(), arena.get(3)), (0, None));
        assert_eq!(arena.alloc(|_| 7), 0);
        assert_eq!(arena.get(0), Some(&7));
    }
}
