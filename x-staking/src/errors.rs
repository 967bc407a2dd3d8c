//! Rejections, with the SDK's codes and texts (x/staking/types/errors.go).
use module::{Error, codes};
use std::fmt::Display;

macro_rules! plain { ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {$(
    $(#[$doc])*
    pub(crate) fn $name() -> Error {
        Error::module("staking", $code, $text)
    }
)*}; }

plain! {
    no_validator = 3, "validator does not exist";
    owner_exists = 4, "validator already exist for this operator address; must use new validator operator address";
    pubkey_exists = 5, "validator already exist for this pubkey; must use new validator pubkey";
    commission_negative = 9, "commission must be positive";
    commission_huge = 10, "commission cannot be more than 100%";
    commission_above_max = 11, "commission cannot be more than the max rate";
    commission_too_soon = 12, "commission cannot be changed more than once in 24h";
    change_rate_negative = 13, "commission change rate must be positive";
    change_rate_above_max = 14, "commission change rate cannot be more than the max rate";
    commission_jump = 15, "commission cannot be changed more than max change rate";
    below_min_self = 16, "validator's self delegation must be greater than their minimum self delegation";
    min_self_decreased = 17, "minimum self delegation cannot be decrease";
    no_delegation = 19, "no delegation for (address, validator) tuple";
    no_delegator = 21, "delegator does not contain delegation";
    insufficient_shares = 22, "insufficient delegation shares";
    max_unbonding_entries = 27, "too many unbonding delegation entries for (delegator, validator) tuple";
    self_redelegation = 29, "cannot redelegate to the same validator";
    tiny_redelegation = 30, "too few tokens to redelegate (truncates to zero tokens)";
    bad_target = 31, "redelegation destination validator not found";
    transitive = 32, "redelegation to this validator already in progress; first redelegation to this validator must complete before next redelegation";
    max_redelegation_entries = 33, "too many redelegation entries for (delegator, src-validator, dst-validator) tuple";
    bad_rate = 34, "cannot delegate to validators with invalid (zero) ex-rate";
    no_pubkey = 39, "empty validator public key";
}

/// `sdk`/18: `{what}: invalid request`.
pub(crate) fn request(what: impl Display) -> Error {
    Error::sdk(codes::INVALID_REQUEST, format!("{what}: invalid request"))
}
/// `sdk`/7: `{what}: invalid address`.
pub(crate) fn address(what: impl Display) -> Error {
    Error::sdk(codes::INVALID_ADDRESS, format!("{what}: invalid address"))
}
/// `sdk`/38: `{what}: not found`.
pub(crate) fn not_found(what: impl Display) -> Error {
    Error::sdk(38, format!("{what}: not found"))
}
/// A coin that is not the one that is bonded.
pub(crate) fn denom(have: &str, want: &str) -> Error {
    request(format_args!(
        "invalid coin denomination: got {have}, expected {want}"
    ))
}
/// A sum beyond 256 bits (the SDK panics there).
pub(crate) fn overflow() -> Error {
    Error::sdk(
        codes::LOGIC,
        "share arithmetic out of range: internal logic error",
    )
}
/// A genesis section that cannot be used.
pub(crate) fn genesis(what: impl Display) -> Error {
    Error::module("staking", 1, format!("genesis: {what}"))
}
