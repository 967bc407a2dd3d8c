//! Which segments there are at a moment: readers hold one such list, writers replace it.
use super::segment::Segment;
use std::sync::Arc;

/// Segments by height, the oldest first. Ranges do not overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    pub(super) parts: Vec<Arc<Segment>>,
}

impl Layers {
    /// The segments that a reader at `height` asks, the oldest first: from the one with that height down to one that is
    /// complete, without a gap. `None` where they are not there.
    pub(super) fn at(&self, height: u64) -> Option<std::ops::Range<usize>> {
        let top = self
            .parts
            .partition_point(|part| part.head.from <= height)
            .checked_sub(1)?;
        if self.parts[top].head.to < height {
            return None;
        }
        self.whole_below(top).map(|bottom| bottom..top + 1)
    }
    /// The complete segment that `top` rests on.
    fn whole_below(&self, top: usize) -> Option<usize> {
        let mut at = top;
        while !self.parts[at].head.complete {
            let below = at.checked_sub(1)?;
            if self.parts[below].head.to + 1 != self.parts[at].head.from {
                return None;
            }
            at = below;
        }
        Some(at)
    }
    /// The last height of the newest run: the next one is to be added. 0 where there is none.
    ///
    /// A run begins with a complete segment; segments above a gap do not count: they wait for it to be filled.
    pub(super) fn reached(&self, counts: impl Fn(&Segment) -> bool) -> u64 {
        let parts = || self.parts.iter().filter(|part| counts(part));
        let Some(bottom) = parts().filter(|part| part.head.complete).last() else {
            return 0;
        };
        let mut reached = bottom.head.to;
        for part in parts().filter(|part| part.head.from > bottom.head.to) {
            if part.head.from != reached + 1 {
                break;
            }
            reached = part.head.to;
        }
        reached
    }
    /// The heights that can be read, as ranges.
    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (i, part) in self.parts.iter().enumerate() {
            if self.whole_below(i).is_none() {
                continue;
            }
            match ranges.last_mut() {
                Some(last) if last.1 + 1 == part.head.from => last.1 = part.head.to,
                _ => ranges.push((part.head.from, part.head.to)),
            }
        }
        ranges
    }
    /// Adds a segment in its place.
    pub(super) fn insert(&mut self, part: Arc<Segment>) {
        let place = self
            .parts
            .partition_point(|other| other.head.from < part.head.from);
        self.parts.insert(place, part);
    }
    /// Puts `new` in the place of the segments numbered `old`. Returns whether they were all there.
    pub(super) fn replace(&mut self, old: &[u64], new: Option<Arc<Segment>>) -> bool {
        let before = self.parts.len();
        let mut parts = self.parts.clone();
        parts.retain(|part| !old.contains(&part.id));
        if parts.len() + old.len() != before {
            return false;
        }
        self.parts = parts;
        if let Some(new) = new {
            self.insert(new);
        }
        true
    }
}
