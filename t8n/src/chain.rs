//! Blocks as clients send them to each other, each run after its parent and held against its header.
//!
//! [`Chain::input`] checks what can be seen before a block is run and gives what [`run`](crate::run) wants;
//! [`Chain::push`] compares what came of it with the header. Branches are kept: a block may follow any block before it.
use crate::Error;
use crate::alloc::{Alloc, state_root};
use crate::fork::Fork;
use crate::header;
use crate::input::{BlockEnv, Ommer};
use crate::number::Number;
use crate::result::{Output, Report};
use crate::transition::Input;
use crate::tx::Decoded;
use alloy_consensus::proofs::calculate_ommers_root;
use alloy_consensus::{Block as Rlp, BlockBody, Header};
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
use alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS;
use std::collections::{BTreeMap, BTreeSet};
use types::{B256, U256};
use x_evm::{Envelope, SpecId};

/// What BLOCKHASH reaches back.
const HASHES_MAX: usize = 256;
/// The most ommers in a block.
const OMMERS_MAX: usize = 2;
/// An ommer's parent is at most so many blocks back.
const OMMER_DEPTH_MAX: usize = 7;

/// From Osaka on (EIP-7934): ten megabytes, less two for the consensus layer's own.
const BLOCK_BYTES_MAX: usize = 8 << 20;

/// Why a block is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The bytes are no block.
    #[error("no block: {0}")]
    Rlp(String),
    /// The header or the list of ommers does not fit the chain.
    #[error("header: {0}")]
    Header(String),
    /// A transaction cannot be in a block here.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// Its place.
        index: usize,
        /// Why, in geth's words.
        error: String,
    },
    /// The block cannot be run.
    #[error("{0}")]
    Run(#[from] Error),
    /// The header does not say what the block comes to.
    #[error("{what}: have {have}, want {want}")]
    Outcome {
        /// The header's field.
        what: &'static str,
        /// What the block came to.
        have: String,
        /// What the header says.
        want: String,
    },
}

/// A block as it was sent.
#[derive(Clone, Debug)]
pub struct Block {
    /// Of its header's bytes.
    pub hash: B256,
    /// Its header.
    pub header: Header,
    /// Its transactions.
    pub txs: Vec<Envelope>,
    /// Its ommers' headers.
    pub ommers: Vec<Header>,
    /// Its withdrawals; present from Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// How long it is.
    pub bytes: usize,
}

impl Block {
    /// A block of these parts.
    pub fn new(
        header: Header,
        txs: Vec<Envelope>,
        ommers: Vec<Header>,
        withdrawals: Option<Vec<Withdrawal>>,
    ) -> Self {
        let hash = header.hash_slow();
        let mut block = Self {
            hash,
            header,
            txs,
            ommers,
            withdrawals,
            bytes: 0,
        };
        block.bytes = block.encode().len();
        block
    }
    /// The block as [`Block::decode`] reads it.
    pub fn encode(&self) -> Vec<u8> {
        let body = BlockBody {
            transactions: self.txs.clone(),
            ommers: self.ommers.clone(),
            withdrawals: self.withdrawals.clone().map(Withdrawals),
        };
        alloy_rlp::encode(Rlp::new(self.header.clone(), body))
    }
    /// Reads a block's RLP: header, transactions, ommers, and from Shanghai on withdrawals.
    pub fn decode(rlp: &[u8]) -> Result<Self, Refused> {
        let refuse = |e: alloy_rlp::Error| Refused::Rlp(e.to_string());
        let mut rest = rlp;
        let block = Rlp::<Envelope>::decode_sealed(&mut rest).map_err(refuse)?;
        if !rest.is_empty() {
            return Err(Refused::Rlp(format!("{} bytes behind it", rest.len())));
        }
        let (block, hash) = block.into_parts();
        Ok(Self {
            hash,
            header: block.header,
            txs: block.body.transactions,
            ommers: block.body.ommers,
            withdrawals: block.body.withdrawals.map(|list| list.0),
            bytes: rlp.len(),
        })
    }
}

/// A block that was accepted.
#[derive(Clone, Debug)]
struct Node {
    header: Header,
    ommers: Vec<B256>,
    /// The accounts after it.
    alloc: Alloc,
    /// The difficulty of it and all before it.
    total: U256,
}

/// Blocks by hash, from a first one on.
#[derive(Clone, Debug)]
pub struct Chain {
    network: String,
    chain_id: u64,
    nodes: BTreeMap<B256, Node>,
    head: B256,
}

impl Chain {
    /// A chain of the first block alone, whose accounts are `alloc`. `network` is a name that [`Fork::at`] knows.
    pub fn new(network: &str, chain_id: u64, genesis: Block, alloc: Alloc) -> Result<Self, Refused> {
        if Fork::at(network, 0, 0).is_none() {
            return Err(Refused::Header(format!("network {network} is not known")));
        }
        differs("state root", &state_root(&alloc), &genesis.header.state_root)?;
        let node = Node {
            total: genesis.header.difficulty,
            header: genesis.header,
            ommers: Vec::new(),
            alloc,
        };
        Ok(Self {
            network: network.to_owned(),
            chain_id,
            nodes: BTreeMap::from([(genesis.hash, node)]),
            head: genesis.hash,
        })
    }
    /// The hash of the last block of the heaviest branch.
    pub fn head(&self) -> B256 {
        self.head
    }
    /// The accounts after the [head](Chain::head).
    pub fn alloc(&self) -> &Alloc {
        &self.nodes[&self.head].alloc
    }

    /// What to run for `block`, if its header and its ommers may follow its parent.
    pub fn input(&self, block: &Block) -> Result<Input, Refused> {
        let header = &block.header;
        let Some(parent) = self.nodes.get(&header.parent_hash) else {
            return Err(Refused::Header(format!(
                "parent {} is not known",
                header.parent_hash
            )));
        };
        header::check(&self.network, header, &parent.header).map_err(Refused::Header)?;
        let Some(fork) = Fork::at(&self.network, header.number, header.timestamp) else {
            return Err(Refused::Header(format!("network {} is not known", self.network)));
        };
        body(block, &fork)?;
        self.ommers(block)?;
        Ok(Input {
            alloc: parent.alloc.clone(),
            env: self.environment(block, &parent.header, &fork),
            txs: block.txs.iter().cloned().map(Decoded::Ok).collect(),
            fork: self.network.clone(),
            chain_id: self.chain_id,
            reward: reward(&fork),
            hooks: true,
        })
    }

    fn environment(&self, block: &Block, parent: &Header, fork: &Fork) -> BlockEnv {
        let header = &block.header;
        let hashes = self.ancestors(header.parent_hash).take(HASHES_MAX);
        let paid = |ommer: &Header| Ommer {
            delta: header.number.saturating_sub(ommer.number),
            address: ommer.beneficiary,
        };
        BlockEnv {
            block_hashes: Some(
                hashes
                    .map(|(hash, n)| (n.header.number.to_string(), hash))
                    .collect(),
            ),
            ommers: Some(block.ommers.iter().map(paid).collect()),
            withdrawals: block.withdrawals.clone(),
            ..header::environment(header, parent, fork)
        }
    }

    /// Adds `block`, whose [input](Chain::input) came to `output`, if that is what its header says.
    pub fn push(&mut self, block: &Block, output: Output) -> Result<(), Refused> {
        compare(&block.header, &output.result)?;
        // Only blocks from Prague on have requests; without these contracts there can be none (EIP-7002, EIP-7251).
        if block.header.requests_hash.is_some() {
            for contract in [
                WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
                CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            ] {
                if output
                    .alloc
                    .0
                    .get(&contract)
                    .is_none_or(|account| account.code.is_empty())
                {
                    return Err(Refused::Header(format!("system contract {contract} has no code")));
                }
            }
        }
        let Some(parent) = self.nodes.get(&block.header.parent_hash) else {
            return Err(Refused::Header(format!(
                "parent {} is not known",
                block.header.parent_hash
            )));
        };
        let node = Node {
            header: block.header.clone(),
            ommers: block.ommers.iter().map(Header::hash_slow).collect(),
            alloc: output.alloc,
            total: parent.total.saturating_add(block.header.difficulty),
        };
        let head = &self.nodes[&self.head];
        // After the merge no branch is heavier: the last block told is the head.
        let leads = node.header.difficulty.is_zero()
            || node.total > head.total
            || (node.total == head.total && node.header.number < head.header.number);
        self.nodes.insert(block.hash, node);
        if leads {
            self.head = block.hash;
        }
        Ok(())
    }

    /// The block `from` and those before it, with their hashes.
    fn ancestors(&self, from: B256) -> impl Iterator<Item = (B256, &Node)> {
        let node = |hash: B256| Some((hash, self.nodes.get(&hash)?));
        std::iter::successors(node(from), move |(_, child)| node(child.header.parent_hash))
    }

    /// geth's `VerifyUncles`.
    fn ommers(&self, block: &Block) -> Result<(), Refused> {
        let refuse = |why: String| Err(Refused::Header(why));
        if block.ommers.len() > OMMERS_MAX {
            return refuse(format!(
                "{} ommers, want at most {OMMERS_MAX}",
                block.ommers.len()
            ));
        }
        let near: BTreeMap<B256, &Node> = self
            .ancestors(block.header.parent_hash)
            .take(OMMER_DEPTH_MAX)
            .collect();
        let mut seen: BTreeSet<B256> = near.values().flat_map(|n| n.ommers.iter().copied()).collect();
        for ommer in &block.ommers {
            let hash = ommer.hash_slow();
            if !seen.insert(hash) || near.contains_key(&hash) {
                return refuse(format!("ommer {hash} is in the chain"));
            }
            let parent = near.get(&ommer.parent_hash);
            let Some(parent) = parent.filter(|_| ommer.parent_hash != block.header.parent_hash) else {
                return refuse(format!(
                    "ommer {hash} follows {}, which is not an ancestor",
                    ommer.parent_hash
                ));
            };
            header::check(&self.network, ommer, &parent.header)
                .map_err(|why| Refused::Header(format!("ommer {hash}: {why}")))?;
        }
        Ok(())
    }
}

/// Whether the block's parts are those its header has roots of.
fn body(block: &Block, fork: &Fork) -> Result<(), Refused> {
    if fork.has(SpecId::OSAKA) && block.bytes > BLOCK_BYTES_MAX {
        return Err(Refused::Header(format!(
            "{} bytes, want at most {BLOCK_BYTES_MAX}",
            block.bytes
        )));
    }
    let ommers = calculate_ommers_root(&block.ommers);
    differs("ommers hash", &ommers, &block.header.ommers_hash)?;
    if block.withdrawals.is_some() != block.header.withdrawals_root.is_some() {
        return Err(Refused::Header(format!(
            "a withdrawals root: {}, withdrawals: {}",
            block.header.withdrawals_root.is_some(),
            block.withdrawals.is_some()
        )));
    }
    Ok(())
}

/// Wei for who made a block; nobody is paid after the merge.
fn reward(fork: &Fork) -> Option<U256> {
    const ETHER: u64 = 1_000_000_000_000_000_000;
    let ethers = if fork.has(SpecId::MERGE) {
        return None;
    } else if fork.has(SpecId::PETERSBURG) {
        2
    } else if fork.has(SpecId::BYZANTIUM) {
        3
    } else {
        5
    };
    Some(U256::from(ethers) * U256::from(ETHER))
}

fn compare(header: &Header, report: &Report) -> Result<(), Refused> {
    if let Some(rejected) = report.rejected.first() {
        return Err(Refused::Transaction {
            index: rejected.index,
            error: rejected.error.clone(),
        });
    }
    let wide = |n: u64| Number(U256::from(n));
    differs("transactions root", &report.tx_root, &header.transactions_root)?;
    differs("gas used", &report.gas_used, &wide(header.gas_used))?;
    differs("receipts root", &report.receipts_root, &header.receipts_root)?;
    differs("logs bloom", &report.logs_bloom, &header.logs_bloom)?;
    differs(
        "base fee",
        &report.current_base_fee,
        &header.base_fee_per_gas.map(wide),
    )?;
    differs(
        "withdrawals root",
        &report.withdrawals_root,
        &header.withdrawals_root,
    )?;
    differs(
        "blob gas used",
        &report.blob_gas_used,
        &header.blob_gas_used.map(wide),
    )?;
    differs("requests hash", &report.requests_hash, &header.requests_hash)?;
    differs("state root", &report.state_root, &header.state_root)
}

fn differs<T: PartialEq + std::fmt::Debug>(what: &'static str, have: &T, want: &T) -> Result<(), Refused> {
    if have == want {
        return Ok(());
    }
    Err(Refused::Outcome {
        what,
        have: format!("{have:?}"),
        want: format!("{want:?}"),
    })
}
