//! A small chain in memory, keys, and code by hand.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_primitives::{Signature, TxKind};
use k256::ecdsa::SigningKey;
use module::{BlockContext, GenesisContext, Module};
use state::{
    Deferral, Key, KeyRange, MemoryState, Overlay, StateRead, StateScan, StateWrite, Value, WriteSet,
    apply_deferrals, resolve,
};
use std::sync::Arc;
use types::{Address, B256, ChainConfig, Timestamp, U256, keccak256};
use x_evm::{Env, Envelope, Evm, EvmTx, Executed, Included, Invalid, Outcome};

pub const GWEI: u64 = 1_000_000_000;
pub const ETHER: u64 = 1_000_000_000_000_000_000;

pub fn key(n: u8) -> SigningKey {
    SigningKey::from_slice(&[n; 32]).unwrap()
}
pub fn who(n: u8) -> Address {
    Address::from_public_key(key(n).verifying_key())
}
pub fn sign<T: SignableTransaction<Signature>>(tx: T, signer: u8) -> EvmTx
where
    Envelope: From<alloy_consensus::Signed<T>>,
{
    let signature = signature(&tx.signature_hash(), signer);
    EvmTx::new(Envelope::from(tx.into_signed(signature)), who(signer))
}
pub fn signature(hash: &B256, signer: u8) -> Signature {
    let (signature, recovery) = key(signer).sign_prehash_recoverable(hash.as_slice()).unwrap();
    let (r, s) = signature.split_bytes();
    Signature::new(
        U256::from_be_slice(&r),
        U256::from_be_slice(&s),
        recovery.is_y_odd(),
    )
}

pub fn transfer(nonce: u64, to: Address, value: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: 8118,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: u128::from(3 * GWEI),
        max_priority_fee_per_gas: u128::from(GWEI),
        to: TxKind::Call(to),
        value: U256::from(value),
        ..TxEip1559::default()
    }
}
pub fn calls(nonce: u64, to: Address, value: u64, data: Vec<u8>) -> TxEip1559 {
    TxEip1559 {
        gas_limit: 300_000,
        input: data.into(),
        ..transfer(nonce, to, value)
    }
}
pub fn creates(nonce: u64, value: u64, init: Vec<u8>) -> TxEip1559 {
    TxEip1559 {
        to: TxKind::Create,
        ..calls(nonce, Address::ZERO, value, init)
    }
}
pub fn legacy(nonce: u64, to: Address, value: u64) -> TxLegacy {
    TxLegacy {
        chain_id: Some(8118),
        nonce,
        gas_price: u128::from(2 * GWEI),
        gas_limit: 21_000,
        to: TxKind::Call(to),
        value: U256::from(value),
        ..TxLegacy::default()
    }
}
/// An address as a word.
pub fn word(who: Address) -> Vec<u8> {
    who.into_word().to_vec()
}
/// Init code that deploys `runtime`.
pub fn deploys(runtime: &[u8]) -> Vec<u8> {
    let len = u8::try_from(runtime.len()).unwrap();
    // PUSH1 len, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN
    let mut init = vec![0x60, len, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3];
    init.extend_from_slice(runtime);
    init
}

pub const REVERTS: [u8; 3] = [0x5f, 0x5f, 0xfd];
pub const LOOPS: [u8; 3] = [0x5b, 0x5f, 0x56];
/// Calls the address in its input with the value it got, and stores in slot 0 whether that went well.
pub const FORWARDS: [u8; 12] = [
    0x5f, 0x5f, 0x5f, 0x5f, 0x34, 0x5f, 0x35, 0x5a, 0xf1, 0x5f, 0x55, 0x00,
];
/// As [`FORWARDS`], then reverts.
pub const FORWARDS_AND_REVERTS: [u8; 12] = [
    0x5f, 0x5f, 0x5f, 0x5f, 0x34, 0x5f, 0x35, 0x5a, 0xf1, 0x5f, 0x5f, 0xfd,
];
/// Destroys itself for the address in its input.
pub const DIES: [u8; 3] = [0x5f, 0x35, 0xff];

/// State, and the block on top of it.
pub struct Chain {
    pub state: MemoryState,
    pub block: BlockContext,
    pub evm: Evm,
}

impl Chain {
    /// Accounts 1 to 9 have 100 each; `fee_collector` and 0xb1… are blocked.
    pub fn new() -> Self {
        let config = Arc::new(ChainConfig::braid());
        let block = BlockContext::plain(
            config,
            "braid-local-1",
            5,
            Timestamp {
                seconds: 1_800_000_000,
                nanos: 0,
            },
        );
        let evm = Evm::new([collector(), blocked()]);
        let mut chain = Self {
            state: MemoryState::default(),
            block,
            evm,
        };
        chain.edit(|state, block, evm| {
            let mut updates = Vec::new();
            let mut ctx = GenesisContext {
                block,
                state,
                validators: &[],
                validator_updates: &mut updates,
            };
            evm.init_genesis(&serde_json::Value::Null, &mut ctx).unwrap();
            for n in 1..10 {
                let coin = types::Coin::new(U256::from(100) * U256::from(ETHER), "abraid");
                x_bank::mint(state, &who(n), &coin);
            }
        });
        chain
    }
    pub fn edit(&mut self, edit: impl FnOnce(&mut Overlay<'_>, &BlockContext, &Evm)) {
        let mut overlay = Overlay::new(&self.state);
        edit(&mut overlay, &self.block, &self.evm);
        let writes = overlay.settle().unwrap();
        self.apply(writes, Vec::new());
    }
    pub fn apply(&mut self, mut writes: WriteSet, deferred: Vec<Deferral>) {
        apply_deferrals(&self.state, &mut writes, deferred).unwrap();
        for (key, op) in writes {
            match resolve(&key, self.state.0.get(&key).cloned(), &op).unwrap() {
                Some(value) => self.state.0.insert(key, value),
                None => self.state.0.remove(&key),
            };
        }
    }
    /// Puts `code` at `at`, with value.
    pub fn install(&mut self, at: Address, code: &[u8], value: u64) {
        let hash = keccak256(code);
        let code = Value::copy_from_slice(code);
        self.edit(|state, block, _| {
            state.put(x_evm::code_key(&hash), code);
            state.put(x_evm::code_hash_key(&at), Value::copy_from_slice(hash.as_slice()));
            x_auth::set_sequence(state, &block.config, &at, 1).unwrap();
            x_bank::mint(state, &at, &types::Coin::new(U256::from(value), "abraid"));
        });
    }
    pub fn env(&self) -> Env {
        self.evm.env(&self.block)
    }
    /// Runs without applying.
    pub fn try_run(&mut self, tx: &EvmTx) -> Executed {
        let env = self.env();
        execute(&self.state, &env, tx).unwrap()
    }
    /// Runs a transaction that must be included, applies it, and checks the books.
    pub fn run(&mut self, tx: &EvmTx) -> Included {
        let done = self.try_run(tx);
        let Outcome::Included(included) = done.outcome else {
            panic!("{:?}", done.outcome)
        };
        let before = self.balance(collector());
        self.apply(done.writes, done.deferred);
        let fee = U256::from(included.gas_used) * U256::from(included.effective_gas_price);
        assert_eq!(
            self.balance(collector()) - before,
            fee,
            "the collector gets the fee, exactly"
        );
        self.check_supply();
        *included
    }
    /// Runs a transaction that must be invalid.
    pub fn refuse(&mut self, tx: &EvmTx) -> Invalid {
        let done = self.try_run(tx);
        assert!(
            done.writes.is_empty() && done.deferred.is_empty(),
            "an invalid transaction leaves no trace"
        );
        let Outcome::Invalid(invalid) = done.outcome else {
            panic!("{:?}", done.outcome)
        };
        let checked = x_evm::check(&self.state, &self.env(), tx).unwrap();
        assert_eq!(
            checked.as_ref(),
            Err(&invalid),
            "a check without running says the same"
        );
        invalid
    }
    pub fn check_supply(&self) {
        let mut sum = U256::ZERO;
        self.state
            .scan(&KeyRange::prefix(x_bank::STORE, &[2]), &mut |key, value| {
                sum += state::decode_amount(key, Some(value)).unwrap();
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(sum, self.supply(), "balances add up to the supply");
    }
    pub fn supply(&self) -> U256 {
        x_bank::supply(&self.state, "abraid").unwrap()
    }
    pub fn balance(&self, who: Address) -> U256 {
        x_bank::balance(&self.state, &who, "abraid").unwrap()
    }
    pub fn nonce(&self, who: Address) -> u64 {
        x_auth::sequence(&self.state, &who).unwrap()
    }
    pub fn code(&self, who: Address) -> Vec<u8> {
        x_evm::code(&self.state, &x_evm::code_hash(&self.state, &who).unwrap())
            .unwrap()
            .to_vec()
    }
    pub fn slot(&self, who: Address, slot: u64) -> U256 {
        x_evm::slot(&self.state, &who, &U256::from(slot), 0).unwrap()
    }
}

pub fn collector() -> Address {
    x_auth::module_address("fee_collector")
}
pub fn blocked() -> Address {
    Address::repeat_byte(0xb1)
}

/// A view that notes what is read and can refuse the nth read.
pub struct Spy<'a> {
    pub state: &'a MemoryState,
    pub seen: std::cell::RefCell<Vec<Key>>,
    pub refuse_at: Option<usize>,
}

impl<'a> Spy<'a> {
    pub fn new(state: &'a MemoryState, refuse_at: Option<usize>) -> Self {
        Self {
            state,
            seen: std::cell::RefCell::default(),
            refuse_at,
        }
    }
}
impl StateRead for Spy<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, state::StateError> {
        let mut seen = self.seen.borrow_mut();
        if self.refuse_at == Some(seen.len()) {
            return Err(state::StateError::Blocked(7));
        }
        seen.push(key.clone());
        self.state.get(key)
    }
}
impl StateScan for Spy<'_> {
    fn scan(
        &self,
        _: &KeyRange,
        _: &mut dyn FnMut(&Key, &Value) -> state::Control,
    ) -> Result<(), state::StateError> {
        panic!("the EVM reads no ranges")
    }
}

/// Runs `tx` over any state, all changes being among the writes.
pub fn execute(state: &dyn StateScan, env: &Env, tx: &EvmTx) -> Result<Executed, state::StateError> {
    let mut done = x_evm::execute_once(state, env, tx)?;
    let changes = std::mem::take(&mut done.changes);
    done.writes = x_evm::write_set(&state, env, changes, done.writes)?;
    Ok(done)
}
