//! Flat history: state at every kept height, read without building a tree.
//!
//! What each height changed is kept sorted by key and height in *segments* (`segment.rs`, pages in `page.rs`): what a
//! reader at a height sees of a key is its newest row up to that height, sought in the segments from the newest down,
//! each asked only where its filter (`filter.rs`) does not say no; a range is a merge of walks over all of them
//! (`read.rs`, `merge.rs`). A segment that is *complete* has a row for every key there is: nothing below it counts. The first one
//! of a chain is, and so is the *base*, a whole state: of a store that began with a checkpoint, and of one that prunes.
//!
//! History follows the journal and is never waited for (`feed.rs`). A thread reads durable heights from there, each into
//! a segment in memory. Eight of those make one of the next level; 256 heights (`Config::history_tail`), or [`TAIL_BYTES`], make a file. Another
//! thread merges eight neighbouring files of a level into one of the next, so a row is written a few times only, and
//! lets go of what no height from the floor on sees. `LIST` (`manifest.rs`) names the files that count: it is replaced in one
//! step after each change, and a file that it does not name is no part of history. So a process may end anywhere; what the
//! files do not have is read from the journal again.
//!
//! Pages are not compressed beyond the keys' common beginnings: keys are hashes and addresses, most values amounts and
//! hashes, and unpacking would cost more than reading them.
//!
//! Damage is never served. A page or trailer that does not match its hash makes its file set aside, and its heights
//! come from the journal again, where it has them; where not, history begins anew with the oldest checkpoint it can go
//! on from, and the heights between are refused.
mod page;
mod filter;
mod cache;
mod segment;
mod merge;
mod layers;
mod read;
mod manifest;
mod files;
mod feed;
mod compact;

pub(crate) use feed::Threads;
pub(crate) use files::FlatHistory;
pub use files::{HistoryStats, SegmentStats};
pub use read::Flat;

/// Heights kept in memory, before they become a file, take at most about so many bytes (and one height more).
pub(crate) const TAIL_BYTES: u64 = 32 << 20;
/// So many segments of a level become one of the next.
const FAN: usize = 8;
