//! What a torture's child and its judge agree on: the home's settings and the blocks, all from one seed.
use node::{CommitKind, DatabaseKind, StoreConfig};
use state::{BlockRecord, ChangeSet, IndexEntry, Key, StoreId, Value};
use store::{Config, Pruning};

/// The stores; the last stays empty.
pub(super) const STORES: [StoreId; 3] = [StoreId::new("bank"), StoreId::new("evm"), StoreId::new("void")];

/// Numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A home's settings.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Life {
    #[arg(long)]
    pub(super) seed: u64,
    #[arg(long)]
    pub(super) database: DatabaseKind,
    #[arg(long)]
    pub(super) commit: CommitKind,
}

/// Heights before the newest whose state is kept, and whose bodies are, in a home that prunes.
const KEPT: u64 = 12;
const KEPT_BLOCKS: u64 = 17;
/// So many heights may have been on the way to the disk and be lost, but counted for what they let go of.
const WRITTEN: u64 = 8;

impl Life {
    pub(super) fn new(seed: u64, database: DatabaseKind, commit: CommitKind) -> Self {
        Self {
            seed,
            database,
            commit,
        }
    }
    pub(super) fn arguments(&self) -> [String; 6] {
        let Self {
            seed,
            database,
            commit,
        } = self;
        [
            "--seed".into(),
            seed.to_string(),
            "--database".into(),
            database.to_string(),
            "--commit".into(),
            commit.to_string(),
        ]
    }
    /// Every other home prunes.
    pub(super) fn prunes(&self) -> bool {
        self.seed.is_multiple_of(2)
    }
    /// From this height on bodies and look-ups are there for sure, where the newest is `last`.
    pub(super) fn bodies_from(&self, last: u64) -> u64 {
        if self.prunes() {
            (last + WRITTEN).saturating_sub(KEPT_BLOCKS).max(1)
        } else {
            1
        }
    }
    /// From this height on state is there for sure.
    pub(super) fn state_from(&self, last: u64) -> u64 {
        if self.prunes() {
            (last + WRITTEN).saturating_sub(KEPT).max(1)
        } else {
            1
        }
    }
    pub(super) fn config(&self) -> Config {
        let mut random = Random(self.seed);
        let written = StoreConfig {
            commit: self.commit,
            database: self.database,
            ..StoreConfig::default()
        };
        let config = Config {
            ring: 1 + random.below(8) as usize,
            checkpoint_interval: 3 + random.below(6),
            checkpoints: 2,
            pruning: if self.prunes() {
                Pruning::custom(KEPT, 10).expect("a strategy of the SDK's")
            } else {
                Pruning::NOTHING
            },
            keep_blocks: if self.prunes() { KEPT_BLOCKS } else { 0 },
            ..Config::new(STORES)
        };
        written.over(config)
    }
    /// The block of a height, as the `era`-th child commits it: empty, a few changes, or so many bytes that the journal
    /// writes them in several steps.
    pub(super) fn block(&self, height: u64, era: u64) -> (ChangeSet, BlockRecord) {
        let mut random = Random(self.seed ^ (height << 32) ^ era);
        let mut changes = ChangeSet::new();
        let (count, len, body) = match random.below(12) {
            0 => (0, 0, 0),
            1 => (40, 30_000, 100),
            2 => (5, 50, 1_500_000 + random.below(700_000)),
            3 => (3000, 80, 1000),
            _ => (1 + random.below(60), 90, random.below(2000)),
        };
        for _ in 0..count {
            let store = STORES[random.below(2) as usize];
            // Long values meet each other, so that state stays small.
            let key = random.below(if len > 1000 { 60 } else { 4000 }) + if len > 1000 { 1 << 20 } else { 0 };
            let fill = random.next().to_be_bytes().repeat(1 + len / 8);
            let value = (random.below(5) > 0).then(|| Value::from(fill[..len].to_vec()));
            changes.insert(Key::new(store, &[&key.to_be_bytes()]), value);
        }
        let name = format!("{height}.{era}");
        let mut text = name.clone().into_bytes();
        text.resize(text.len() + body as usize, b'.');
        let entry = |key: String| IndexEntry {
            key: key.into(),
            value: name.clone().into(),
        };
        let record = BlockRecord {
            body: text.into(),
            index: vec![
                entry(format!("block {height}")),
                entry(format!("era {era}")),
                entry("newest".into()),
            ],
        };
        (changes, record)
    }
}
