//! revm's `Database` over the recorded view: the one place where the EVM meets the chain's state.
use crate::env::{Env, Hashes};
use crate::keys;
use hashbrown::HashTable;
use parking_lot::RwLock;
use revm::Database;
use revm::bytecode::{Bytecode, JumpTable};
use revm::database_interface::DBErrorMarker;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{KECCAK_EMPTY, StorageKey, StorageValue};
use revm::state::{AccountId, AccountInfo};
use state::StateError;
use types::{Address, B256, Bytes, U256};

/// A state error on its way out through revm, unchanged.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Failed(#[from] pub(crate) StateError);

impl DBErrorMarker for Failed {}

/// Analysed code by its hash: a pure function of the hash, so it may outlive transactions and blocks, and be shared.
#[derive(Debug, Default)]
pub struct Codes(RwLock<HashTable<(B256, Bytecode)>>);

impl Codes {
    /// 24 KiB at most each, most far smaller: some hundred megabytes at worst.
    const MOST: usize = 16_384;

    fn get(&self, hash: &B256) -> Option<Bytecode> {
        let table = self.0.read();
        table
            .find(place(hash), |(h, _)| h == hash)
            .map(|(_, code)| code.clone())
    }
    /// Keeps `code`, analysed, and gives it back.
    ///
    /// # Errors
    /// Where it begins like a delegation (EIP-7702) and is none.
    pub fn keep(&self, hash: B256, code: Bytes) -> Result<Bytecode, String> {
        let code = Bytecode::new_raw_checked(code.into()).map_err(|e| e.to_string())?;
        let mut table = self.0.write();
        if table.len() >= Self::MOST {
            table.clear();
        }
        if table.find(place(&hash), |(h, _)| *h == hash).is_none() {
            table.insert_unique(place(&hash), (hash, code.clone()), |(h, _)| place(h));
        }
        Ok(code)
    }
}

/// Hashes of code are spread evenly: a part of one is as good as a hash of it.
fn place(hash: &B256) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[12..20]);
    u64::from_le_bytes(bytes)
}

/// State as accounts, code and slots.
pub(crate) struct View<'a> {
    pub(crate) view: &'a dyn executor::View,
    pub(crate) env: &'a Env,
    /// The recipient of a plain payment: nothing can observe its balance, so it is not read, and paid by an add.
    pub(crate) payee: Option<Address>,
    /// How often the storage of accounts was wiped, as far as this transaction knows. Few accounts: a list.
    pub(crate) epochs: Vec<(Address, u64)>,
    /// This machine's own copies of code: workers do not count references to the same one.
    pub(crate) own: Own,
}

/// Copies of code for one machine.
pub(crate) struct Own {
    /// With how often each was asked for.
    codes: HashTable<(B256, Bytecode, u32)>,
    /// No code.
    none: Bytecode,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            codes: HashTable::new(),
            none: nothing(),
        }
    }
}

/// No code, as `Bytecode::default` has it; that is one for all threads, which each account loaded and dropped counts.
#[allow(
    unsafe_code,
    reason = "the only way to an empty code that is not the shared one"
)]
fn nothing() -> Bytecode {
    let stop = Bytes::from_static(&[revm::bytecode::opcode::STOP]);
    // SAFETY: what revm makes of no code: a single STOP, of length 0, with no place to jump to.
    unsafe { Bytecode::new_analyzed(stop.into(), 0, JumpTable::default()) }
}

/// The same code, counted apart.
fn copy(code: &Bytecode) -> Bytecode {
    if code.is_empty() {
        return code.clone();
    }
    Bytecode::new_raw_checked(code.original_bytes()).unwrap_or_else(|_| code.clone())
}

impl View<'_> {
    /// How often the storage of `who` was wiped: never, from Cancun on.
    pub(crate) fn epoch(&mut self, who: &Address) -> Result<u64, StateError> {
        if self.env.spec().is_enabled_in(SpecId::CANCUN) {
            return Ok(0);
        }
        if let Some((_, epoch)) = self.epochs.iter().find(|(known, _)| known == who) {
            return Ok(*epoch);
        }
        let epoch = keys::epoch(&self.view, who)?;
        self.epochs.push((*who, epoch));
        Ok(epoch)
    }
    fn slot(&mut self, who: &Address, id: u32, slot: U256) -> Result<U256, StateError> {
        match self.epoch(who)? {
            0 => self.view.slot(who, id, slot),
            epoch => keys::slot(&self.view, who, &slot, epoch),
        }
    }
}

impl Database for View<'_> {
    type Error = Failed;

    /// An account is three cells: sequence (auth), balance (bank), code hash. It exists where one of them is not zero
    /// (chain.md rule 24).
    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Failed> {
        if self.payee == Some(address) {
            return Ok(Some(AccountInfo::default()));
        }
        let account = self.view.account(&address)?;
        let code_hash = if account.code_hash.is_zero() {
            KECCAK_EMPTY
        } else {
            account.code_hash
        };
        let empty = account.balance.is_zero() && account.nonce == 0 && code_hash == KECCAK_EMPTY;
        if empty {
            let marked = !self.env.spec().is_enabled_in(SpecId::SPURIOUS_DRAGON)
                && self
                    .view
                    .get(&keys::empty_key(&address))
                    .map_err(Failed)?
                    .is_some();
            return Ok(marked.then(AccountInfo::default));
        }
        let code = (code_hash == KECCAK_EMPTY).then(|| self.own.none.clone());
        Ok(Some(AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash,
            code,
            account_id: AccountId::new(account.id as usize),
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Failed> {
        /// Code that is asked for so often is copied: that takes as long as many references.
        const OFTEN: u32 = 16;
        let known = self
            .own
            .codes
            .find_mut(place(&code_hash), |(hash, ..)| *hash == code_hash);
        if let Some((_, code, asked)) = known {
            *asked = asked.saturating_add(1);
            if *asked == OFTEN {
                *code = copy(code);
            }
            return Ok(code.clone());
        }
        let shared = match self.env.codes.get(&code_hash) {
            Some(code) => code,
            None => {
                let bytes = keys::code(&self.view, &code_hash)?;
                let corrupt = |why| StateError::Corrupt {
                    key: keys::code_key(&code_hash),
                    why,
                };
                self.env.codes.keep(code_hash, bytes).map_err(corrupt)?
            }
        };
        let entry = (code_hash, shared.clone(), 0);
        self.own
            .codes
            .insert_unique(place(&code_hash), entry, |(hash, ..)| place(hash));
        Ok(shared)
    }

    fn storage(&mut self, address: Address, slot: StorageKey) -> Result<StorageValue, Failed> {
        Ok(self.slot(&address, u32::MAX, slot)?)
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        id: AccountId,
        slot: StorageKey,
    ) -> Result<StorageValue, Failed> {
        let id = u32::try_from(id.get()).unwrap_or(u32::MAX);
        Ok(self.slot(&address, id, slot)?)
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
