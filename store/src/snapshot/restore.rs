//! Taking a snapshot from other nodes: every chunk is checked on arrival, the whole against the trusted app hash.
use super::chunk::expand;
use super::metadata::{FORMAT, Metadata};
use super::stream::Parser;
use crate::multistore::app_hash;
use crate::{Config, Frozen};
use state::{AppHash, Chunk, Offer, StoreId, SyncSnapshot};

/// A snapshot on its way in. Nothing of it is on the disk.
#[derive(Debug)]
pub(super) struct Restore {
    metadata: Metadata,
    next: u32,
    parser: Parser,
}

/// What became of a chunk.
#[derive(Debug)]
pub(super) enum Step {
    /// As other nodes are told.
    Answer(Chunk),
    /// It was the last, and all is as it should be.
    Whole(Frozen),
}

impl Restore {
    /// Begins with what is offered, or says why not.
    pub(super) fn begin(snapshot: &SyncSnapshot, trusted: &AppHash, most: u64) -> Result<Self, Offer> {
        if snapshot.format != FORMAT {
            return Err(Offer::RejectFormat(snapshot.format));
        }
        let metadata = Metadata::accept(snapshot).map_err(Offer::Reject)?;
        if metadata.version.root != *trusted {
            let (have, want) = (hex::encode(metadata.version.root), hex::encode(trusted));
            return Err(Offer::Reject(format!(
                "it is of app hash {have}, the chain's is {want}"
            )));
        }
        if metadata.bytes > most {
            let have = metadata.bytes;
            return Err(Offer::Reject(format!(
                "it has {have} bytes, this node takes {most}"
            )));
        }
        Ok(Self::from(metadata))
    }
    fn from(metadata: Metadata) -> Self {
        let parser = Parser::new(metadata.version.height);
        Self {
            metadata,
            next: 0,
            parser,
        }
    }
    /// Takes the next chunk. After anything but [`Chunk::Accept`] and [`Chunk::Refetch`] it is to be dropped, or begun
    /// again.
    pub(super) fn take(&mut self, index: u32, chunk: &[u8], config: &Config) -> Step {
        if index != self.next {
            let next = self.next;
            return Step::Answer(Chunk::Restart(format!("chunk {index} came, {next} is next")));
        }
        let Some(meta) = self.metadata.chunks.get(index as usize) else {
            return Step::Answer(Chunk::Reject(format!("it has no chunk {index}")));
        };
        if !meta.is(chunk) {
            return Step::Answer(Chunk::Refetch(format!("chunk {index} is not what its hash says")));
        }
        match self.add(chunk) {
            Err(why) => Step::Answer(Chunk::Reject(format!("chunk {index}: {why}"))),
            Ok(()) if self.next < self.metadata.chunks.len() as u32 => Step::Answer(Chunk::Accept),
            Ok(()) => {
                let parser = std::mem::replace(&mut self.parser, Parser::new(0));
                match finish(&self.metadata, parser, config) {
                    Ok(frozen) => Step::Whole(frozen),
                    Err(why) => Step::Answer(Chunk::Reject(why)),
                }
            }
        }
    }
    /// The same from its first chunk on.
    pub(super) fn restart(self) -> Self {
        Self::from(self.metadata)
    }
    fn add(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.parser.feed(&expand(chunk)?)?;
        self.next += 1;
        Ok(())
    }
}

/// The version that a parsed stream is, where it is what its metadata says and this store holds such ones.
pub(super) fn finish(metadata: &Metadata, parser: Parser, config: &Config) -> Result<Frozen, String> {
    let Metadata { version, nodes, .. } = *metadata;
    if parser.nodes() != nodes {
        return Err(format!("it has {} nodes, {nodes} were promised", parser.nodes()));
    }
    let trees = parser.finish()?;
    let have: Vec<&str> = trees.keys().map(StoreId::name).collect();
    let mut want: Vec<&str> = config.stores.iter().map(StoreId::name).collect();
    want.sort_unstable();
    if have != want {
        return Err(format!("it has stores {have:?}, this chain has {want:?}"));
    }
    let root = app_hash(&trees);
    if root != version.root {
        let (have, want) = (hex::encode(root), hex::encode(version.root));
        return Err(format!("its nodes have app hash {have}, not {want}"));
    }
    Ok(Frozen::new(version, trees))
}
