//! A version in one file: what `braidd export` writes and `braidd import` reads.
//!
//! ```text
//! "braid-state-file" | format u32 | height u64 | app hash
//! chunks as in a snapshot: bytes u32 | sha256 | the chunk, compressed          big endian
//! 0u32 | bytes of the metadata u32 | metadata (metadata.rs)
//! ```
use super::chunk::{Chunker, MAX_COMPRESSED, expand};
use super::metadata::{ChunkMeta, Metadata};
use super::restore::finish;
use super::stream::{self, Parser};
use crate::{DiskStore, Frozen};
use state::{AppHash, CommitStore, Snapshot, StoreError, Version};
use std::io::{self, Read, Write};

const MAGIC: &[u8; 16] = b"braid-state-file";
const FORMAT: u32 = 1;
/// More than any metadata has.
const MAX_METADATA: u32 = 4 << 20;

/// Why a state file was not written or taken.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The file could not be read or written.
    #[error("state file: {0}")]
    File(#[from] io::Error),
    /// It is not what was written, or not what was expected.
    #[error("state file: {0}")]
    Bad(String),
    /// The store has blocks already.
    #[error("the store has blocks up to height {0}: a state file goes into an empty one")]
    NotEmpty(u64),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Result<T> = std::result::Result<T, StateFileError>;

impl DiskStore {
    /// Writes the version of `height`, any that is kept.
    pub fn export(&self, height: u64, out: &mut dyn Write) -> Result<Version> {
        let frozen = self.frozen(height)?;
        write(&frozen, out)?;
        out.flush()?;
        Ok(frozen.version())
    }
    /// Makes the version in a file that of a store without blocks. `trusted` is the app hash it must have, where the
    /// file's word does not suffice.
    pub fn import(&self, file: &mut dyn Read, trusted: Option<&AppHash>) -> Result<Version> {
        if !self.takes_another()? {
            return Err(StateFileError::NotEmpty(self.latest().height));
        }
        let frozen = self.read_file(file, trusted)?;
        Ok(self.adopt(frozen)?)
    }
    fn read_file(&self, file: &mut dyn Read, trusted: Option<&AppHash>) -> Result<Frozen> {
        let version = read_head(file)?;
        if let Some(trusted) = trusted.filter(|trusted| **trusted != version.root) {
            let (have, want) = (hex::encode(version.root), hex::encode(trusted));
            return Err(bad(format!("it is of app hash {have}, {want} is wanted")));
        }
        let (mut parser, mut chunks, mut bytes) = (Parser::new(version.height), Vec::new(), 0);
        while let Some((meta, chunk)) = read_chunk(file)? {
            let place = chunks.len();
            if !meta.is(&chunk) {
                return Err(bad(format!("chunk {place} is not what its hash says")));
            }
            let stream = expand(&chunk).map_err(|why| bad(format!("chunk {place}: {why}")))?;
            bytes += stream.len() as u64;
            // What a snapshot says before its chunks, a file says after them.
            if bytes > self.config.restore_bytes {
                let most = self.config.restore_bytes;
                return Err(bad(format!(
                    "it has more than {most} bytes, which this node takes"
                )));
            }
            parser
                .feed(&stream)
                .map_err(|why| bad(format!("chunk {place}: {why}")))?;
            chunks.push(meta);
        }
        let metadata = read_metadata(file)?;
        if (metadata.version, &metadata.chunks, metadata.bytes) != (version, &chunks, bytes) {
            return Err(bad("its end does not fit its beginning".into()));
        }
        finish(&metadata, parser, &self.config).map_err(bad)
    }
}

fn array<const N: usize>(file: &mut dyn Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// So many bytes, which take no room before they are there.
fn exact(file: &mut dyn Read, len: u32) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(len.into()).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != u64::from(len) {
        return Err(bad(format!(
            "it ends {} bytes early",
            u64::from(len) - bytes.len() as u64
        )));
    }
    Ok(bytes)
}

fn read_head(file: &mut dyn Read) -> Result<Version> {
    if array(file)? != *MAGIC {
        return Err(bad("it is none".into()));
    }
    let format = u32::from_be_bytes(array(file)?);
    if format != FORMAT {
        return Err(bad(format!("format {format}, this program reads {FORMAT}")));
    }
    Ok(Version {
        height: u64::from_be_bytes(array(file)?),
        root: array(file)?,
    })
}

/// The next chunk; `None` after the last.
fn read_chunk(file: &mut dyn Read) -> Result<Option<(ChunkMeta, Vec<u8>)>> {
    let size = u32::from_be_bytes(array(file)?);
    if size == 0 {
        return Ok(None);
    }
    if size as usize > MAX_COMPRESSED {
        return Err(bad(format!("a chunk of {size} bytes, at most {MAX_COMPRESSED}")));
    }
    let sha256 = array(file)?;
    Ok(Some((ChunkMeta { size, sha256 }, exact(file, size)?)))
}

fn read_metadata(file: &mut dyn Read) -> Result<Metadata> {
    let len = u32::from_be_bytes(array(file)?);
    if len > MAX_METADATA {
        return Err(bad(format!("metadata of {len} bytes, at most {MAX_METADATA}")));
    }
    let metadata = Metadata::decode(&exact(file, len)?)?;
    if file.read(&mut [0])? > 0 {
        return Err(bad("bytes follow its end".into()));
    }
    Ok(metadata)
}

fn bad(why: String) -> StateFileError {
    StateFileError::Bad(why)
}

fn write(frozen: &Frozen, out: &mut dyn Write) -> io::Result<()> {
    let version = frozen.version();
    out.write_all(MAGIC)?;
    out.write_all(&FORMAT.to_be_bytes())?;
    out.write_all(&version.height.to_be_bytes())?;
    out.write_all(&version.root)?;
    let mut chunks = Vec::new();
    let mut sink = |meta: ChunkMeta, chunk: &[u8]| {
        out.write_all(&meta.size.to_be_bytes())?;
        out.write_all(&meta.sha256)?;
        chunks.push(meta);
        out.write_all(chunk)
    };
    let mut chunker = Chunker::new(&mut sink)?;
    let nodes = stream::write(frozen.trees(), &mut |bytes| chunker.put(bytes))?;
    let bytes = chunker.finish()?;
    let metadata = Metadata {
        version,
        nodes,
        bytes,
        chunks,
    };
    let metadata = metadata.encode().map_err(io::Error::other)?;
    out.write_all(&0u32.to_be_bytes())?;
    out.write_all(
        &u32::try_from(metadata.len())
            .map_err(io::Error::other)?
            .to_be_bytes(),
    )?;
    out.write_all(&metadata)
}
