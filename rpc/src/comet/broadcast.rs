//! Methods that hand transactions in.
use super::Comet;
use super::args::Args;
use super::error::{Error, Result};
use super::merkle::tx_hash;
use super::shapes::{hex_upper, tx_result};
use crate::SubmitError;
use app::TxResult;
use serde_json::{Value, json};
use std::time::Duration;
use types::{B256, Bytes};

/// How long `broadcast_tx_commit` waits for a block (CometBFT `timeout_broadcast_tx_commit`).
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it looks.
const COMMIT_POLL: Duration = Duration::from_millis(20);

fn refused(error: SubmitError) -> Error {
    match error {
        // CometBFT `ErrTxInCache`: clients match on it.
        SubmitError::AlreadyKnown => Error::internal("tx already exists in cache"),
        other => Error::internal(other),
    }
}

impl Comet {
    /// `broadcast_tx_sync`: answers with what `CheckTx` said.
    pub(crate) async fn broadcast_sync(&self, args: &Args) -> Result<Value> {
        let (tx, hash) = tx(args)?;
        let checked = self.node.submit(tx).await.map_err(refused)?;
        Ok(answer(&checked, &hash))
    }

    /// `broadcast_tx_async`: answers without a word of `CheckTx`.
    pub(crate) async fn broadcast_async(&self, args: &Args) -> Result<Value> {
        let (tx, hash) = tx(args)?;
        // The check is quick here: waiting for it bounds what is under way. Only the mempool's own refusals show.
        self.node.submit(tx).await.map_err(refused)?;
        Ok(answer(&TxResult::default(), &hash))
    }

    /// `broadcast_tx_commit`: waits for the block.
    pub(crate) async fn broadcast_commit(&self, args: &Args) -> Result<Value> {
        let (tx, hash) = tx(args)?;
        let checked = self.node.submit(tx).await.map_err(refused)?;
        let answer = |result: &TxResult, height: u64| {
            json!({
                "check_tx": tx_result(&checked),
                "tx_result": tx_result(result),
                "hash": hex_upper(hash),
                "height": height.to_string(),
            })
        };
        if checked.code != 0 {
            return Ok(answer(&TxResult::default(), 0));
        }
        let deadline = tokio::time::Instant::now() + COMMIT_TIMEOUT;
        loop {
            let comet = self.clone();
            let found = self
                .gate
                .run(move || comet.find(&hash))
                .await
                .map_err(Error::internal)??;
            if let Some((block, index)) = found
                && let Some(tx) = block.txs.get(index)
            {
                return Ok(answer(&tx.result, block.header.number));
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(Error::internal(
                    "timed out waiting for tx to be included in a block",
                ));
            }
            tokio::time::sleep(COMMIT_POLL).await;
        }
    }
}

fn tx(args: &Args) -> Result<(Bytes, B256)> {
    let tx = args.bytes("tx")?;
    let hash = B256::from(tx_hash(&tx));
    Ok((tx.into(), hash))
}

fn answer(checked: &TxResult, hash: &B256) -> Value {
    json!({
        "code": checked.code,
        "data": hex_upper(&checked.data),
        "log": checked.log,
        "codespace": checked.codespace,
        "hash": hex_upper(hash),
    })
}
