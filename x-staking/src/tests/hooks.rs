//! Who else hears of it.
use super::harness::*;
use crate::{Staking, StakingHooks};
use module::{Error, Result, TxContext};
use std::sync::{Arc, Mutex};
use types::Address;

/// Notes every call; refuses delegations of user 19.
#[derive(Debug, Default)]
struct Noted(Mutex<Vec<String>>);

impl Noted {
    fn note(&self, what: &str, who: &Address) -> Result<()> {
        self.0.lock().unwrap().push(format!("{what} {}", who[0]));
        if who[0] == 19 {
            Err(Error::module("test", 7, "not you"))
        } else {
            Ok(())
        }
    }
}

impl StakingHooks for Noted {
    fn after_validator_created(&self, _: &mut TxContext<'_>, operator: &Address) -> Result<()> {
        self.note("created", operator)
    }
    fn after_validator_bonded(&self, _: &mut TxContext<'_>, _: &Address, operator: &Address) -> Result<()> {
        self.note("bonded", operator)
    }
    fn after_validator_begin_unbonding(
        &self,
        _: &mut TxContext<'_>,
        _: &Address,
        operator: &Address,
    ) -> Result<()> {
        self.note("unbonding", operator)
    }
    fn after_validator_removed(&self, _: &mut TxContext<'_>, _: &Address, operator: &Address) -> Result<()> {
        self.note("removed", operator)
    }
    fn before_delegation_created(
        &self,
        _: &mut TxContext<'_>,
        delegator: &Address,
        _: &Address,
    ) -> Result<()> {
        self.note("new", delegator)
    }
    fn before_shares_modified(&self, _: &mut TxContext<'_>, delegator: &Address, _: &Address) -> Result<()> {
        self.note("before", delegator)
    }
    fn before_delegation_removed(
        &self,
        _: &mut TxContext<'_>,
        delegator: &Address,
        _: &Address,
    ) -> Result<()> {
        self.note("last", delegator)
    }
    fn after_delegation_modified(
        &self,
        _: &mut TxContext<'_>,
        delegator: &Address,
        _: &Address,
    ) -> Result<()> {
        self.note("after", delegator)
    }
}

#[test]
fn hooks_are_called_where_the_sdk_calls_them() {
    let noted = Arc::new(Noted::default());
    let mut chain = Chain::new(&[10]);
    chain.staking = Staking::new(noted.clone());
    let calls = |of: &str| {
        let calls = std::mem::take(&mut *noted.0.lock().unwrap());
        assert_eq!(calls.join(", "), of);
    };
    chain.good(1, &[create(11, units(5))]);
    calls("created 11, new 11, after 11, bonded 11");
    chain.good(1, &[delegate(12, 11, units(1)), delegate(12, 11, units(1))]);
    calls("new 12, after 12, before 12, after 12");
    chain.good(1, &[undelegate(12, 11, units(1)), undelegate(12, 11, units(1))]);
    calls("before 12, after 12, before 12, last 12");
    chain.good(1, &[undelegate(11, 11, units(5))]);
    calls("before 11, last 11, unbonding 11");
    chain.good(UNBONDING_S, &[]);
    calls("removed 11");
    // A hook's refusal is the message's.
    assert_eq!(chain.refused(delegate(19, 1, units(1))), ("test", 7));
}
