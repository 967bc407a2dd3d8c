//! What an Ethereum transaction is expected to touch. A hint: it orders work and never decides a result.
use crate::env::Env;
use crate::keys;
use crate::tx::EvmTx;
use alloy_consensus::Transaction as _;
use revm::handler::EthPrecompiles;
use state::{Access, StateRead};
use types::{Address, U256};

/// The keys `tx` is expected to touch, by its bytes and, where given, by the code at block start. An answer without
/// `state` is never complete.
pub fn access(tx: &EvmTx, env: &Env, state: Option<&dyn StateRead>) -> Access {
    let denom = &env.config.base_denom;
    let balance = |who: &Address| x_bank::balance_key(who, denom);
    let mut access = Access {
        writes: vec![x_auth::account_key(&tx.sender), balance(&tx.sender)],
        reads: vec![keys::code_hash_key(&tx.sender)],
        ..Access::default()
    };
    match tx.to() {
        None => {
            let made = tx.sender.create(tx.nonce());
            access.writes.extend([
                x_auth::account_key(&made),
                keys::code_hash_key(&made),
                balance(&made),
            ]);
        }
        Some(to) => {
            access.reads.push(keys::code_hash_key(&to));
            // A read that fails here fails again, and counts, where the transaction runs.
            let code = state.map(|s| s.get(&keys::code_hash_key(&to)));
            let plain = matches!(code, Some(Ok(None))) && !EthPrecompiles::new(env.spec()).contains(&to);
            access.complete = plain && tx.tx_type() != 4 && !tx.value().is_zero() && to != tx.sender;
            if access.complete {
                access.adds.push(balance(&to));
            } else if to != tx.sender {
                let reads = [x_auth::account_key(&to), balance(&to)];
                if tx.value().is_zero() {
                    access.reads.extend(reads);
                } else {
                    access.writes.extend(reads);
                }
            }
        }
    }
    for item in tx.envelope.access_list().into_iter().flat_map(|list| list.iter()) {
        for slot in &item.storage_keys {
            access
                .writes
                .push(keys::slot_key(&item.address, &U256::from_be_bytes(slot.0), 0));
        }
    }
    for authorization in tx.envelope.authorization_list().into_iter().flatten() {
        if let Ok(authority) = authorization.recover_authority() {
            access
                .writes
                .extend([x_auth::account_key(&authority), keys::code_hash_key(&authority)]);
        }
    }
    access
}
