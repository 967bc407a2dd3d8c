//! A version of all stores outside the store: snapshots that nodes hand to each other, and state files.
//!
//! One stream serves both (`stream.rs`): every store's name, then its nodes in Go IAVL's export order with key, value,
//! version and height, as the SDK's snapshots have them. It is cut into chunks that are compressed and hashed one by one
//! (`chunk.rs`); metadata names the height, the app hash and every chunk's hash (`metadata.rs`).
//!
//! - A node writes a snapshot at every multiple of [`crate::Config::snapshot_interval`], in the background, from the
//!   frozen version that a checkpoint of that height would be written from (`folder.rs`). The chunks follow from the
//!   state alone, so all nodes of a chain have the same.
//! - A node without blocks takes one (`restore.rs`): each chunk is checked on arrival, the tree grows as chunks come, and
//!   only once the app hash is the trusted one does it become a checkpoint, the journal's first record, and the newest
//!   version (`adopt.rs`). A node killed before that is as empty as before.
//! - A state file is the same in one piece (`file.rs`): `braidd export` writes it, `braidd import` reads it.

mod stream;
mod chunk;
mod metadata;
mod folder;
mod restore;
mod adopt;
mod file;

pub use file::StateFileError;
pub(crate) use folder::Snapshots;
