//! What a snapshot is, apart from its chunks: enough to check each of them by itself.
//!
//! ```text
//! "braid-snapshot" | format u32 | height u64 | app hash | nodes u64 | bytes of the stream u64
//! chunks u32 | per chunk: its bytes u32 | its sha256              big endian
//! ```
//! A snapshot's hash is the sha256 of this.
use super::chunk::{CHUNK_BYTES, MAX_COMPRESSED};
use crate::codec::Reader;
use sha2::{Digest, Sha256};
use state::{Bytes, StoreError, SyncSnapshot, Version};

const MAGIC: &[u8; 14] = b"braid-snapshot";
/// The layout of stream, chunks and metadata; any other is refused.
pub(super) const FORMAT: u32 = 1;
/// Chunks of a snapshot, at most: 640 GiB of stream, and metadata of 2.4 MB, where CometBFT sends at most 4 MB of it
/// (`statesync/messages.go`).
const MAX_CHUNKS: u32 = 1 << 16;

/// A compressed chunk's size and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkMeta {
    pub(super) size: u32,
    pub(super) sha256: [u8; 32],
}

/// What a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) version: Version,
    /// Tree nodes, all stores together.
    pub(super) nodes: u64,
    /// Bytes of the stream.
    pub(super) bytes: u64,
    pub(super) chunks: Vec<ChunkMeta>,
}

impl Metadata {
    /// Its bytes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, String> {
        let chunks = u32::try_from(self.chunks.len()).ok().filter(|n| *n <= MAX_CHUNKS);
        let chunks = chunks.ok_or_else(|| format!("{} chunks, at most {MAX_CHUNKS}", self.chunks.len()))?;
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&self.version.height.to_be_bytes());
        out.extend_from_slice(&self.version.root);
        out.extend_from_slice(&self.nodes.to_be_bytes());
        out.extend_from_slice(&self.bytes.to_be_bytes());
        out.extend_from_slice(&chunks.to_be_bytes());
        for chunk in &self.chunks {
            out.extend_from_slice(&chunk.size.to_be_bytes());
            out.extend_from_slice(&chunk.sha256);
        }
        Ok(out)
    }
    /// Reads it back; every count is checked against what is there.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut reader = Reader::new(bytes, "snapshot metadata");
        if reader.array()? != *MAGIC {
            return Err(reader.corrupt("it is none"));
        }
        let format = u32::from_be_bytes(reader.array()?);
        if format != FORMAT {
            return Err(reader.corrupt(&format!("format {format}, this program reads {FORMAT}")));
        }
        let version = Version {
            height: reader.u64()?,
            root: reader.array()?,
        };
        let (nodes, bytes) = (reader.u64()?, reader.u64()?);
        let count = u32::from_be_bytes(reader.array()?);
        if count > MAX_CHUNKS {
            return Err(reader.corrupt(&format!("{count} chunks, at most {MAX_CHUNKS}")));
        }
        let mut chunks = Vec::new();
        for _ in 0..count {
            let size = u32::from_be_bytes(reader.array()?);
            if size as usize > MAX_COMPRESSED {
                return Err(reader.corrupt(&format!("a chunk of {size} bytes, at most {MAX_COMPRESSED}")));
            }
            let sha256 = reader.array()?;
            chunks.push(ChunkMeta { size, sha256 });
        }
        if bytes.div_ceil(CHUNK_BYTES as u64) != chunks.len() as u64 {
            return Err(reader.corrupt(&format!("{bytes} bytes in {count} chunks")));
        }
        reader.finish()?;
        Ok(Self {
            version,
            nodes,
            bytes,
            chunks,
        })
    }
    /// As it is offered to other nodes.
    pub(super) fn offer(&self) -> Result<SyncSnapshot, String> {
        let metadata = self.encode()?;
        Ok(SyncSnapshot {
            height: self.version.height,
            format: FORMAT,
            chunks: self.chunks.len() as u32,
            hash: Bytes::copy_from_slice(&Sha256::digest(&metadata)),
            metadata: metadata.into(),
        })
    }
    /// What another node offers, where it is what it says.
    pub(super) fn accept(snapshot: &SyncSnapshot) -> Result<Self, String> {
        if Sha256::digest(&snapshot.metadata)[..] != snapshot.hash[..] {
            return Err("its hash is not that of its metadata".into());
        }
        let meta = Self::decode(&snapshot.metadata).map_err(|e| e.to_string())?;
        let (height, chunks) = (meta.version.height, meta.chunks.len());
        if (height, chunks as u64) != (snapshot.height, u64::from(snapshot.chunks)) {
            let (other, others) = (snapshot.height, snapshot.chunks);
            return Err(format!(
                "offered as height {other} in {others} chunks, it is of height {height} in {chunks}"
            ));
        }
        Ok(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let chunk = |size| ChunkMeta {
            size,
            sha256: [size as u8; 32],
        };
        Metadata {
            version: Version {
                height: 300,
                root: [7; 32],
            },
            nodes: 5,
            bytes: CHUNK_BYTES as u64 + 1,
            chunks: vec![chunk(1000), chunk(20)],
        }
    }

    #[test]
    fn the_layout_of_metadata_is_pinned() {
        let bytes = metadata().encode().unwrap();
        let head = hex::encode(MAGIC) + "00000001" + "000000000000012c" + &"07".repeat(32);
        let counts = "0000000000000005".to_owned() + "0000000000a00001" + "00000002";
        let chunks = "000003e8".to_owned() + &"e8".repeat(32) + "00000014" + &"14".repeat(32);
        assert_eq!(hex::encode(&bytes), head + &counts + &chunks);
        assert_eq!(Metadata::decode(&bytes), Ok(metadata()));
        for len in 0..bytes.len() {
            assert!(Metadata::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn what_is_offered_is_what_it_says() {
        let offer = metadata().offer().unwrap();
        assert_eq!(Metadata::accept(&offer), Ok(metadata()));
        let refused = |change: &dyn Fn(&mut SyncSnapshot), why: &str| {
            let mut bad = offer.clone();
            change(&mut bad);
            let error = Metadata::accept(&bad).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        refused(&|o| o.hash = Bytes::new(), "hash");
        refused(&|o| o.metadata = o.metadata.slice(1..), "hash");
        refused(&|o| o.height = 301, "offered as height 301");
        refused(&|o| o.chunks = 3, "in 3 chunks");
        let many = Metadata {
            bytes: 1,
            ..metadata()
        };
        assert!(
            Metadata::decode(&many.encode().unwrap())
                .unwrap_err()
                .to_string()
                .contains("1 bytes in 2")
        );
    }
}
