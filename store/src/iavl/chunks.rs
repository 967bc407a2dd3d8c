//! Memory that grows and never moves: cells found by number, readable without a lock while more are added.
use super::machine::{HUGE_WORDS, ask_for_huge_pages, zeroed};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Words in a chunk: 32 MiB. The system hands out what is touched only.
const CHUNK_LOG: u32 = 22;
pub(super) const CHUNK: usize = 1 << CHUNK_LOG;
/// The first chunk lies in small pages up to this word, so that a small store stays small.
const SMALL: usize = HUGE_WORDS;

/// Up to `MAX` cells of `WORDS` words, a power of two.
pub(super) struct Chunks<const WORDS: usize, const MAX: u64> {
    chunks: Box<[OnceLock<Chunk>]>,
    /// Whether the first chunk was to have huge pages.
    huge: OnceLock<bool>,
}

struct Chunk {
    /// With some more words, so that those from `skip` on begin with a huge page.
    words: Box<[AtomicU64]>,
    skip: usize,
}

impl Chunk {
    fn new() -> Self {
        let words = zeroed(CHUNK + HUGE_WORDS);
        let at = words.as_ptr().addr();
        let skip = (at.next_multiple_of(HUGE_WORDS * 8) - at) / 8;
        Self { words, skip }
    }
    fn words(&self) -> &[AtomicU64] {
        &self.words[self.skip..][..CHUNK]
    }
}

impl<const WORDS: usize, const MAX: u64> Chunks<WORDS, MAX> {
    /// Cells in a chunk, as a power of two.
    const LOG: u32 = CHUNK_LOG - WORDS.ilog2();

    pub(super) fn new() -> Self {
        const { assert!(WORDS.is_power_of_two() && MAX <= 1 << 32) };
        let chunks = (0..MAX.div_ceil(1 << Self::LOG)).map(|_| OnceLock::new());
        Self {
            chunks: chunks.collect(),
            huge: OnceLock::new(),
        }
    }
    /// Cell `at`, which was grown.
    pub(super) fn get(&self, at: u32) -> &[AtomicU64; WORDS] {
        let (cells, _) = self.chunk(at).as_chunks();
        &cells[at as usize & ((1 << Self::LOG) - 1)]
    }
    /// The words of `count` cells from `at` on, which lie in one chunk and were grown.
    pub(super) fn run(&self, at: u32, count: usize) -> &[AtomicU64] {
        let first = (at as usize & ((1 << Self::LOG) - 1)) * WORDS;
        &self.chunk(at)[first..first + count * WORDS]
    }
    /// Has the system hand out the memory of the cells from `from` to before `to`, which then need not wait for it.
    pub(super) fn prepare(&self, from: u32, to: u32) {
        const PAGE: usize = 4096;
        let to = u64::from(to).min(MAX) as u32;
        for at in (from..to).step_by(PAGE / 8 / WORDS) {
            self.grow(at);
            // A write, where nothing was written yet. (An addition of 0 would become a read.)
            let _ = self.get(at)[0].compare_exchange(0, 0, Relaxed, Relaxed);
        }
    }
    fn chunk(&self, at: u32) -> &[AtomicU64] {
        let chunk = self.chunks[(at >> Self::LOG) as usize].get();
        chunk.expect("only cells that were grown are handed out").words()
    }
    /// Makes cell `at`, and all of its chunk.
    ///
    /// # Panics
    /// Beyond `MAX` cells: callers look at what is left first.
    pub(super) fn grow(&self, at: u32) {
        assert!(u64::from(at) < MAX, "no cell beyond the stated limit");
        let place = (at >> Self::LOG) as usize;
        let chunk = self.chunks[place].get_or_init(|| {
            let chunk = Chunk::new();
            if place > 0 {
                ask_for_huge_pages(chunk.words());
            }
            chunk
        });
        if place == 0 && at as usize * WORDS >= SMALL {
            self.huge
                .get_or_init(|| ask_for_huge_pages(&chunk.words()[SMALL..]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_own_place() {
        let chunks: Chunks<8, { 1 << 21 }> = Chunks::new();
        let cells = [
            0,
            1,
            1023,
            1024,
            30_000,
            40_000,
            (1 << 19) - 1,
            1 << 19,
            (1 << 21) - 1,
        ];
        for at in cells {
            chunks.grow(at);
            let cell = chunks.get(at);
            assert_eq!(cell.as_ptr().addr() % 64, 0, "a cell is a cache line");
            for (i, word) in cell.iter().enumerate() {
                assert_eq!(
                    word.swap(u64::from(at) * 8 + i as u64 + 1, Relaxed),
                    0,
                    "cell {at} is new"
                );
            }
        }
        for at in cells {
            chunks.prepare(at, at.saturating_add(3000));
            for (i, word) in chunks.run(at, 1).iter().enumerate() {
                assert_eq!(word.load(Relaxed), u64::from(at) * 8 + i as u64 + 1);
            }
        }
    }
}
