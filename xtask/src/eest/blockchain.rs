//! `blockchain_test` fixtures: blocks in RLP, each run after its parent and held against its header; those that the
//! specification refuses must be refused.
use super::{Executors, Tally, every};
use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use t8n::{Alloc, Block, Chain, Fork, Refused, state_root};
use types::{B256, U256};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    network: String,
    seal_engine: Option<String>,
    #[serde(rename = "genesisRLP")]
    genesis_rlp: String,
    genesis_block_header: Head,
    pre: Alloc,
    post_state: Option<Alloc>,
    post_state_hash: Option<B256>,
    #[serde(rename = "lastblockhash")]
    last_block_hash: B256,
    blocks: Vec<Given>,
    #[serde(default)]
    config: Config,
}
/// A block, good or bad.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    rlp: String,
    /// Of a good one only.
    block_header: Option<Head>,
    /// Of a bad one: why, in the specification's words, or several whys.
    expect_exception: Option<String>,
}
/// A header: its hash says all.
#[derive(Deserialize)]
struct Head {
    hash: B256,
}
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    chainid: Option<String>,
    blob_schedule: Option<BTreeMap<String, Blobs>>,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blobs {
    target: String,
    max: String,
    base_fee_update_fraction: String,
}

/// Runs one fixture; why it differs from the specification. `None` where it is skipped.
pub(super) fn run(case: Value, executors: &Executors, tally: &mut Tally) -> anyhow::Result<Option<Verdict>> {
    let case: Case = serde_json::from_value(case)?;
    if let Some(why) = unfit(&case)? {
        tally.skip(why, 1);
        return Ok(None);
    }
    Ok(Some(follow(&case, executors, tally)))
}

/// Whether the case came out as it should; why not.
pub(super) type Verdict = anyhow::Result<()>;

/// Why the case cannot be run here.
fn unfit(case: &Case) -> anyhow::Result<Option<String>> {
    let network = &case.network;
    if Fork::at(network, 0, 0).is_none() {
        return Ok(Some(format!("network {network} is not known")));
    }
    if let Some(engine) = case.seal_engine.as_deref().filter(|engine| *engine != "NoProof") {
        return Ok(Some(format!("seals of {engine} are not checked")));
    }
    for (name, given) in case.config.blob_schedule.iter().flatten() {
        let Some(ours) = Fork::at(name, 0, 0).and_then(|fork| fork.blobs) else {
            continue;
        };
        let given = [&given.target, &given.max, &given.base_fee_update_fraction].map(|n| super::number(n));
        let ours = [
            U256::from(ours.target_blob_count),
            U256::from(ours.max_blob_count),
            U256::from(ours.update_fraction),
        ];
        for (given, ours) in given.into_iter().zip(ours) {
            if given? != ours {
                return Ok(Some(format!("the blob schedule of {name} is not Ethereum's")));
            }
        }
    }
    Ok(None)
}

fn follow(case: &Case, executors: &Executors, tally: &mut Tally) -> Verdict {
    // Fixtures without a configuration are of chain 1.
    let chain_id = case
        .config
        .chainid
        .as_deref()
        .map_or(Ok(U256::from(1)), super::number)?;
    let genesis = decode(&case.genesis_rlp).context("genesis")?;
    is("genesis hash", genesis.hash, case.genesis_block_header.hash)?;
    let mut chain =
        Chain::new(&case.network, chain_id.saturating_to(), genesis, case.pre.clone()).context("genesis")?;
    for (place, given) in case.blocks.iter().enumerate() {
        let at = || format!("block {place}");
        let pushed = push(&mut chain, given, executors, tally).with_context(at)?;
        judge(given, pushed).with_context(at)?;
    }
    is("last block's hash", chain.head(), case.last_block_hash)?;
    let post = match (&case.post_state, case.post_state_hash) {
        (Some(post), _) => {
            if let Some(who) = other(chain.alloc(), post) {
                bail!("the account {who} differs from the post state's");
            }
            state_root(post)
        }
        (None, Some(root)) => root,
        (None, None) => bail!("the fixture has no post state"),
    };
    is("post state's root", state_root(chain.alloc()), post)
}

/// The first account that is not the same in both, words of zero aside.
fn other(have: &Alloc, want: &Alloc) -> Option<types::Address> {
    let root = |of: &Alloc, who| {
        let account = of.0.get(who).cloned();
        state_root(&Alloc(account.into_iter().map(|a| (*who, a)).collect()))
    };
    let mut all = have.0.keys().chain(want.0.keys());
    all.find(|who| root(have, who) != root(want, who)).copied()
}

/// Runs a block on every executor and adds it to the chain, or says why it is refused.
fn push(
    chain: &mut Chain,
    given: &Given,
    executors: &Executors,
    tally: &mut Tally,
) -> anyhow::Result<Result<B256, Refused>> {
    let prepared = decode(&given.rlp).and_then(|block| Ok((chain.input(&block)?, block)));
    let (input, block) = match prepared {
        Ok(prepared) => prepared,
        Err(refused) => return Ok(Err(refused)),
    };
    let output = every(&input, executors, tally)?;
    let pushed = output
        .map_err(Refused::Run)
        .and_then(|output| chain.push(&block, output));
    Ok(pushed.map(|()| block.hash))
}

fn decode(rlp: &str) -> Result<Block, Refused> {
    let bytes = hex::decode(rlp.trim_start_matches("0x")).map_err(|e| Refused::Rlp(e.to_string()))?;
    Block::decode(&bytes)
}

/// Whether that is what the fixture says of the block.
fn judge(given: &Given, pushed: Result<B256, Refused>) -> Verdict {
    let (bad, why) = match (&given.expect_exception, &given.block_header) {
        (Some(why), _) => (true, why.as_str()),
        (None, None) => (true, "no reason"),
        (None, Some(_)) => (false, ""),
    };
    match pushed {
        Ok(_) if bad => bail!("accepted, want it refused: {why}"),
        Ok(hash) => {
            let want = given.block_header.as_ref().map_or(hash, |header| header.hash);
            is("hash", hash, want)
        }
        Err(refused) if !bad => Err(refused.into()),
        // A transaction that should not have run must not be found by what it did.
        Err(refused @ (Refused::Run(_) | Refused::Outcome { .. })) if of_transactions(why) => {
            bail!("refused only for its outcome ({refused}), want {why}")
        }
        Err(_) => Ok(()),
    }
}

/// Whether each reason is one of a transaction.
fn of_transactions(why: &str) -> bool {
    let mut whys = why.split('|').map(str::trim);
    whys.all(|why| why.starts_with("TransactionException.") || why.starts_with("TR_"))
}

fn is(what: &str, have: B256, want: B256) -> Verdict {
    if have != want {
        bail!("{what}: have {have}, want {want}");
    }
    Ok(())
}
