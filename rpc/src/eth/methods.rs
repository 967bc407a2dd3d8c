//! The table of methods: name, parameters, what it costs, what answers it.
use super::args::Args;
use super::ctx::Ctx;
use super::error::RpcResult;
use super::{blocks, call, fees, logs, node, parallelism, state};
use serde_json::Value;

/// Where a method runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// At once: it reads memory only.
    Nothing,
    /// It reads the disk.
    Read,
    /// It runs the EVM.
    Simulate,
}

/// A method.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// Parameters that any chain answers without an error.
    pub(crate) example: &'static str,
    /// Parameters at most.
    pub(crate) args: usize,
    pub(crate) cost: Cost,
    pub(crate) run: fn(&Ctx, &Args) -> RpcResult<Value>,
}

const fn m(
    name: &'static str,
    args: usize,
    cost: Cost,
    run: fn(&Ctx, &Args) -> RpcResult<Value>,
    example: &'static str,
) -> Method {
    Method {
        name,
        example,
        args,
        cost,
        run,
    }
}

/// `eth_sendRawTransaction`, which waits for the mempool and so is not in the table.
pub(crate) const SEND: &str = "eth_sendRawTransaction";

const ZERO32: &str = r#"["0x0000000000000000000000000000000000000000000000000000000000000000"]"#;
const ACCOUNT: &str = r#"["0x00000000000000000000000000000000000000aa","latest"]"#;

pub(crate) const TABLE: &[Method] = &[
    m("web3_clientVersion", 0, Cost::Nothing, node::client_version, "[]"),
    m("web3_sha3", 1, Cost::Nothing, node::sha3, r#"["0x68656c6c6f"]"#),
    m("net_version", 0, Cost::Nothing, node::net_version, "[]"),
    m("net_listening", 0, Cost::Nothing, node::net_listening, "[]"),
    m("net_peerCount", 0, Cost::Nothing, node::net_peer_count, "[]"),
    m("eth_chainId", 0, Cost::Nothing, node::chain_id, "[]"),
    m("eth_blockNumber", 0, Cost::Nothing, node::block_number, "[]"),
    m("eth_accounts", 0, Cost::Nothing, node::accounts, "[]"),
    m("eth_syncing", 0, Cost::Nothing, node::syncing, "[]"),
    m("eth_gasPrice", 0, Cost::Read, fees::gas_price, "[]"),
    m(
        "eth_maxPriorityFeePerGas",
        0,
        Cost::Read,
        fees::max_priority_fee,
        "[]",
    ),
    m(
        "eth_feeHistory",
        3,
        Cost::Read,
        fees::fee_history,
        r#"["0x5","latest",[10,20,30]]"#,
    ),
    m("eth_getBalance", 2, Cost::Read, state::balance, ACCOUNT),
    m("eth_getTransactionCount", 2, Cost::Read, state::tx_count, ACCOUNT),
    m("eth_getCode", 2, Cost::Read, state::code, ACCOUNT),
    m(
        "eth_getStorageAt",
        3,
        Cost::Read,
        state::storage,
        r#"["0x00000000000000000000000000000000000000aa","0x0","latest"]"#,
    ),
    m(
        "eth_call",
        4,
        Cost::Simulate,
        call::call,
        r#"[{"to":"0x00000000000000000000000000000000000000aa","data":"0x"},"latest"]"#,
    ),
    m(
        "eth_estimateGas",
        4,
        Cost::Simulate,
        call::estimate_gas,
        r#"[{"to":"0x00000000000000000000000000000000000000aa","data":"0x"}]"#,
    ),
    m(
        "eth_getBlockByNumber",
        2,
        Cost::Read,
        blocks::block_by_number,
        r#"["latest",true]"#,
    ),
    m("eth_getBlockByHash", 2, Cost::Read, blocks::block_by_hash, ZERO32),
    m(
        "eth_getBlockReceipts",
        1,
        Cost::Read,
        blocks::block_receipts,
        r#"["latest"]"#,
    ),
    m(
        "eth_getBlockTransactionCountByNumber",
        1,
        Cost::Read,
        blocks::tx_count_by_number,
        r#"["latest"]"#,
    ),
    m(
        "eth_getBlockTransactionCountByHash",
        1,
        Cost::Read,
        blocks::tx_count_by_hash,
        ZERO32,
    ),
    m(
        "eth_getUncleCountByBlockNumber",
        1,
        Cost::Read,
        blocks::uncle_count_by_number,
        r#"["latest"]"#,
    ),
    m(
        "eth_getUncleCountByBlockHash",
        1,
        Cost::Read,
        blocks::uncle_count_by_hash,
        ZERO32,
    ),
    m(
        "eth_getTransactionByBlockNumberAndIndex",
        2,
        Cost::Read,
        blocks::tx_by_number_and_index,
        r#"["latest","0x0"]"#,
    ),
    m(
        "eth_getTransactionByBlockHashAndIndex",
        2,
        Cost::Read,
        blocks::tx_by_hash_and_index,
        r#"["0x0000000000000000000000000000000000000000000000000000000000000000","0x0"]"#,
    ),
    m(
        "eth_getTransactionByHash",
        1,
        Cost::Read,
        blocks::tx_by_hash,
        ZERO32,
    ),
    m(
        "eth_getTransactionReceipt",
        1,
        Cost::Read,
        blocks::tx_receipt,
        ZERO32,
    ),
    m(
        "eth_getLogs",
        1,
        Cost::Read,
        logs::logs,
        r#"[{"fromBlock":"earliest","toBlock":"latest"}]"#,
    ),
    m(
        "braid_blockParallelism",
        2,
        Cost::Simulate,
        parallelism::block_parallelism,
        r#"["latest",4]"#,
    ),
];
