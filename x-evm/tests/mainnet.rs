//! A few small real blocks; `cargo xtask blocks` runs them all.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use executor::{Parallel, Serial};
use std::io::Read;
use x_evm::replay::RealBlock;

#[test]
fn real_blocks_come_out_as_their_headers_say() {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let dir = std::env::var_os("BRAID_VECTORS")
        .map_or(beside, std::path::PathBuf::from)
        .join("mainnet");
    if !dir.is_dir() {
        println!("skipped: no ../shared/vectors/mainnet beside the repository, nor in BRAID_VECTORS");
        return;
    }
    for number in [
        46_147, 930_196, 2_462_997, 2_674_998, 2_675_000, 4_370_000, 9_069_000, 19_426_587, 19_910_734,
    ] {
        let file = std::fs::File::open(dir.join(format!("{number}.json.gz"))).unwrap();
        let mut json = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut json).unwrap();
        let block = RealBlock::parse(&json).unwrap();
        let serial = block.run(&Serial).unwrap();
        block.check(&serial).unwrap_or_else(|e| panic!("{number}: {e}"));
        for threads in [1, 4] {
            let parallel = block.run(&Parallel::new(threads)).unwrap();
            block
                .check(&parallel)
                .unwrap_or_else(|e| panic!("{number}, {threads} threads: {e}"));
            assert_eq!(serial.writes, parallel.writes, "{number}, {threads} threads");
        }
    }
}
