//! A block, in order: read this first.
//!
//! 1. [`context`]: what every transaction sees, from the request and the parent state.
//! 2. begin-block hooks, alone (EVM system calls, staking's history).
//! 3. decode, recover senders, check signatures, declare access: in parallel, over the state at block start.
//! 4. [`executor`]: run the transactions as if one after another; `settle.rs` gives gas, indexes and the cut-off.
//! 5. what clients are shown of each, and the roots of the Ethereum header: in parallel, the roots beside 6 and 7.
//! 6. end-block hooks (validator set, matured unbondings).
//! 7. the fold: account numbers for who is new, the bank's reverse index, the header's parts.
//!
//! Nothing here fails because of what a block contains (chain.md rule 7): an error is the node's own.
use crate::api::{AppError, Block};
use crate::chain::{BlockParts, ChainInfo, plain_header};
use crate::job::{Env, How, TxJob};
use crate::modules::Modules;
use crate::receipt::TxOutput;
use crate::settle::{Arrivals, Totals};
use crate::tx::{Decoder, Rules};
use alloy_consensus::Header;
use alloy_primitives::Bloom;
use executor::{AnyExecutor, BlockInput, DeferredKeys, Executed, Executor, Stats};
use module::{BlockContext, HookContext, ValidatorUpdate};
use rayon::prelude::*;
use state::{AppHash, Layered, Op, Overlay, StateError, StateRead, StateScan, Value, WriteSet};
use types::{Address, B256, Event, U256, keccak256};

/// What a block is executed with.
pub(crate) struct Machine<'a, E = AnyExecutor> {
    pub(crate) info: &'a ChainInfo,
    pub(crate) modules: &'a Modules,
    pub(crate) executor: &'a E,
    pub(crate) decoder: &'a Decoder,
}

/// What a block did.
pub(crate) struct BlockOutcome {
    pub(crate) outputs: Vec<TxOutput>,
    /// Changes over the state before the block.
    pub(crate) writes: WriteSet,
    pub(crate) parts: BlockParts,
    pub(crate) events: Vec<Event>,
    pub(crate) validator_updates: Vec<ValidatorUpdate>,
    pub(crate) stats: Stats,
}

/// What every transaction of `block` sees, given its parent's state, parts and app hash. Uses only what
/// `PrepareProposal` also has (chain.md rule 8).
pub(crate) fn context(
    info: &ChainInfo,
    parent: &dyn StateRead,
    parts: &BlockParts,
    root: &AppHash,
    block: &Block,
) -> Result<BlockContext, StateError> {
    let sealed = parts.sealed(root);
    let coinbase = x_staking::validator_by_cons_addr(parent, &block.proposer)?.unwrap_or(Address::ZERO);
    let random = [parts.comet_hash.as_slice(), &block.height.to_be_bytes()].concat();
    Ok(BlockContext {
        config: info.config.clone(),
        chain_id: info.chain_id.clone(),
        height: block.height,
        time: block.time,
        proposer: block.proposer,
        coinbase,
        base_fee: next_base_fee(info, &sealed),
        gas_limit: info.gas_limit(),
        prev_randao: keccak256(random),
        parent_beacon_root: parts.comet_hash,
        parent_hash: sealed.hash_slow(),
        votes: block.votes.clone(),
    })
}

/// EIP-1559 over the parent's header, floored by the chain's minimum.
fn next_base_fee(info: &ChainInfo, parent: &Header) -> U256 {
    let base_fee = U256::from(parent.base_fee_per_gas.unwrap_or(0));
    x_evm::next_base_fee(
        parent.gas_used,
        parent.gas_limit,
        base_fee,
        info.config.min_gas_price(),
    )
}

/// The keys that settle late: the fee collector's balance and staking's queues.
pub(crate) fn deferred_keys(info: &ChainInfo) -> DeferredKeys {
    DeferredKeys {
        keys: vec![x_bank::fee_key(&info.config.base_denom)],
        prefixes: x_staking::deferred_prefixes(),
    }
}

/// Runs `block` over `base`.
pub(crate) fn execute<E: Executor>(
    machine: &Machine<'_, E>,
    base: &(dyn StateScan + Sync),
    ctx: BlockContext,
    block: &Block,
) -> Result<BlockOutcome, AppError> {
    execute_as(machine, base, ctx, block, How::default())
}

/// Runs `block` over `base`, in the way of `how`.
pub(crate) fn execute_as<E: Executor>(
    machine: &Machine<'_, E>,
    base: &(dyn StateScan + Sync),
    ctx: BlockContext,
    block: &Block,
    how: How,
) -> Result<BlockOutcome, AppError> {
    let mut validator_updates = Vec::new();
    let (writes, mut events) = hooks(
        machine.modules,
        base,
        WriteSet::new(),
        &ctx,
        Phase::Begin,
        &mut validator_updates,
    )?;
    let mut arrivals = Arrivals::default();
    arrivals.see(&writes);

    let evm = x_evm::Env::chain(&ctx, machine.modules.blocked.clone());
    let env = Env { block: ctx, evm, how };
    let mut totals = Totals::new(&env.block, arrivals);
    let Executed {
        outputs,
        writes: changed,
        stats,
    } = {
        let params = x_auth::params(&base)?;
        let rules = Rules {
            modules: machine.modules,
            config: &machine.info.config,
            params: &params,
        };
        let jobs = block
            .txs
            .par_iter()
            .map(|raw| TxJob::new(&env, &rules, machine.decoder, raw, &base))
            .collect::<Result<Vec<_>, StateError>>()?;
        let start = Layered {
            base,
            writes: &writes,
        };
        let deferred = deferred_keys(machine.info);
        let mut executed = machine.executor.execute(
            &BlockInput {
                base: &start,
                jobs: &jobs,
                deferred: &deferred,
            },
            &mut totals,
        )?;
        let outputs = executed.outputs.par_iter_mut();
        outputs.zip(&jobs).for_each(|(output, job)| job.finish(output));
        executed
    };

    let modules = machine.modules;
    let (folded, roots) = rayon::join(
        || -> Result<_, AppError> {
            let mut writes = writes;
            for (key, op) in changed {
                state::merge(&mut writes, key, op)?;
            }
            let (writes, ended) = hooks(
                modules,
                base,
                writes,
                &env.block,
                Phase::End,
                &mut validator_updates,
            )?;
            events.extend(ended);
            totals.arrivals.see(&writes);
            fold(base, writes, &env.block, &mut totals)
        },
        || roots(&outputs),
    );
    let (parts, writes) = header(base, folded?, &env.block, block.hash, &roots, totals.evm_gas_used)?;
    Ok(BlockOutcome {
        outputs,
        writes,
        parts,
        events,
        validator_updates,
        stats,
    })
}

#[derive(Clone, Copy)]
enum Phase {
    Begin,
    End,
}

fn hooks(
    modules: &Modules,
    base: &(dyn StateScan + Sync),
    writes: WriteSet,
    block: &BlockContext,
    phase: Phase,
    validator_updates: &mut Vec<ValidatorUpdate>,
) -> Result<(WriteSet, Vec<Event>), AppError> {
    let mut events = Vec::new();
    let mut overlay = Overlay::with_writes(&base, writes);
    let mut ctx = HookContext {
        block,
        state: &mut overlay,
        events: &mut events,
        validator_updates,
    };
    for module in modules.iter() {
        let done = match phase {
            Phase::Begin => module.begin_block(&mut ctx),
            Phase::End => module.end_block(&mut ctx),
        };
        done.map_err(|e| AppError::Hook {
            module: module.name(),
            height: block.height,
            why: e.to_string(),
        })?;
    }
    let mode = match phase {
        Phase::Begin => "BeginBlock",
        Phase::End => "EndBlock",
    };
    for event in &mut events {
        event.attributes.push(("mode".into(), mode.into()));
    }
    Ok((overlay.settle()?, events))
}

/// The Ethereum header's part that follows from the receipts.
struct Roots {
    transactions: B256,
    receipts: B256,
    bloom: Bloom,
}

fn roots(outputs: &[TxOutput]) -> Roots {
    let included: Vec<_> = outputs.iter().filter_map(|o| o.evm.as_ref()).collect();
    let (transactions, (receipts, bloom)) = rayon::join(
        || {
            let envelopes: Vec<&[u8]> = included.iter().map(|r| r.raw.as_ref()).collect();
            x_evm::transactions_root(&envelopes)
        },
        || {
            let receipts: Vec<_> = included
                .par_iter()
                .map(|r| x_evm::receipt(r.tx_type, r.success, r.cumulative_gas_used, r.logs.clone()))
                .collect();
            (x_evm::receipts_root(&receipts), x_evm::logs_bloom(&receipts))
        },
    );
    Roots {
        transactions,
        receipts,
        bloom,
    }
}

/// What depends on the whole block's state: account numbers, the reverse index.
fn fold(
    base: &(dyn StateScan + Sync),
    writes: WriteSet,
    ctx: &BlockContext,
    totals: &mut Totals,
) -> Result<WriteSet, AppError> {
    // Sums become plain values first, so that a credit that nets to nothing makes no account.
    let mut resolved = WriteSet::new();
    for (key, op) in writes {
        let before = if matches!(op, Op::Add(_)) {
            base.get(&key)?
        } else {
            None
        };
        let after: Option<Value> = state::resolve(&key, before, &op)?;
        resolved.insert(key, after.map_or(Op::Delete, Op::Put));
    }
    x_bank::fold_reverse_index(&base, &mut resolved)?;
    let mut overlay = Overlay::with_writes(&base, resolved);
    let mut newcomers = Vec::new();
    for who in std::mem::take(&mut totals.arrivals).into_order() {
        if base.get(&x_auth::account_key(&who))?.is_none() {
            newcomers.push(who);
        }
    }
    x_auth::assign_numbers(&mut overlay, &ctx.config, newcomers)?;
    Ok(overlay.settle()?)
}

/// The Ethereum header, and its place in state.
fn header(
    base: &(dyn StateScan + Sync),
    writes: WriteSet,
    ctx: &BlockContext,
    comet_hash: B256,
    roots: &Roots,
    evm_gas_used: u64,
) -> Result<(BlockParts, WriteSet), AppError> {
    let mut overlay = Overlay::with_writes(&base, writes);
    let header = Header {
        parent_hash: ctx.parent_hash,
        beneficiary: ctx.coinbase,
        transactions_root: roots.transactions,
        receipts_root: roots.receipts,
        logs_bloom: roots.bloom,
        number: ctx.height,
        gas_limit: ctx.gas_limit,
        gas_used: evm_gas_used,
        timestamp: ctx.time.unix(),
        mix_hash: ctx.prev_randao,
        base_fee_per_gas: Some(u64::try_from(ctx.base_fee).unwrap_or(u64::MAX)),
        parent_beacon_block_root: Some(ctx.parent_beacon_root),
        ..plain_header()
    };
    let parts = BlockParts { header, comet_hash };
    parts.write(&mut overlay);
    Ok((parts, overlay.settle()?))
}

/// An unused hash: blocks being prepared have none yet.
pub(crate) const NO_HASH: B256 = B256::ZERO;
