//! One record an account: public key, number, sequence. The EVM's nonce is the sequence kept here.
use cosmrs::proto::{
    Any,
    cosmos::auth::v1beta1::{BaseAccount, ModuleAccount},
};
use module::Result;
use prost::Message as _;
use sha2::{Digest, Sha256};
use state::{Key, StateError, StateRead, StateWrite, StoreId, Value};
use types::{Address, ChainConfig, bech32_address};

/// The auth module's store, by the SDK's name.
pub const STORE: StoreId = StoreId::new("acc");

/// An account as stored (SDK auth store, prefix 0x01).
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Whose it is.
    pub address: Address,
    /// Public key as a protobuf `Any`, once a native transaction has shown it.
    pub pub_key: Option<Any>,
    /// Given out when the block that made the account is folded (chain.md rule 5); 0 until then.
    pub number: u64,
    /// Transactions sent: the EVM's nonce.
    pub sequence: u64,
    /// Name and permissions, for a module's account.
    pub module: Option<(String, Vec<String>)>,
}

impl Account {
    /// A fresh account without a number.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            pub_key: None,
            number: 0,
            sequence: 0,
            module: None,
        }
    }
    fn base(&self, config: &ChainConfig) -> BaseAccount {
        BaseAccount {
            address: bech32_address(&config.bech32_prefix, &self.address),
            pub_key: self.pub_key.clone(),
            account_number: self.number,
            sequence: self.sequence,
        }
    }
    /// The record as clients and the store see it: `BaseAccount` or `ModuleAccount` in an `Any`.
    pub fn to_any(&self, config: &ChainConfig) -> Any {
        match &self.module {
            None => Any {
                type_url: "/cosmos.auth.v1beta1.BaseAccount".into(),
                value: self.base(config).encode_to_vec(),
            },
            Some((name, permissions)) => Any {
                type_url: "/cosmos.auth.v1beta1.ModuleAccount".into(),
                value: ModuleAccount {
                    base_account: Some(self.base(config)),
                    name: name.clone(),
                    permissions: permissions.clone(),
                }
                .encode_to_vec(),
            },
        }
    }
}

/// Where the account of `address` is kept: 0x01 | address.
pub fn account_key(address: &Address) -> Key {
    Key::new(STORE, &[&[1], address.as_slice()])
}

/// The prefix of all account records.
pub fn account_prefix() -> state::KeyRange {
    state::KeyRange::prefix(STORE, &[1])
}

/// Reads the account of `address`.
pub fn account(state: &dyn StateRead, address: &Address) -> Result<Option<Account>, StateError> {
    let key = account_key(address);
    let Some(value) = state.get(&key)? else {
        return Ok(None);
    };
    decode(address, &value)
        .map(Some)
        .map_err(|e| StateError::Corrupt {
            key,
            why: e.to_string(),
        })
}

fn decode(address: &Address, value: &[u8]) -> Result<Account, prost::DecodeError> {
    let any = Any::decode(value)?;
    let (base, module) = match any.type_url.as_str() {
        "/cosmos.auth.v1beta1.BaseAccount" => (BaseAccount::decode(any.value.as_slice())?, None),
        "/cosmos.auth.v1beta1.ModuleAccount" => {
            let m = ModuleAccount::decode(any.value.as_slice())?;
            let base = m
                .base_account
                .ok_or_else(|| prost::DecodeError::new("module account without base"))?;
            (base, Some((m.name, m.permissions)))
        }
        other => return Err(prost::DecodeError::new(format!("account type {other}"))),
    };
    Ok(Account {
        address: *address,
        pub_key: base.pub_key,
        number: base.account_number,
        sequence: base.sequence,
        module,
    })
}

/// Stores an account.
pub fn put_account(state: &mut dyn StateWrite, config: &ChainConfig, account: &Account) {
    let value = Value::from(account.to_any(config).encode_to_vec());
    state.put(account_key(&account.address), value);
}

/// The sequence (nonce) of `address`; zero where there is no account.
pub fn sequence(state: &dyn StateRead, address: &Address) -> Result<u64, StateError> {
    Ok(account(state, address)?.map_or(0, |a| a.sequence))
}

/// Sets the sequence, keeping the rest of the record; makes the record where there is none.
pub fn set_sequence(
    state: &mut dyn StateWrite,
    config: &ChainConfig,
    address: &Address,
    sequence: u64,
) -> Result<(), StateError> {
    let mut account = account(state.as_scan(), address)?.unwrap_or_else(|| Account::new(*address));
    account.sequence = sequence;
    put_account(state, config, &account);
    Ok(())
}

/// The address of a module's account: sha256(name), cut to 20 bytes (SDK `NewModuleAddress`).
pub fn module_address(name: &str) -> Address {
    Address::from_slice(&Sha256::digest(name.as_bytes())[..20])
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::{EmptyState, Overlay};

    #[test]
    fn module_addresses_are_the_sdks() {
        let cosmos = |name| bech32_address("cosmos", &module_address(name));
        assert_eq!(
            cosmos("fee_collector"),
            "cosmos17xpfvakm2amg962yls6f84z3kell8c5lserqta"
        );
        assert_eq!(
            cosmos("bonded_tokens_pool"),
            "cosmos1fl48vsnmsdzcv85q5d2q4z5ajdha8yu34mf0eh"
        );
    }

    #[test]
    fn setting_a_sequence_keeps_the_record() {
        let config = ChainConfig::braid();
        let a = Address::repeat_byte(7);
        let mut state = Overlay::new(&EmptyState);
        put_account(
            &mut state,
            &config,
            &Account {
                number: 9,
                ..Account::new(a)
            },
        );
        set_sequence(&mut state, &config, &a, 3).unwrap();
        let read = account(&state, &a).unwrap().unwrap();
        assert_eq!((read.number, read.sequence), (9, 3));
        assert_eq!(sequence(&state, &Address::ZERO), Ok(0));
    }
}
