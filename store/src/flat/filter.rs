//! Which keys a segment may have: a split block Bloom filter, as in Apache Parquet (`BloomFilter.md`), with a hash of its own.
//!
//! Twelve bits a key: one key in some 200 that is not there is looked for in vain. Whoever makes keys that all segments
//! seem to have makes reads of those keys slower, by a page a segment, and no others.

const BITS_PER_KEY: u64 = 12;
const BLOCK_BITS: u64 = 256;
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// The hash of a key. Stored filters rest on it.
pub(super) fn hash(key: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h = (key.len() as u64).wrapping_mul(K);
    let mut chunks = key.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("8 bytes"));
        h = (h ^ word).wrapping_mul(K);
        h ^= h >> 29;
    }
    let mut last = [0; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    h = (h ^ u64::from_le_bytes(last)).wrapping_mul(K);
    // splitmix64's end.
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

#[derive(Debug, Default)]
pub(super) struct Filter(Vec<[u32; 8]>);

impl Filter {
    pub(super) fn new(hashes: &[u64]) -> Self {
        let blocks = (hashes.len() as u64 * BITS_PER_KEY).div_ceil(BLOCK_BITS).max(1);
        let mut filter = Self(vec![[0; 8]; blocks as usize]);
        for hash in hashes {
            let block = filter.block(*hash);
            for (word, bit) in filter.0[block].iter_mut().zip(bits(*hash)) {
                *word |= bit;
            }
        }
        filter
    }
    fn block(&self, hash: u64) -> usize {
        (((hash >> 32) * self.0.len() as u64) >> 32) as usize
    }
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let block = self.0.get(self.block(hash));
        block.is_some_and(|block| block.iter().zip(bits(hash)).all(|(word, bit)| word & bit > 0))
    }
    pub(super) fn size(&self) -> usize {
        self.0.len() * 32
    }
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for word in self.0.iter().flatten() {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("chunks of 4"));
        let block = |bytes: &[u8]| {
            let mut block = [0; 8];
            for (to, from) in block.iter_mut().zip(bytes.chunks_exact(4)) {
                *to = word(from);
            }
            block
        };
        Self(bytes.chunks_exact(32).map(block).collect())
    }
}

fn bits(hash: u64) -> impl Iterator<Item = u32> {
    let low = hash as u32;
    SALTS
        .into_iter()
        .map(move |salt| 1 << (low.wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_never_misses_a_key_and_seldom_sees_one_that_is_not_there() {
        let key = |n: u64| format!("evm{n}").into_bytes();
        let hashes: Vec<u64> = (0..10_000).map(|n| hash(&key(n))).collect();
        let mut bytes = Vec::new();
        Filter::new(&hashes).encode(&mut bytes);
        let filter = Filter::decode(&bytes);
        assert!((0..10_000).all(|n| filter.may_have(hash(&key(n)))));
        let wrong = (10_000..110_000)
            .filter(|n| filter.may_have(hash(&key(*n))))
            .count();
        assert!(wrong < 1_500, "{wrong} of 100000");
        assert!(!Filter::new(&[]).may_have(hash(b"x")));
    }

    #[test]
    fn the_hash_that_filters_rest_on_is_pinned() {
        assert_eq!(hash(b""), 0);
        assert_eq!([hash(b"bank"), hash(b"sixteen bytes ok and more")], PINNED);
    }

    const PINNED: [u64; 2] = [8_647_101_439_715_675_153, 12_076_610_376_265_470_830];
}
