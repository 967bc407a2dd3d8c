//! What of an arena's memory is in use, and what is free again.
use super::arena::Place;

/// Longer keys and values lie outside the words, by themselves.
pub(super) const MAX_WORDS: u32 = 512;
/// Set in the place of what lies outside.
pub(super) const OUTSIDE: u32 = 1 << 31;
/// Bytes never straddle a multiple of this many words, so they lie in one chunk.
const BLOCK: u32 = 1024;
/// How many nodes a task takes at a time.
pub(super) const BATCH: u32 = 512;
pub(super) const MAX_NODES: u64 = 1 << 28;
pub(super) const MAX_BYTES_WORDS: u64 = 1 << 31;

pub(super) struct Space {
    pub(super) next_node: u32,
    pub(super) free_nodes: Vec<u32>,
    pub(super) next_word: u32,
    /// By size in words.
    free_words: Vec<Vec<u32>>,
    /// Words in those lists.
    free_words_sum: u64,
    pub(super) free_outside: Vec<u32>,
    /// Bytes that lie outside.
    pub(super) outside: u64,
}

/// Where `take` found room.
pub(super) enum Found {
    Words(u32),
    /// Words from here on that were never used.
    New(u32),
    /// To be kept outside, in this place if any is free.
    Outside(Option<u32>),
}

impl Space {
    pub(super) fn new() -> Self {
        Self {
            next_node: 0,
            free_nodes: Vec::new(),
            next_word: 0,
            free_words: vec![Vec::new(); MAX_WORDS as usize + 1],
            free_words_sum: 0,
            free_outside: Vec::new(),
            outside: 0,
        }
    }
    /// Nodes and words that can still be made.
    pub(super) fn room(&self) -> (u64, u64) {
        let nodes = MAX_NODES - u64::from(self.next_node) + self.free_nodes.len() as u64;
        (nodes, MAX_BYTES_WORDS - u64::from(self.next_word))
    }
    /// Bytes of nodes, of keys and values, and how many of both are free.
    pub(super) fn bytes(&self) -> (u64, u64, u64) {
        let free = self.free_nodes.len() as u64 * 64 + self.free_words_sum * 8;
        (
            u64::from(self.next_node) * 64,
            u64::from(self.next_word) * 8 + self.outside,
            free,
        )
    }
    /// Words in use, without what lies outside.
    #[cfg(test)]
    pub(super) fn live_words(&self) -> u64 {
        u64::from(self.next_word) - self.free_words_sum
    }
    /// Room for `size` words, not 0.
    pub(super) fn take(&mut self, size: usize) -> Found {
        if size > MAX_WORDS as usize {
            return Found::Outside(self.free_outside.pop());
        }
        if let Some(at) = self.free_words[size].pop() {
            self.free_words_sum -= size as u64;
            return Found::Words(at);
        }
        let size = size as u32;
        let left = BLOCK - self.next_word % BLOCK;
        if size > left {
            // Less than `size`, so it is a size of its own.
            self.free_words[left as usize].push(self.next_word);
            self.free_words_sum += u64::from(left);
            self.next_word += left;
        }
        let at = self.next_word;
        self.next_word += size;
        Found::New(at)
    }
    /// Bytes are not used any more; those outside are told.
    pub(super) fn free(&mut self, place: Place, outside: &mut Vec<u32>) {
        if place.at & OUTSIDE > 0 {
            outside.push(place.at & !OUTSIDE);
            self.outside -= u64::from(place.len);
        } else if place.len > 0 {
            let size = place.len.div_ceil(8);
            self.free_words[size as usize].push(place.at);
            self.free_words_sum += u64::from(size);
        }
    }
}
