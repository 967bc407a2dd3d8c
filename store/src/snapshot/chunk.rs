//! The stream cut into chunks: each compressed and hashed by itself, and checked by itself.
use super::metadata::ChunkMeta;
use sha2::{Digest, Sha256};
use std::io;

/// Bytes of the stream in a chunk; the last may have fewer. CometBFT sends messages of at most 16 MB
/// (`statesync/messages.go`), and a chunk that does not compress grows by less than a hundredth.
pub(super) const CHUNK_BYTES: usize = 10 << 20;
/// What a compressed chunk may have.
pub(super) const MAX_COMPRESSED: usize = CHUNK_BYTES + CHUNK_BYTES / 64;
/// zstd's level, on one thread: the same bytes on every node that runs the same version of the library. Nodes of other
/// versions may have other chunks; CometBFT then takes them for another snapshot of the height, and both are good.
const LEVEL: i32 = 3;

/// Gathers a stream into chunks.
pub(super) struct Chunker<'a> {
    raw: Vec<u8>,
    compressor: zstd::bulk::Compressor<'static>,
    sink: &'a mut dyn FnMut(ChunkMeta, &[u8]) -> io::Result<()>,
    /// Bytes so far.
    pub(super) bytes: u64,
}

impl<'a> Chunker<'a> {
    /// Gives each chunk to `sink` as soon as it is full.
    pub(super) fn new(sink: &'a mut dyn FnMut(ChunkMeta, &[u8]) -> io::Result<()>) -> io::Result<Self> {
        Ok(Self {
            raw: Vec::with_capacity(CHUNK_BYTES),
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
            sink,
            bytes: 0,
        })
    }
    /// The next bytes of the stream.
    pub(super) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        while self.raw.len() + bytes.len() >= CHUNK_BYTES {
            let (head, rest) = bytes.split_at(CHUNK_BYTES - self.raw.len());
            self.raw.extend_from_slice(head);
            self.cut()?;
            bytes = rest;
        }
        self.raw.extend_from_slice(bytes);
        Ok(())
    }
    /// The last chunk. Returns how many bytes the stream had.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        if !self.raw.is_empty() {
            self.cut()?;
        }
        Ok(self.bytes)
    }
    fn cut(&mut self) -> io::Result<()> {
        let chunk = self.compressor.compress(&self.raw)?;
        self.raw.clear();
        (self.sink)(ChunkMeta::of(&chunk)?, &chunk)
    }
}

impl ChunkMeta {
    /// The size and hash of a compressed chunk.
    fn of(chunk: &[u8]) -> io::Result<Self> {
        let size = u32::try_from(chunk.len()).map_err(io::Error::other)?;
        let sha256 = Sha256::digest(chunk).into();
        Ok(Self { size, sha256 })
    }
    /// Whether these bytes are the chunk.
    pub(super) fn is(&self, chunk: &[u8]) -> bool {
        chunk.len() as u64 == u64::from(self.size) && self.sha256 == <[u8; 32]>::from(Sha256::digest(chunk))
    }
}

/// A chunk's part of the stream. Never more than [`CHUNK_BYTES`], whatever it says.
pub(super) fn expand(chunk: &[u8]) -> Result<Vec<u8>, String> {
    zstd::bulk::decompress(chunk, CHUNK_BYTES).map_err(|e| format!("it does not decompress: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(stream: &[u8], step: usize) -> (Vec<(ChunkMeta, Vec<u8>)>, u64) {
        let mut chunks = Vec::new();
        let mut sink = |meta, chunk: &[u8]| {
            chunks.push((meta, chunk.to_vec()));
            Ok(())
        };
        let mut chunker = Chunker::new(&mut sink).unwrap();
        stream.chunks(step).for_each(|bytes| chunker.put(bytes).unwrap());
        let bytes = chunker.finish().unwrap();
        (chunks, bytes)
    }

    #[test]
    fn a_stream_is_cut_the_same_way_however_it_comes() {
        let stream: Vec<u8> = (0..CHUNK_BYTES as u32 * 5 / 8)
            .flat_map(|i| (i / 3).to_le_bytes())
            .collect();
        let (chunks, bytes) = cut(&stream, 4099);
        assert_eq!((chunks.len(), bytes), (3, stream.len() as u64));
        assert_eq!(cut(&stream, stream.len()).0, chunks);
        let mut back = Vec::new();
        for (meta, chunk) in &chunks {
            assert!(meta.is(chunk) && !meta.is(&chunk[1..]));
            let part = expand(chunk).unwrap();
            assert!(part.len() <= CHUNK_BYTES);
            back.extend(part);
        }
        assert!(back == stream);
        assert_eq!(
            cut(&stream[..CHUNK_BYTES], 1 << 20).0.len(),
            1,
            "no empty chunk at the end"
        );
    }

    #[test]
    fn what_does_not_compress_stays_within_the_limit_and_what_expands_too_far_is_refused() {
        let mut seed = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        })
        .take(CHUNK_BYTES)
        .collect();
        let (chunks, _) = cut(&noise, 1 << 20);
        assert!(chunks[0].1.len() > CHUNK_BYTES && chunks[0].1.len() <= MAX_COMPRESSED);
        let bomb = zstd::bulk::compress(&vec![0; CHUNK_BYTES + 1], LEVEL).unwrap();
        assert!(bomb.len() < 4096 && expand(&bomb).is_err());
        assert!(expand(b"no zstd").is_err());
    }
}
