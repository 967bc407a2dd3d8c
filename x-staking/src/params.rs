//! The module's parameters.
use crate::keys;
use crate::num::{Span, dec, raw};
use cosmrs::proto::{cosmos::staking::v1beta1 as proto, tendermint::google::protobuf::Duration};
use prost::Message as _;
use state::{StateError, StateRead, StateWrite};
use types::Dec;

/// Staking's parameters, from genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// From undelegating to being paid out.
    pub unbonding_time: Span,
    /// Size of the set.
    pub max_validators: u32,
    /// Unbondings (and redelegations) in progress per delegator and validator.
    pub max_entries: u32,
    /// Past blocks to keep [`crate::keys::historical`] of.
    pub historical_entries: u32,
    /// What is bonded.
    pub bond_denom: String,
    /// Least commission.
    pub min_commission_rate: Dec,
}

impl Params {
    /// The SDK's defaults, for `denom`.
    pub fn new(denom: &str) -> Self {
        Self {
            unbonding_time: Span {
                seconds: 1_814_400,
                nanos: 0,
            },
            max_validators: 100,
            max_entries: 7,
            historical_entries: 10_000,
            bond_denom: denom.into(),
            min_commission_rate: Dec::ZERO,
        }
    }
    /// Refuses parameters the chain could not run on, naming the value (SDK `Params.Validate`).
    pub fn check(&self) -> Result<(), String> {
        if self.unbonding_time <= Span::default() {
            return Err(format!(
                "unbonding time must be positive: {}s",
                self.unbonding_time.seconds
            ));
        }
        if self.unbonding_time.seconds > MAX_UNBONDING_S {
            return Err(format!(
                "unbonding time {}s: want at most {MAX_UNBONDING_S}s",
                self.unbonding_time.seconds
            ));
        }
        if self.max_validators == 0 || self.max_validators > MAX_VALIDATORS {
            return Err(format!(
                "max validators {}: want 1 to {MAX_VALIDATORS}",
                self.max_validators
            ));
        }
        if self.max_entries == 0 || self.max_entries > MAX_ENTRIES {
            return Err(format!(
                "max entries {}: want 1 to {MAX_ENTRIES}",
                self.max_entries
            ));
        }
        types::validate_denom(&self.bond_denom).map_err(|e| e.to_string())?;
        if self.min_commission_rate > Dec::ONE {
            return Err(format!(
                "minimum commission rate cannot be greater than 100%: {}",
                self.min_commission_rate
            ));
        }
        Ok(())
    }
    /// As clients and the store see them.
    pub fn to_proto(&self) -> proto::Params {
        let nanos = i32::try_from(self.unbonding_time.nanos).expect("below 10^9");
        proto::Params {
            unbonding_time: Some(Duration {
                seconds: self.unbonding_time.seconds,
                nanos,
            }),
            max_validators: self.max_validators,
            max_entries: self.max_entries,
            historical_entries: self.historical_entries,
            bond_denom: self.bond_denom.clone(),
            min_commission_rate: raw(self.min_commission_rate),
        }
    }
    fn from_proto(p: proto::Params) -> Option<Self> {
        let span = p.unbonding_time?;
        Some(Self {
            unbonding_time: Span {
                seconds: span.seconds,
                nanos: u32::try_from(span.nanos).ok()?,
            },
            max_validators: p.max_validators,
            max_entries: p.max_entries,
            historical_entries: p.historical_entries,
            bond_denom: p.bond_denom,
            min_commission_rate: dec(&p.min_commission_rate)?,
        })
    }
}

/// CometBFT's own bound on a validator set (`MaxVotesCount`).
pub const MAX_VALIDATORS: u32 = 10_000;
/// A hundred years: queue keys have room for four digits of a year.
pub const MAX_UNBONDING_S: i64 = 3_155_760_000;
/// Bounds the length of one unbonding record, which is rewritten as a whole.
pub const MAX_ENTRIES: u32 = 1_000;

/// Reads the parameters, which genesis wrote.
pub fn params(state: &dyn StateRead) -> Result<Params, StateError> {
    let key = keys::params();
    let value = state.get(&key)?;
    let read = value.and_then(|v| Params::from_proto(proto::Params::decode(v.as_ref()).ok()?));
    read.ok_or_else(|| StateError::Corrupt {
        key,
        why: "no staking parameters: genesis has not run".into(),
    })
}

/// Stores the parameters.
pub(crate) fn put_params(state: &mut dyn StateWrite, params: &Params) {
    state.put(keys::params(), params.to_proto().encode_to_vec().into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_read_back_and_are_checked() {
        let good = Params {
            min_commission_rate: "0.05".parse().unwrap(),
            ..Params::new("abraid")
        };
        let mut state = state::Overlay::new(&state::EmptyState);
        assert!(params(&state).is_err());
        put_params(&mut state, &good);
        assert_eq!(params(&state).unwrap(), good);
        assert_eq!(good.check(), Ok(()));
        let zero_time = Params {
            unbonding_time: Span::default(),
            ..good.clone()
        };
        assert!(zero_time.check().unwrap_err().contains("0s"));
        let long = Span {
            seconds: MAX_UNBONDING_S + 1,
            nanos: 0,
        };
        assert!(
            Params {
                unbonding_time: long,
                ..good.clone()
            }
            .check()
            .is_err()
        );
        assert!(
            Params {
                max_validators: 0,
                ..good.clone()
            }
            .check()
            .is_err()
        );
        assert!(
            Params {
                max_entries: 0,
                ..good.clone()
            }
            .check()
            .is_err()
        );
        assert!(
            Params {
                bond_denom: "!".into(),
                ..good.clone()
            }
            .check()
            .is_err()
        );
        assert!(
            Params {
                min_commission_rate: "1.1".parse().unwrap(),
                ..good
            }
            .check()
            .is_err()
        );
    }
}
