//! A validator's record and its share arithmetic (x/staking/types/validator.go).
use crate::num::{dec, fits, int, proto_time, raw, time};
use crate::{errors, keys};
use cosmrs::proto::{Any, cosmos::crypto::ed25519, cosmos::staking::v1beta1 as proto};
use module::Result;
use prost::Message as _;
use sha2::{Digest, Sha256};
use state::{Key, StateError, StateRead, StateScan, StateWrite, Value};
use types::{Address, ChainConfig, Dec, Timestamp, U256, bech32_encode};

pub use cosmrs::proto::cosmos::staking::v1beta1::Description;

/// The only key type validators may have: CometBFT's default.
pub const ED25519_URL: &str = "/cosmos.crypto.ed25519.PubKey";

/// Whether a validator's stake secures the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Outside the set; its stake is in the not-bonded pool.
    Unbonded,
    /// Left the set; its stake can still be punished.
    Unbonding,
    /// In the set.
    Bonded,
}

impl Status {
    /// The SDK's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unbonded => "BOND_STATUS_UNBONDED",
            Self::Unbonding => "BOND_STATUS_UNBONDING",
            Self::Bonded => "BOND_STATUS_BONDED",
        }
    }
    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Unbonded, Self::Unbonding, Self::Bonded]
            .into_iter()
            .find(|s| s.name() == name)
    }
    fn number(self) -> i32 {
        match self {
            Self::Unbonded => 1,
            Self::Unbonding => 2,
            Self::Bonded => 3,
        }
    }
}

/// What a validator keeps of its delegators' rewards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commission {
    /// Its share.
    pub rate: Dec,
    /// The most it may ever be.
    pub max_rate: Dec,
    /// The most it may rise in a day.
    pub max_change_rate: Dec,
    /// When it last changed.
    pub update_time: Timestamp,
}

/// A validator's record.
#[derive(Clone, Debug, PartialEq)]
pub struct Validator {
    /// Who runs it; the account of the same bytes holds its self-delegation.
    pub operator: Address,
    /// Ed25519 key it signs blocks with.
    pub pubkey: [u8; 32],
    /// Kept out of the set.
    pub jailed: bool,
    /// In or out of the set.
    pub status: Status,
    /// Stake, in base units.
    pub tokens: U256,
    /// Claims on it.
    pub shares: Dec,
    /// Self-description.
    pub description: Description,
    /// Height at which it began to unbond.
    pub unbonding_height: i64,
    /// When it will have unbonded.
    pub unbonding_time: Timestamp,
    /// Its commission.
    pub commission: Commission,
    /// Least self-delegation, in base units.
    pub min_self_delegation: U256,
    /// Others that hold up its unbonding.
    pub on_hold: i64,
    /// Ids of its unbondings.
    pub unbonding_ids: Vec<u64>,
}

/// A consensus key's address: sha256, cut to 20 bytes.
pub fn consensus_address(pubkey: &[u8; 32]) -> Address {
    Address::from_slice(&Sha256::digest(pubkey)[..20])
}

impl Validator {
    /// A validator without stake.
    pub fn new(operator: Address, pubkey: [u8; 32], description: Description) -> Self {
        Self {
            operator,
            pubkey,
            jailed: false,
            status: Status::Unbonded,
            tokens: U256::ZERO,
            shares: Dec::ZERO,
            description,
            unbonding_height: 0,
            unbonding_time: Timestamp::default(),
            commission: Commission::default(),
            min_self_delegation: U256::from(1),
            on_hold: 0,
            unbonding_ids: Vec::new(),
        }
    }
    /// Its address in CometBFT.
    pub fn consensus(&self) -> Address {
        consensus_address(&self.pubkey)
    }
    /// In the set.
    pub fn is_bonded(&self) -> bool {
        self.status == Status::Bonded
    }
    /// Power if it were bonded: whole units of stake, cut to what CometBFT can count.
    pub fn potential_power(&self, config: &ChainConfig) -> u64 {
        let power = self.tokens / config.power_reduction();
        u64::try_from(power).unwrap_or(u64::MAX).min(MAX_TOTAL_POWER)
    }
    /// Whether no share can be priced any more: all stake was slashed away.
    pub fn bad_rate(&self) -> bool {
        self.tokens.is_zero() && !self.shares.is_zero()
    }
    /// What `shares` are worth, rounded half to even; `None` without any shares.
    pub fn tokens_from_shares(&self, shares: Dec) -> Result<Dec> {
        if self.shares.is_zero() {
            return Ok(Dec::ZERO);
        }
        fits(shares.mul_int(self.tokens).and_then(|v| v.quo(self.shares)))
    }
    /// The shares that `tokens` buy, rounded down.
    pub fn shares_from_tokens(&self, tokens: U256) -> Result<Dec> {
        if self.tokens.is_zero() {
            return Err(errors::insufficient_shares());
        }
        fits(self.shares.mul_int(tokens).and_then(|v| v.quo_int(self.tokens)))
    }
    /// Takes in `tokens` and issues shares for them.
    pub fn add_tokens(&mut self, tokens: U256) -> Result<Dec> {
        // The first delegation sets the exchange rate to one.
        let issued = if self.shares.is_zero() {
            fits(Dec::from_int(tokens))?
        } else {
            self.shares_from_tokens(tokens)?
        };
        self.tokens = fits(self.tokens.checked_add(tokens))?;
        self.shares = fits(self.shares.checked_add(issued))?;
        Ok(issued)
    }
    /// Takes `shares` back and gives out what they are worth. The last shares get what rounding left behind.
    pub fn remove_shares(&mut self, shares: Dec) -> Result<U256> {
        let left = self
            .shares
            .checked_sub(shares)
            .ok_or_else(errors::insufficient_shares)?;
        let tokens = if left.is_zero() {
            self.tokens
        } else {
            self.tokens_from_shares(shares)?.truncate()
        };
        self.tokens = fits(self.tokens.checked_sub(tokens))?;
        self.shares = left;
        Ok(tokens)
    }

    /// The record as clients and the store see it.
    pub fn to_proto(&self, config: &ChainConfig) -> proto::Validator {
        let c = &self.commission;
        proto::Validator {
            operator_address: operator_text(config, &self.operator),
            consensus_pubkey: Some(pubkey_any(&self.pubkey)),
            jailed: self.jailed,
            status: self.status.number(),
            tokens: self.tokens.to_string(),
            delegator_shares: raw(self.shares),
            description: Some(self.description.clone()),
            unbonding_height: self.unbonding_height,
            unbonding_time: Some(proto_time(self.unbonding_time)),
            commission: Some(proto::Commission {
                commission_rates: Some(proto::CommissionRates {
                    rate: raw(c.rate),
                    max_rate: raw(c.max_rate),
                    max_change_rate: raw(c.max_change_rate),
                }),
                update_time: Some(proto_time(c.update_time)),
            }),
            min_self_delegation: self.min_self_delegation.to_string(),
            unbonding_on_hold_ref_count: self.on_hold,
            unbonding_ids: self.unbonding_ids.clone(),
        }
    }
    /// Reads a record whose operator the key names.
    pub(crate) fn from_proto(operator: Address, v: proto::Validator) -> Option<Self> {
        let c = v.commission?;
        let rates = c.commission_rates?;
        Some(Self {
            operator,
            pubkey: read_pubkey(v.consensus_pubkey.as_ref()?).ok()?,
            jailed: v.jailed,
            status: match v.status {
                1 => Status::Unbonded,
                2 => Status::Unbonding,
                3 => Status::Bonded,
                _ => return None,
            },
            tokens: int(&v.tokens)?,
            shares: dec(&v.delegator_shares)?,
            description: v.description?,
            unbonding_height: v.unbonding_height,
            unbonding_time: time(v.unbonding_time.as_ref())?,
            commission: Commission {
                rate: dec(&rates.rate)?,
                max_rate: dec(&rates.max_rate)?,
                max_change_rate: dec(&rates.max_change_rate)?,
                update_time: time(c.update_time.as_ref())?,
            },
            min_self_delegation: int(&v.min_self_delegation)?,
            on_hold: v.unbonding_on_hold_ref_count,
            unbonding_ids: v.unbonding_ids,
        })
    }
}

/// The most power all validators together may have: CometBFT panics beyond (`MaxTotalVotingPower`, MaxInt64 / 8).
pub const MAX_TOTAL_POWER: u64 = i64::MAX as u64 / 8;

/// An operator address in the chain's spelling.
pub fn operator_text(config: &ChainConfig, operator: &Address) -> String {
    bech32_encode(&config.valoper_prefix(), operator.as_slice())
}

/// A consensus key as protobuf `Any`.
pub fn pubkey_any(pubkey: &[u8; 32]) -> Any {
    Any {
        type_url: ED25519_URL.into(),
        value: ed25519::PubKey { key: pubkey.to_vec() }.encode_to_vec(),
    }
}

/// The consensus key in an `Any`, or the type that is not supported.
pub(crate) fn read_pubkey(any: &Any) -> Result<[u8; 32], String> {
    if any.type_url != ED25519_URL {
        return Err(any.type_url.clone());
    }
    let key = ed25519::PubKey::decode(any.value.as_slice()).map_err(|e| e.to_string())?;
    let bytes = <[u8; 32]>::try_from(key.key).map_err(|k| format!("ed25519 key of {} bytes", k.len()))?;
    // One key, one spelling: its bytes are stored and hashed.
    if pubkey_any(&bytes).value == any.value {
        Ok(bytes)
    } else {
        Err("ed25519 key with unknown fields".into())
    }
}

/// Reads a validator.
pub fn validator(state: &dyn StateRead, operator: &Address) -> Result<Option<Validator>, StateError> {
    let key = keys::validator(operator);
    let Some(value) = state.get(&key)? else {
        return Ok(None);
    };
    decode(&key, &value).map(Some)
}

fn decode(key: &Key, value: &Value) -> Result<Validator, StateError> {
    let corrupt = |why: String| StateError::Corrupt {
        key: key.clone(),
        why,
    };
    let operator = Address::try_from(key.bytes().get(2..).unwrap_or(&[]))
        .map_err(|_| corrupt("validator key without an address".into()))?;
    let v = proto::Validator::decode(value.as_ref()).map_err(|e| corrupt(e.to_string()))?;
    Validator::from_proto(operator, v).ok_or_else(|| corrupt("validator with malformed fields".into()))
}

/// Stores a validator's record; its power index is brought up to date at end block, see [`crate::index`].
pub(crate) fn put_validator(state: &mut dyn StateWrite, config: &ChainConfig, v: &Validator) {
    state.put(
        keys::validator(&v.operator),
        v.to_proto(config).encode_to_vec().into(),
    );
}

/// All validators, by ascending operator.
pub fn validators(state: &dyn StateScan) -> Result<Vec<Validator>, StateError> {
    crate::scan(state, &keys::validators(), decode)
}

/// Reads one validator out of a scan of [`keys::validators`].
pub(crate) fn decode_entry(key: &Key, value: &Value) -> Result<Validator, StateError> {
    decode(key, value)
}

/// The operator whose validator signs blocks as `consensus`.
pub fn validator_by_cons_addr(
    state: &dyn StateRead,
    consensus: &Address,
) -> Result<Option<Address>, StateError> {
    let key = keys::by_consensus(consensus);
    let Some(value) = state.get(&key)? else {
        return Ok(None);
    };
    Address::try_from(value.as_ref())
        .map(Some)
        .map_err(|_| StateError::Corrupt {
            key,
            why: "operator is not 20 bytes".into(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(tokens: u64, shares: &str) -> Validator {
        let mut v = Validator::new(Address::repeat_byte(1), [7; 32], Description::default());
        v.tokens = U256::from(tokens);
        v.shares = shares.parse().unwrap();
        v
    }

    #[test]
    fn a_record_reads_back_as_written() {
        let config = ChainConfig::braid();
        let mut v = with(90, "100.5");
        v.unbonding_ids = vec![1, 300];
        let mut state = state::Overlay::new(&state::EmptyState);
        put_validator(&mut state, &config, &v);
        assert_eq!(validator(&state, &v.operator).unwrap().unwrap(), v);
        // Go encodes embedded messages also where they are empty: description, unbonding time, update time.
        let bytes = state.get(&keys::validator(&v.operator)).unwrap().unwrap();
        assert!(bytes.windows(2).any(|w| w == [0x3a, 0]) && bytes.windows(2).any(|w| w == [0x4a, 0]));
    }

    #[test]
    fn shares_follow_an_odd_exchange_rate() {
        let mut v = with(0, "0");
        assert_eq!(
            v.add_tokens(U256::from(3)).unwrap().to_string(),
            "3.000000000000000000"
        );
        // Slashed by a third: 3 shares for 2 tokens.
        v.tokens = U256::from(2);
        assert_eq!(
            v.add_tokens(U256::from(1)).unwrap().to_string(),
            "1.500000000000000000"
        );
        v.tokens = U256::from(7);
        assert_eq!(
            v.shares_from_tokens(U256::from(1)).unwrap().to_string(),
            "0.642857142857142857"
        );
        assert_eq!(v.remove_shares("1.5".parse().unwrap()).unwrap(), U256::from(2));
        assert_eq!(
            (v.tokens, v.shares.to_string().as_str()),
            (U256::from(5), "3.000000000000000000")
        );
        // The last shares take what rounding left.
        assert_eq!(v.remove_shares("3".parse().unwrap()).unwrap(), U256::from(5));
        assert!(v.remove_shares(Dec::ONE).is_err());
    }

    #[test]
    fn arithmetic_out_of_range_is_a_rejection() {
        let mut v = with(1, "1");
        assert!(matches!(
            v.add_tokens(U256::MAX),
            Err(module::Error::Rejected { code: 35, .. })
        ));
        assert!(matches!(
            with(0, "1").shares_from_tokens(U256::from(1)),
            Err(module::Error::Rejected { code: 22, .. })
        ));
        v.tokens = U256::MAX;
        assert_eq!(v.potential_power(&ChainConfig::braid()), MAX_TOTAL_POWER);
    }

    #[test]
    fn only_ed25519_keys_are_read() {
        assert_eq!(read_pubkey(&pubkey_any(&[5; 32])), Ok([5; 32]));
        let mut any = pubkey_any(&[5; 32]);
        any.value.extend([0x18, 1]);
        assert!(read_pubkey(&any).is_err());
        any = Any {
            type_url: "/cosmos.crypto.secp256k1.PubKey".into(),
            value: vec![],
        };
        assert_eq!(read_pubkey(&any), Err("/cosmos.crypto.secp256k1.PubKey".into()));
        any = Any {
            type_url: ED25519_URL.into(),
            value: vec![],
        };
        assert!(read_pubkey(&any).is_err());
    }
}
