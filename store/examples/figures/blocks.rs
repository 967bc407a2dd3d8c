//! Keys, values and blocks from a seed: those of xtask/go/iavl, in bench.go.
use state::{ChangeSet, Key, StoreId, Value};

/// The only store.
pub(crate) const STORE: StoreId = StoreId::new("bench");
/// Keys in a block of the load.
const LOAD_BLOCK: u64 = 100_000;

/// Sebastiano Vigna's splitmix64.
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        out.chunks_mut(8)
            .for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()));
        out
    }
    /// A value of 64 bytes.
    fn value(&mut self) -> Value {
        Value::copy_from_slice(&self.bytes::<64>())
    }
}

/// The key with this number: 32 bytes.
pub(crate) fn key(n: u64) -> Key {
    Key::new(STORE, &[&SplitMix(n).bytes::<32>()])
}

/// All keys, in blocks.
pub(crate) fn load(random: &mut SplitMix, keys: u64) -> impl Iterator<Item = ChangeSet> {
    (0..keys).step_by(LOAD_BLOCK as usize).map(move |first| {
        let numbers = first..keys.min(first + LOAD_BLOCK);
        numbers.map(|n| (key(n), Some(random.value()))).collect()
    })
}

/// A block of random updates of existing keys.
pub(crate) fn updates(random: &mut SplitMix, keys: u64, count: u64) -> ChangeSet {
    (0..count).map(|_| update(random, keys)).collect()
}

/// A block of 80 % updates, 15 % new keys above `top`, 5 % removes.
pub(crate) fn mixed(random: &mut SplitMix, keys: u64, count: u64, top: &mut u64) -> ChangeSet {
    let change = |_| match random.next() % 100 {
        0..15 => {
            *top += 1;
            (key(*top), Some(random.value()))
        }
        15..20 => (key(random.next() % keys), None),
        _ => update(random, keys),
    };
    (0..count).map(change).collect()
}

fn update(random: &mut SplitMix, keys: u64) -> (Key, Option<Value>) {
    let key = key(random.next() % keys);
    (key, Some(random.value()))
}
