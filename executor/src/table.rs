//! Finds what was put in, by hash, without a lock; nothing is ever taken out until all is.
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far from its place a thing may lie before a larger table takes it.
const REACH: usize = 16;
/// Tables, each eight times as large as the one before.
const TABLES: usize = 6;
/// An entry: part of the hash, the block it is of (never 0), the number of the thing.
const TAG: u64 = u64::MAX << 44;
const BLOCK_BITS: u32 = 12;

/// Numbers of things by hash. A thing lies within reach of its place in the first table that had room there.
#[derive(Debug)]
pub(crate) struct Table {
    /// Slots of the first table, a power of two.
    first: usize,
    tables: [OnceLock<Box<[AtomicU64]>>; TABLES],
    /// Which block it is. Entries of others count as empty.
    block: u64,
}

fn slots(count: usize) -> usize {
    (count * 2).next_power_of_two().max(64)
}

impl Table {
    /// For about `count` things.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            first: slots(count),
            tables: [const { OnceLock::new() }; TABLES],
            block: 1,
        }
    }
    /// Empties it, and keeps the memory if there is room for about `count` things.
    pub(crate) fn clear(&mut self, count: usize) {
        let want = slots(count);
        if want > self.first || want * 64 < self.first || self.block + 1 == 1 << BLOCK_BITS {
            *self = Self::new(count);
            return;
        }
        self.block += 1;
        self.tables
            .iter_mut()
            .skip(1)
            .for_each(|table| drop(table.take()));
    }
    /// The number of the thing with `hash` that is the `same`; `make`s one if there is none.
    ///
    /// # Panics
    /// Where millions of things have hashes that differ from random ones.
    pub(crate) fn find_or(&self, hash: u64, same: impl Fn(u32) -> bool, make: impl FnOnce() -> u32) -> u32 {
        let head = (hash & TAG) | self.block << 32;
        let of_this_block = |entry: u64| (entry >> 32) & ((1 << BLOCK_BITS) - 1) == self.block;
        let mut make = Some(make);
        let mut made = None;
        for (n, table) in self.tables.iter().enumerate() {
            let slots = table.get_or_init(|| (0..self.first << (3 * n)).map(|_| AtomicU64::new(0)).collect());
            let mask = slots.len() - 1;
            for step in 0..REACH {
                let slot = &slots[(hash as usize).wrapping_add(step) & mask];
                let mut entry = slot.load(Ordering::Acquire);
                if !of_this_block(entry) {
                    let id = *made.get_or_insert_with(|| make.take().expect("made once")());
                    let new = head | u64::from(id);
                    match slot.compare_exchange(entry, new, Ordering::AcqRel, Ordering::Acquire) {
                        Ok(_) => return id,
                        Err(other) => entry = other,
                    }
                }
                let id = entry as u32;
                if entry ^ u64::from(id) == head && same(id) {
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
    use crate::arena::Arena;

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
    fn an_emptied_table_is_empty() {
        let mut table = Table::new(4);
        for block in 0..3 << BLOCK_BITS {
            let id = block as u32 + 9;
            assert_eq!(table.find_or(7, |_| panic!("nothing is there"), || id), id);
            assert_eq!(
                table.find_or(7, |found| found == id, || panic!("it is there")),
                id
            );
            table.clear(4);
        }
    }
}
