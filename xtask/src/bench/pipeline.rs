//! `cargo xtask bench pipeline`: whole blocks of ERC-20 transfers as they come off the wire, on the node's own store:
//! decode, recover senders, execute, hash, commit. Against the same done by one thread, on the same blocks.
//!
//! Nothing is remembered from block to block: every transaction is seen for the first time.
use crate::chain::{Node, accounts, chain, genesis};
use anyhow::{Context as _, Result, ensure};
use executor::{AnyExecutor, Parallel};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use std::time::Instant;
use store::{Config, DiskStore};
use types::{Address, Bytes, U256, keccak256};
use workload::{Account, EthCall, contracts};

/// How to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Threads of the parallel form.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Transfers a block, each by an account of its own.
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    transfers: u64,
    /// Blocks measured.
    #[arg(long, default_value_t = 9)]
    blocks: usize,
}

/// Room for every block of this bench.
const MAX_GAS: i64 = 1 << 42;
/// Transactions whose recovery is timed by itself.
const RECOVERIES: usize = 1_000;

/// One of the two forms.
struct Form {
    node: Node<DiskStore>,
    pool: rayon::ThreadPool,
    wall_ms: Vec<f64>,
    cpu_s: f64,
    _home: tempfile::TempDir,
}

impl Form {
    fn start(genesis: &app::InitChain, threads: usize, executor: AnyExecutor) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let store = DiskStore::open(home.path(), Config::new(app::stores()))?;
        Ok(Self {
            node: Node::start(store, genesis, executor)?,
            pool: rayon::ThreadPoolBuilder::new().num_threads(threads).build()?,
            wall_ms: Vec::new(),
            cpu_s: 0.0,
            _home: home,
        })
    }
    /// Runs a block; from its bytes to its commit.
    fn run(&mut self, txs: &[Bytes]) -> Result<[u8; 32]> {
        let (cpu, begun) = (cpu_s()?, Instant::now());
        let node = &mut self.node;
        let ran = self.pool.install(|| node.run(txs))?;
        self.wall_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        self.cpu_s += cpu_s()? - cpu;
        let good = ran
            .stored
            .txs
            .iter()
            .filter(|tx| tx.evm.as_ref().is_some_and(|e| e.success));
        ensure!(good.count() == txs.len(), "transfers failed: that was no load");
        Ok(ran.answer.app_hash)
    }
    fn forget(&mut self) {
        self.wall_ms.clear();
        self.cpu_s = 0.0;
    }
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.wall_ms.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// Measures and prints a line a form, and the ratio.
pub(super) fn run(args: &Args) -> Result<()> {
    let mut people = accounts(args.transfers);
    let genesis = genesis(&people, &[Address::repeat_byte(0xa1)], MAX_GAS)?;
    let mut serial = Form::start(&genesis, 1, AnyExecutor::Serial)?;
    let parallel = AnyExecutor::Parallel(Parallel::new(args.threads));
    let mut parallel = Form::start(&genesis, args.threads, parallel)?;
    let token = prepare(&mut people);
    for form in [&mut serial, &mut parallel] {
        form.run(&token.1)?;
        form.forget();
    }
    let last = people.len() - 1;
    for block in 0..=args.blocks {
        let to: Vec<Address> = people.iter().map(|p| p.address).collect();
        let txs: Vec<Bytes> = (0..=last)
            .map(|from| {
                let data = contracts::transfer(&to[(from + 1 + block) % (last + 1)], 1);
                people[from].eth(&chain(), &EthCall::call(token.0, data, 100_000))
            })
            .collect();
        if block == 0 {
            recovery(&txs)?;
        }
        // In turn first and second: the machine's other work hits both.
        let (first, second) = if block % 2 == 0 {
            (serial.run(&txs)?, parallel.run(&txs)?)
        } else {
            let second = parallel.run(&txs)?;
            (serial.run(&txs)?, second)
        };
        ensure!(first == second, "block {block}: app hashes differ");
        if block == 0 {
            // Warm-up.
            serial.forget();
            parallel.forget();
        }
    }
    let (a, b) = (serial.sorted(), parallel.sorted());
    let median = |v: &[f64]| v[v.len() / 2];
    for (name, form, sorted) in [("serial", &serial, &a), ("parallel", &parallel, &b)] {
        println!(
            "pipeline erc20 {name} min_ms={:.1} median_ms={:.1} cpu_s_a_block={:.3}",
            sorted[0],
            median(sorted),
            form.cpu_s / sorted.len() as f64
        );
    }
    println!(
        "pipeline erc20 txs={} threads={} ratio_min={:.2} ratio_median={:.2}",
        last + 1,
        args.threads,
        a[0] / b[0],
        median(&a) / median(&b)
    );
    Ok(())
}

/// A token, and some of it for everybody.
fn prepare(people: &mut [Account]) -> (Address, Vec<Bytes>) {
    let owners: Vec<Address> = people.iter().map(|p| p.address).collect();
    let creator = &mut people[0];
    let token = creator.address.create(creator.sequence);
    let mut txs = vec![creator.eth(&chain(), &EthCall::create(contracts::token(1 << 100), 1_000_000))];
    for owner in owners {
        let args = [contracts::word(&owner), U256::from(1_000_000)];
        let drip = contracts::input("drip(address,uint256)", &args);
        txs.push(creator.eth(&chain(), &EthCall::call(token, drip, 100_000)));
    }
    (token, txs)
}

/// Times sender recovery by itself, on one thread: as the chain does it, and by k256.
fn recovery(txs: &[Bytes]) -> Result<()> {
    let config = chain().config;
    let txs: Vec<_> = txs
        .iter()
        .take(RECOVERIES)
        .filter_map(|raw| x_evm::unwrap(raw, &config).ok().flatten())
        .collect();
    ensure!(!txs.is_empty(), "no transaction to recover");
    let mut signed = Vec::new();
    for tx in &txs {
        signed.push((tx.envelope.signature_hash(), *tx.envelope.signature(), tx.sender));
    }
    let micros = |begun: Instant| begun.elapsed().as_secs_f64() * 1e6 / signed.len() as f64;
    let begun = Instant::now();
    for (hash, signature, sender) in &signed {
        let who = alloy_consensus::crypto::secp256k1::recover_signer(signature, *hash)?;
        ensure!(who == *sender, "the chain's recovery is wrong");
    }
    let chains = micros(begun);
    let begun = Instant::now();
    for (hash, signature, sender) in &signed {
        let rs = Signature::from_scalars(
            signature.r().to_be_bytes::<32>(),
            signature.s().to_be_bytes::<32>(),
        )?;
        let id = RecoveryId::new(signature.v(), false);
        let key = VerifyingKey::recover_from_prehash(hash.as_slice(), &rs, id)?;
        let point = key.to_encoded_point(false);
        let who = Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..]);
        ensure!(who == *sender, "k256's recovery is wrong");
    }
    println!("recover libsecp256k1_us={chains:.1} k256_us={:.1}", micros(begun));
    Ok(())
}

/// Clock ticks a second, in which Linux counts processor time.
const TICKS_S: f64 = 100.0;

/// Processor time of this process, in seconds; zero where there is no `/proc`.
fn cpu_s() -> Result<f64> {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return Ok(0.0);
    };
    // After the name, which may have spaces: fields 3 and on; 14 and 15 are user and system time.
    let after = stat.rsplit(')').next().context("a process has a name")?;
    let mut ticks = 0.0;
    for field in after.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<f64>()?;
    }
    Ok(ticks / TICKS_S)
}
