//! What other modules do when stake moves: distribution pays out, slashing keeps records (SDK `StakingHooks`).
use module::{Result, TxContext};
use state::{Access, StateRead};
use std::fmt::Debug;
use types::{Address, Dec};

/// Called by staking at the places where the SDK calls its hooks. All do nothing unless overridden. A hook's error
/// rejects the message; hooks called at block ends must not fail on what transactions can cause.
pub trait StakingHooks: Debug + Send + Sync + 'static {
    /// What the hooks of one delegation touch, beside what staking touches itself.
    fn access(&self, _delegator: &Address, _operator: &Address, _state: &dyn StateRead) -> Access {
        Access {
            complete: true,
            ..Access::default()
        }
    }
    /// A validator was made.
    fn after_validator_created(&self, _ctx: &mut TxContext<'_>, _operator: &Address) -> Result<()> {
        Ok(())
    }
    /// A validator's commission is about to change.
    fn before_validator_modified(&self, _ctx: &mut TxContext<'_>, _operator: &Address) -> Result<()> {
        Ok(())
    }
    /// A validator without delegations is gone.
    fn after_validator_removed(
        &self,
        _ctx: &mut TxContext<'_>,
        _consensus: &Address,
        _operator: &Address,
    ) -> Result<()> {
        Ok(())
    }
    /// A validator joined the set.
    fn after_validator_bonded(
        &self,
        _ctx: &mut TxContext<'_>,
        _consensus: &Address,
        _operator: &Address,
    ) -> Result<()> {
        Ok(())
    }
    /// A validator left the set.
    fn after_validator_begin_unbonding(
        &self,
        _ctx: &mut TxContext<'_>,
        _consensus: &Address,
        _operator: &Address,
    ) -> Result<()> {
        Ok(())
    }
    /// A first delegation is about to be made.
    fn before_delegation_created(
        &self,
        _ctx: &mut TxContext<'_>,
        _delegator: &Address,
        _operator: &Address,
    ) -> Result<()> {
        Ok(())
    }
    /// A delegation's shares are about to change.
    fn before_shares_modified(
        &self,
        _ctx: &mut TxContext<'_>,
        _delegator: &Address,
        _operator: &Address,
    ) -> Result<()> {
        Ok(())
    }
    /// A delegation is about to go.
    fn before_delegation_removed(
        &self,
        _ctx: &mut TxContext<'_>,
        _delegator: &Address,
        _operator: &Address,
    ) -> Result<()> {
        Ok(())
    }
    /// A delegation's shares have changed.
    fn after_delegation_modified(
        &self,
        _ctx: &mut TxContext<'_>,
        _delegator: &Address,
        _operator: &Address,
    ) -> Result<()> {
        Ok(())
    }
    /// A validator is about to lose `fraction` of its tokens.
    fn before_validator_slashed(
        &self,
        _ctx: &mut TxContext<'_>,
        _operator: &Address,
        _fraction: Dec,
    ) -> Result<()> {
        Ok(())
    }
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl StakingHooks for NoHooks {}
