//! revm's `Database` over the recorded view: the one place where the EVM meets the chain's state.
use crate::env::{Env, Hashes};
use crate::keys;
use revm::Database;
use revm::bytecode::Bytecode;
use revm::database_interface::DBErrorMarker;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{KECCAK_EMPTY, StorageKey, StorageValue};
use revm::state::AccountInfo;
use state::{StateError, StateScan};
use std::collections::BTreeMap;
use types::{Address, B256, U256};

/// A state error on its way out through revm, unchanged.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Failed(#[from] pub(crate) StateError);

impl DBErrorMarker for Failed {}

/// Analysed code by its hash. A pure function of the hash, so it may outlive a transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct CodeCache(BTreeMap<B256, Bytecode>);

impl CodeCache {
    /// 24 KiB at most each, most far smaller: a few megabytes a worker.
    const MOST: usize = 512;

    fn get(&mut self, state: &dyn StateScan, hash: B256) -> Result<Bytecode, StateError> {
        if let Some(code) = self.0.get(&hash) {
            return Ok(code.clone());
        }
        let bytes = keys::code(state, &hash)?;
        let code = Bytecode::new_raw_checked(bytes.into()).map_err(|e| StateError::Corrupt {
            key: keys::code_key(&hash),
            why: e.to_string(),
        })?;
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        self.0.insert(hash, code.clone());
        Ok(code)
    }
}

/// State as accounts, code and slots.
pub(crate) struct View<'a> {
    pub(crate) state: &'a dyn StateScan,
    pub(crate) env: &'a Env,
    pub(crate) codes: CodeCache,
    /// The recipient of a plain payment: nothing can observe its balance, so it is not read, and paid by an add.
    pub(crate) payee: Option<Address>,
}

impl Database for View<'_> {
    type Error = Failed;

    /// An account is three cells: sequence (auth), balance (bank), code hash. It exists where one of them is not zero
    /// (chain.md rule 24).
    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Failed> {
        if self.payee == Some(address) {
            return Ok(Some(AccountInfo::default()));
        }
        let balance = x_bank::balance(self.state, &address, &self.env.config.base_denom)?;
        let nonce = x_auth::sequence(self.state, &address)?;
        let code_hash = keys::code_hash(self.state, &address)?;
        let empty = balance.is_zero() && nonce == 0 && code_hash == KECCAK_EMPTY;
        if empty {
            let marked = !self.env.spec().is_enabled_in(SpecId::SPURIOUS_DRAGON)
                && self
                    .state
                    .get(&keys::empty_key(&address))
                    .map_err(Failed)?
                    .is_some();
            return Ok(marked.then(AccountInfo::default));
        }
        let code = (code_hash == KECCAK_EMPTY).then(Bytecode::default);
        Ok(Some(AccountInfo {
            balance,
            nonce,
            code_hash,
            code,
            account_id: None,
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Failed> {
        Ok(self.codes.get(self.state, code_hash)?)
    }

    fn storage(&mut self, address: Address, slot: StorageKey) -> Result<StorageValue, Failed> {
        let epoch = if self.env.spec().is_enabled_in(SpecId::CANCUN) {
            0
        } else {
            keys::epoch(self.state, &address)?
        };
        Ok(keys::slot(self.state, &address, &slot, epoch)?)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Failed> {
        match &self.env.hashes {
            Hashes::Map(map) => Ok(map.get(&number).copied().unwrap_or(B256::ZERO)),
            Hashes::History => {
                let slot = U256::from(number % alloy_eips::eip2935::HISTORY_SERVE_WINDOW as u64);
                let word = self.storage(alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS, slot)?;
                Ok(word.into())
            }
        }
    }
}
