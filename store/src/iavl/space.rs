//! What of an arena's memory is in use, and what is free again.
use super::chunks::CHUNK;
use std::ops::Range;

/// Longer records lie outside the words.
pub(super) const MAX_WORDS: usize = 512;
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
    /// What was taken when memory was prepared last: nodes and words.
    prepared: [u32; 2],
}

impl Space {
    pub(super) fn new() -> Self {
        Self {
            next_node: 0,
            free_nodes: Vec::new(),
            next_word: 0,
            free_words: vec![Vec::new(); MAX_WORDS + 1],
            free_words_sum: 0,
            free_outside: Vec::new(),
            outside: 0,
            prepared: [0; 2],
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
    /// Ranges of nodes and words that a block like the last one takes next; none beyond 32 MiB each.
    pub(super) fn ahead(&mut self) -> [Range<u32>; 2] {
        let taken = [self.next_node, self.next_word];
        let before = std::mem::replace(&mut self.prepared, taken);
        [0, 1].map(|i| {
            let more = (taken[i] - before[i]).min((CHUNK / [8, 1][i]) as u32);
            taken[i]..taken[i].saturating_add(more)
        })
    }
    /// Room for `size` words in one chunk, at most `MAX_WORDS`. Such room keeps its size for ever.
    pub(super) fn take(&mut self, size: usize) -> u32 {
        if let Some(at) = self.free_words[size].pop() {
            self.free_words_sum -= size as u64;
            return at;
        }
        let left = CHUNK - self.next_word as usize % CHUNK;
        if size > left {
            self.free(self.next_word, left);
            self.next_word += left as u32;
        }
        let at = self.next_word;
        self.next_word += size as u32;
        at
    }
    /// Words are not used any more.
    pub(super) fn free(&mut self, at: u32, size: usize) {
        self.free_words[size].push(at);
        self.free_words_sum += size as u64;
    }
}
