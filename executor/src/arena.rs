//! Where a block's cells live: they never move, and are forgotten all at once.
//!
//! Things are found by number. Each lies beside the number of the block it was made in: a new block has another, and
//! nothing is there. So no block waits until the last one's cells are cleared away, and their memory is used again. All
//! unsafe code of the executor is here.
#![allow(
    unsafe_code,
    reason = "memory that is used again without being cleared; see at each call"
)]
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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
/// Chunks of 64, 128, …: together they hold all numbers up to [`MOST`].
const CHUNKS: usize = 26;
/// Numbers that are given out at most, which no block can use up.
const MOST: u32 = 1 << 31;

/// Lists of numbers that threads take theirs from, each its own where there are no more threads.
const STRIPES: usize = 16;
/// Numbers that a list is given at a time. What different threads make then lies apart.
const STRIPE: u32 = 64;

/// Which list this thread takes numbers from.
fn stripe() -> usize {
    // The caller's thread is none of the pool's.
    rayon::current_thread_index().map_or(0, |worker| (worker + 1) % STRIPES)
}

/// The chunk of number `id`, and where in it.
fn place(id: u32) -> (usize, usize) {
    let chunk = (id / FIRST_CHUNK + 1).ilog2();
    (chunk as usize, (id - FIRST_CHUNK * ((1 << chunk) - 1)) as usize)
}

/// Gives out numbers.
#[derive(Debug)]
struct Numbers {
    /// All below are given out. Some of them may not be used.
    end: Apart<AtomicU32>,
    /// The next number of each list, and in the upper half how many it has.
    stripes: [Apart<AtomicU64>; STRIPES],
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            end: Apart::default(),
            stripes: [const { Apart(AtomicU64::new(0)) }; STRIPES],
        }
    }
}

impl Numbers {
    /// A number that nobody has.
    fn next(&self) -> u32 {
        const ONE: u64 = 1 << 32;
        let stripe = &self.stripes[stripe()];
        let mut now = stripe.load(Ordering::Relaxed);
        while now >= ONE {
            // The numbers of a list are never given out again, so that no list is ever as it was.
            match stripe.compare_exchange_weak(now, now - ONE + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return now as u32,
                Err(other) => now = other,
            }
        }
        let more = |end: u32| end.checked_add(STRIPE).filter(|end| *end <= MOST);
        let first = self.end.fetch_update(Ordering::SeqCst, Ordering::Relaxed, more);
        let first = first.expect("a block touches fewer places than there are numbers");
        // Where another thread does the same, its numbers or these go unused.
        stripe.store(
            u64::from(STRIPE - 1) << 32 | u64::from(first + 1),
            Ordering::Relaxed,
        );
        first
    }
    fn clear(&mut self) {
        *self.end.0.get_mut() = 0;
        self.stripes.iter_mut().for_each(|stripe| *stripe.0.get_mut() = 0);
    }
}

/// Things without anything to drop.
pub(crate) struct Arena<T> {
    chunks: [OnceLock<Box<[Place<T>]>>; CHUNKS],
    numbers: Numbers,
    /// Which block it is; never 0.
    block: u32,
}

struct Place<T> {
    /// The block that its thing was made in.
    made: AtomicU32,
    thing: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: `thing` is written once a block, by the one thread that was given its number, before `made` says so; it is read
// by those who see that `made` does, and from then on only through shared references.
unsafe impl<T: Send + Sync> Sync for Place<T> {}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        const { assert!(!std::mem::needs_drop::<T>()) };
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            numbers: Numbers::default(),
            block: 1,
        }
    }
}

impl<T> std::fmt::Debug for Arena<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arena")
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

impl<T> Arena<T> {
    /// Makes a thing; gives its number.
    pub(crate) fn alloc(&self, make: impl FnOnce(u32) -> T) -> u32 {
        self.alloc_in(Ordering::Release, make)
    }
    /// The same for those who walk all things: of a maker that then looks at a flag and a walker that sets the flag
    /// first, all in one order with this, one sees what the other did.
    pub(crate) fn alloc_listed(&self, make: impl FnOnce(u32) -> T) -> u32 {
        self.alloc_in(Ordering::SeqCst, make)
    }
    fn alloc_in(&self, order: Ordering, make: impl FnOnce(u32) -> T) -> u32 {
        let id = self.numbers.next();
        let thing = make(id);
        let (chunk, at) = place(id);
        let size = (FIRST_CHUNK as usize) << chunk;
        let new = || Place {
            made: AtomicU32::new(0),
            thing: UnsafeCell::new(MaybeUninit::uninit()),
        };
        let place = &self.chunks[chunk].get_or_init(|| (0..size).map(|_| new()).collect())[at];
        // SAFETY: `numbers` gives a number to one caller a block, so nobody else writes here; and nobody holds a
        // reference, since none is given out while `made` is not this block, which it becomes below. The references of
        // earlier blocks ended before `clear`, which took the arena exclusively.
        unsafe { (*place.thing.get()).write(thing) };
        place.made.store(self.block, order);
        id
    }
    /// The thing with this number.
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        let (chunk, at) = place(id);
        let place = self.chunks.get(chunk)?.get()?.get(at)?;
        if place.made.load(Ordering::SeqCst) != self.block {
            return None;
        }
        // SAFETY: it was written in this block, before `made` said so, and is not written to again until `clear`, which
        // no reference outlives.
        Some(unsafe { (*place.thing.get()).assume_init_ref() })
    }
    /// No thing has a number as large; some that are smaller have none.
    pub(crate) fn end(&self) -> u32 {
        self.numbers.end.load(Ordering::SeqCst)
    }
    /// Empties it, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.numbers.clear();
        self.block = self.block.wrapping_add(1);
        if self.block == 0 {
            // Once in four billion blocks: nothing may seem to be of this one.
            let places = self.chunks.iter_mut().filter_map(OnceLock::get_mut);
            places.flatten().for_each(|place| *place.made.get_mut() = 0);
            self.block = 1;
        }
    }
}

/// Things that are dropped when it is cleared, or used again.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNKS],
    numbers: Numbers,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            numbers: Numbers::default(),
        }
    }
}

impl<T> Shelf<T> {
    /// Makes a thing, or finds one that is to be used again; gives its number.
    pub(crate) fn alloc(&self, make: impl FnOnce(u32) -> T) -> u32 {
        let id = self.numbers.next();
        let (chunk, at) = place(id);
        let size = (FIRST_CHUNK as usize) << chunk;
        let things = self.chunks[chunk].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        things[at].get_or_init(|| make(id));
        id
    }
    /// The thing with this number.
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        let (chunk, at) = place(id);
        self.chunks.get(chunk)?.get()?.get(at)?.get()
    }
    /// Has the things used again.
    pub(crate) fn again(&mut self) {
        self.numbers.clear();
    }
    /// Drops the things, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        for id in 0..*self.numbers.end.0.get_mut() {
            let (chunk, at) = place(id);
            if let Some(things) = self.chunks[chunk].get_mut() {
                things[at].take();
            }
        }
        self.numbers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_arena_is_empty() {
        let mut arena = Arena::default();
        for block in 0..5u64 {
            let ids: Vec<u32> = (0..1000).map(|n| arena.alloc(|_| n * 10 + block)).collect();
            for (n, id) in (0..).zip(&ids) {
                assert_eq!(arena.get(*id), Some(&(n * 10 + block)));
            }
            assert_eq!(arena.get(arena.end()), None);
            arena.clear();
            assert!(ids.iter().all(|id| arena.get(*id).is_none()));
            assert_eq!(
                (arena.end(), arena.get(u32::MAX), arena.get(MOST)),
                (0, None, None)
            );
        }
    }

    #[test]
    fn the_block_after_the_last_number_of_one_sees_nothing_of_the_first() {
        let mut arena = Arena::default();
        let id = arena.alloc(|_| 7u8);
        arena.block = u32::MAX;
        arena.clear();
        assert_eq!((arena.block, arena.get(id)), (1, None));
    }

    #[test]
    fn threads_get_numbers_of_their_own_and_see_what_others_made() {
        let mut arena = Arena::default();
        for _ in 0..3 {
            let made: Vec<(u32, u64)> = std::thread::scope(|scope| {
                let arena = &arena;
                let work = move |thread: u64| {
                    let make = |n: u64| (arena.alloc(|_| thread << 32 | n), thread << 32 | n);
                    (0..5000).map(make).collect::<Vec<_>>()
                };
                let threads: Vec<_> = (0..2 * STRIPES as u64)
                    .map(|t| scope.spawn(move || work(t)))
                    .collect();
                threads
                    .into_iter()
                    .flat_map(|thread| thread.join().unwrap())
                    .collect()
            });
            for (id, thing) in &made {
                assert_eq!(arena.get(*id), Some(thing));
            }
            let mut ids: Vec<u32> = made.iter().map(|(id, _)| *id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), made.len());
            arena.clear();
        }
    }

    #[test]
    fn a_shelf_drops_its_things_or_has_them_used_again() {
        let mut shelf = Shelf::default();
        let id = shelf.alloc(|_| String::from("a"));
        shelf.again();
        assert_eq!(shelf.alloc(|_| String::from("b")), id);
        assert_eq!(shelf.get(id).unwrap(), "a");
        shelf.clear();
        assert_eq!(shelf.get(id), None);
    }
}
