//! Memory that grows and never moves: cells found by number, readable without a lock while more are added.
use std::sync::OnceLock;

/// Cells in the first chunk; each further one doubles what there is, up to `2^SHIFT` cells a chunk, so that a small
/// store stays small.
const FIRST: u32 = 10;

/// Up to `MAX` cells in chunks of at most `2^SHIFT`.
pub(super) struct Chunks<T, const SHIFT: u32, const MAX: u64> {
    /// The first `2^SHIFT` cells.
    small: [OnceLock<Box<[T]>>; 16],
    /// The cells above them.
    large: OnceLock<Large<T>>,
}

type Large<T> = Box<[OnceLock<Box<[T]>>]>;

impl<T: Default, const SHIFT: u32, const MAX: u64> Chunks<T, SHIFT, MAX> {
    pub(super) fn new() -> Self {
        const { assert!(SHIFT > FIRST && SHIFT - FIRST < 16 && MAX <= 1 << 32) };
        Self {
            small: std::array::from_fn(|_| OnceLock::new()),
            large: OnceLock::new(),
        }
    }
    /// Cell `at`, which was grown.
    pub(super) fn get(&self, at: u32) -> &T {
        const GROWN: &str = "only cells that were grown are handed out";
        if at >> SHIFT > 0 {
            let large = self.large.get().expect(GROWN);
            let chunk = large[(at >> SHIFT) as usize - 1].get().expect(GROWN);
            &chunk[(at & ((1 << SHIFT) - 1)) as usize]
        } else {
            let (place, start) = Self::place(at);
            &self.small[place].get().expect(GROWN)[(at - start) as usize]
        }
    }
    /// Makes cell `at` and those before it in its chunk.
    ///
    /// # Panics
    /// Beyond `MAX` cells: callers look at [`Chunks::left`] first.
    pub(super) fn grow(&self, at: u32) {
        assert!(u64::from(at) < MAX, "no cell beyond the stated limit");
        let cells = |n: u32| -> Box<[T]> { (0..n).map(|_| T::default()).collect() };
        if at >> SHIFT > 0 {
            let chunks = || (0..(MAX >> SHIFT)).map(|_| OnceLock::new()).collect();
            self.large.get_or_init(chunks)[(at >> SHIFT) as usize - 1].get_or_init(|| cells(1 << SHIFT));
        } else {
            let (place, start) = Self::place(at);
            self.small[place].get_or_init(|| cells(start.max(1 << FIRST)));
        }
    }
    /// Which small chunk holds `at`, and where it starts.
    fn place(at: u32) -> (usize, u32) {
        match (at >> FIRST).checked_ilog2() {
            None => (0, 0),
            Some(log) => (log as usize + 1, 1 << (FIRST + log)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn every_cell_has_its_own_place() {
        let chunks: Chunks<AtomicU64, 12, { 1 << 15 }> = Chunks::new();
        for at in 0..1 << 15 {
            chunks.grow(at);
            assert_eq!(
                chunks.get(at).swap(u64::from(at) + 1, Ordering::Relaxed),
                0,
                "cell {at} is new"
            );
        }
        for at in 0..1 << 15 {
            assert_eq!(chunks.get(at).load(Ordering::Relaxed), u64::from(at) + 1);
        }
    }
}
