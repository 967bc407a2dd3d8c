//! See state as keys and values: read, write, add, buffer; typed layouts; the contract a commit store keeps.
//!
//! Reading order: a [`Key`] names a value in one module's store; [`StateRead`], [`StateScan`] and [`StateWrite`] are
//! all that module code sees; an [`Overlay`] buffers what it writes as a [`WriteSet`]; [`normalise`] turns a block's
//! write set into a [`ChangeSet`]; a [`CommitStore`] hashes and keeps it; [`StateSync`]
//! hands whole versions to other nodes.

mod key;
mod traits;
mod delta;
mod write_set;
mod overlay;
mod access;
mod recorder;
mod commit;
mod sync;

pub use access::Access;
pub use bytes::Bytes;
pub use commit::{
    AppHash, BlockRecord, CommitStore, EMPTY_ROOT, IndexEntry, ProofOp, Proven, Snapshot, StoreError, Version,
};
pub use delta::{Delta, decode_amount, encode_amount};
pub use key::{Key, KeyRange, StoreId};
pub use overlay::{Buffered, Layered, Overlay};
pub use recorder::Recorder;
pub use sync::{Chunk, Offer, StateSync, SyncSnapshot};
pub use traits::{Control, EmptyState, MemoryState, StateError, StateRead, StateScan, StateWrite, TxIndex};
pub use write_set::{ChangeSet, Deferral, Op, Value, WriteSet, apply_deferrals, merge, normalise, resolve};
