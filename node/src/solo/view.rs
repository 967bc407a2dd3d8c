//! The engine as the servers see it: a way into the mempool, and what CometBFT's RPC would know.
use super::engine::Solo;
use crate::NodeError;
use app::{App, TxResult, ValidatorUpdate};
use rpc::{BoxFuture, PoolView, SoloIdentity, SoloNode, SoloValidator, Submit, SubmitError};
use serde_json::Value;
use state::{CommitStore, StateScan};
use std::sync::Arc;
use types::Bytes;
use x_staking::Status;

/// The bonded validators of a state, with their powers.
pub(super) fn bonded<S: CommitStore>(
    state: &dyn StateScan,
    app: &App<S>,
) -> Result<Vec<ValidatorUpdate>, NodeError> {
    let chain = app.chain().ok_or(app::AppError::NotStarted)?;
    let all = x_staking::validators(state).map_err(app::AppError::State)?;
    let bonded = all
        .into_iter()
        .filter(|v| v.status == Status::Bonded && !v.jailed);
    let update = |v: x_staking::Validator| ValidatorUpdate {
        power: i64::try_from(v.potential_power(&chain.config)).unwrap_or(i64::MAX),
        pub_key: Bytes::copy_from_slice(&v.pubkey),
    };
    Ok(bonded.map(update).filter(|v| v.power > 0).collect())
}

/// The engine behind a type of this crate: `Submit` is the servers' trait.
pub(crate) struct SoloHandle<S: CommitStore>(pub(crate) Arc<Solo<S>>);

impl<S: CommitStore> Submit for SoloHandle<S> {
    fn submit(&self, tx: Bytes) -> BoxFuture<'_, Result<TxResult, SubmitError>> {
        let solo = self.0.clone();
        Box::pin(async move {
            // Signatures and state reads: not for async threads.
            let checked = tokio::task::spawn_blocking(move || solo.check(tx)).await;
            checked.unwrap_or_else(|e| Err(SubmitError::Unavailable(e.to_string())))
        })
    }
}

impl<S: CommitStore> SoloNode for SoloHandle<S> {
    fn identity(&self) -> SoloIdentity {
        let keys = &self.0.keys;
        SoloIdentity {
            node_id: keys.node_address().into_array(),
            moniker: self.0.moniker.clone(),
            pub_key: keys.validator_pub_key(),
        }
    }
    fn validators(&self, height: u64) -> Result<Vec<SoloValidator>, String> {
        let set = self.0.set(height).map_err(|e| e.to_string())?;
        let one = |v: ValidatorUpdate| {
            let pub_key = v
                .pub_key
                .as_ref()
                .try_into()
                .map_err(|_| "a key that is not 32 bytes".to_owned())?;
            Ok(SoloValidator {
                pub_key,
                power: v.power,
            })
        };
        set.into_values().map(one).collect()
    }
    fn pool(&self, limit: usize) -> PoolView {
        let pool = self.0.pool.lock();
        PoolView {
            count: pool.len(),
            bytes: pool.bytes() as u64,
            txs: pool.iter().take(limit).cloned().collect(),
        }
    }
    fn genesis(&self) -> Arc<Value> {
        self.0.genesis.clone()
    }
}
