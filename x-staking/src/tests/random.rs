//! Random blocks: whatever people try, the invariants hold, the declarations cover, and two runs give the same bytes.
use super::harness::*;
use types::U256;

/// A generator that any seed replays (splitmix64).
struct Rng(u64);

impl Rng {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
    fn user(&mut self) -> u8 {
        u8::try_from(11 + self.next(5)).unwrap()
    }
    /// Validators 1 to 4 of genesis, and 11 to 13 once created.
    fn operator(&mut self) -> u8 {
        [1, 2, 3, 4, 11, 12, 13][usize::try_from(self.next(7)).unwrap()]
    }
    fn amount(&mut self) -> U256 {
        match self.next(4) {
            0 => U256::from(self.next(1000)),
            1 => units(self.next(20)) + U256::from(self.next(1000)),
            _ => units(1 + self.next(5)),
        }
    }
    fn message(&mut self, height: u64) -> Msg {
        let (who, from, amount) = (self.user(), self.operator(), self.amount());
        match self.next(12) {
            0..4 => delegate(who, from, amount),
            4..7 => undelegate(who, from, amount),
            7 => undelegate(from, from, amount),
            8 => redelegate(who, from, self.operator(), amount),
            9 => cancel(
                who,
                from,
                amount,
                i64::try_from(height.saturating_sub(self.next(4))).unwrap(),
            ),
            10 => create(u8::try_from(11 + self.next(3)).unwrap(), amount),
            _ => edit(from, "m", "", ""),
        }
    }
}

/// How many messages succeeded, and the state at the end.
fn run(seed: u64) -> (usize, state::MemoryState) {
    let mut rng = Rng(seed);
    let mut chain = Chain::new(&[10, 9, 8, 2]);
    let mut succeeded = 0;
    for _ in 0..40 {
        let height = chain.block.height + 1;
        let messages: Vec<_> = (0..rng.next(8)).map(|_| rng.message(height)).collect();
        let seconds = i64::try_from(1 + rng.next(300)).unwrap();
        succeeded += chain
            .block(seconds, &messages)
            .results
            .iter()
            .filter(|r| r.is_ok())
            .count();
    }
    (succeeded, chain.state)
}

#[test]
fn random_blocks_keep_the_invariants() {
    let mut succeeded = 0;
    for seed in 0..25 {
        // Printed where the test fails: `run(seed)` replays it.
        println!("seed {seed}");
        let (count, state) = run(seed);
        assert_eq!(run(seed).1, state);
        succeeded += count;
    }
    assert!(succeeded > 1_000, "only {succeeded} messages did something");
}
