//! The validator set from block to block.
use super::harness::*;
use crate::{Params, Status, keys, validator::put_validator};
use state::StateRead as _;
use types::U256;

fn powers(done: &Done) -> Vec<(u8, i64)> {
    done.updates.iter().map(|u| (u.pub_key[0], u.power)).collect()
}

#[test]
fn a_delegation_changes_the_power() {
    let mut chain = Chain::new(&[10, 20]);
    let done = chain.good(1, &[delegate(11, 1, units(5))]);
    assert_eq!(powers(&done), [(1, 15)]);
    assert_eq!(chain.balance(&user(11)), units(995));
    let (_, events) = done.results[0].as_ref().unwrap();
    assert_eq!(
        attribute(events, "delegate", "new_shares"),
        format!("{}.000000000000000000", units(5))
    );
    assert_eq!(
        attribute(events, "delegate", "amount"),
        format!("{}abraid", units(5))
    );
    assert_eq!(attribute(events, "coin_spent", "spender"), acc(&user(11)));
    assert_eq!(
        attribute(events, "coin_received", "receiver"),
        acc(&crate::pool(Status::Bonded))
    );
    // Less than a unit of power is stake, but no news for CometBFT.
    assert_eq!(powers(&chain.good(1, &[delegate(11, 1, U256::from(1))])), []);
    assert_eq!(chain.validator(1).tokens, units(15) + U256::from(1));
    assert_eq!(powers(&chain.good(1, &[])), []);
}

#[test]
fn a_new_validator_joins_and_a_weaker_one_makes_room() {
    let params = Params {
        max_validators: 2,
        unbonding_time: crate::Span {
            seconds: UNBONDING_S,
            nanos: 0,
        },
        ..Params::new("abraid")
    };
    let mut chain = Chain::with(&[10, 20], &params);
    let done = chain.good(1, &[create(11, units(15))]);
    assert_eq!(powers(&done), [(11, 15), (1, 0)]);
    assert_eq!(chain.validator(1).status, Status::Unbonding);
    assert_eq!(
        attribute(
            &done.results[0].as_ref().unwrap().1,
            "create_validator",
            "validator"
        ),
        val(&user(11))
    );
    assert_eq!(chain.validator(11).commission.update_time, chain.block.time);
    // It comes back before it has unbonded, and its place in the queue is gone.
    let done = chain.good(1, &[delegate(12, 1, units(10))]);
    assert_eq!(powers(&done), [(1, 20), (11, 0)]);
    assert_eq!(chain.keys(0x43).len(), 1);
    // Ties go to the lower operator; equal power changes nothing.
    assert_eq!(powers(&chain.good(1, &[delegate(12, 11, units(5))])), []);
    chain.good(UNBONDING_S, &[]);
    assert_eq!(chain.validator(11).status, Status::Unbonded);
    assert!(chain.keys(0x43).is_empty());
}

#[test]
fn too_little_self_delegation_jails() {
    let mut chain = Chain::new(&[10]);
    chain.good(1, &[create(11, units(5)), delegate(12, 11, units(3))]);
    let least = U256::from(ONE);
    assert_eq!(chain.validator(11).min_self_delegation, least);
    // Down to the least is fine.
    let done = chain.good(1, &[undelegate(11, 11, units(4))]);
    assert_eq!(powers(&done), [(11, 4)]);
    let done = chain.good(1, &[undelegate(11, 11, U256::from(1))]);
    assert_eq!(powers(&done), [(11, 0)]);
    let v = chain.validator(11);
    assert!(v.jailed && v.status == Status::Unbonding);
    // Others can still leave, in the meantime and afterwards.
    chain.good(1, &[undelegate(12, 11, units(1))]);
    chain.good(UNBONDING_S, &[]);
    assert_eq!(chain.validator(11).status, Status::Unbonded);
    chain.good(
        1,
        &[
            undelegate(12, 11, units(2)),
            undelegate(11, 11, units(1) - U256::from(1)),
        ],
    );
    assert_eq!(crate::validator(&chain.state, &user(11)).unwrap(), None);
    assert_eq!(
        crate::validator_by_cons_addr(&chain.state, &crate::consensus_address(&[11; 32])).unwrap(),
        None
    );
    chain.good(UNBONDING_S, &[]);
    assert_eq!(
        (chain.balance(&user(11)), chain.balance(&user(12))),
        (units(1000), units(1000))
    );
}

#[test]
fn a_validator_without_shares_is_forgotten_once_it_has_unbonded() {
    let mut chain = Chain::new(&[10]);
    chain.good(1, &[create(11, units(5))]);
    chain.good(1, &[undelegate(11, 11, units(5))]);
    assert_eq!(chain.validator(11).status, Status::Unbonding);
    chain.good(UNBONDING_S, &[]);
    assert_eq!(crate::validator(&chain.state, &user(11)).unwrap(), None);
    assert_eq!(chain.balance(&user(11)), units(1000));
    // Its operator and key are free again.
    chain.good(1, &[create(11, units(5))]);
}

#[test]
fn the_last_validator_stays_until_another_takes_over() {
    let mut chain = Chain::new(&[10]);
    let done = chain.good(1, &[undelegate(1, 1, units(10))]);
    assert_eq!(powers(&done), [], "CometBFT would panic on an empty set");
    let v = chain.validator(1);
    assert!(v.jailed && v.is_bonded() && v.tokens.is_zero());
    chain.good(UNBONDING_S, &[]);
    let done = chain.good(1, &[create(11, units(1))]);
    assert_eq!(powers(&done), [(11, 1), (1, 0)]);
}

#[test]
fn power_beyond_what_comet_counts_is_left_out() {
    let mut chain = Chain::new(&[10, 5]);
    let most = crate::MAX_TOTAL_POWER;
    let huge = units(most) + units(7);
    chain.surgery(|ctx| x_bank::mint(ctx.state, &user(11), &types::Coin::new(huge, "abraid")));
    let done = chain.good(1, &[delegate(11, 1, huge)]);
    assert_eq!(powers(&done), [(1, i64::try_from(most).unwrap()), (2, 0)]);
}

#[test]
fn a_slashed_validator_gives_shares_at_its_own_rate() {
    let mut chain = Chain::new(&[9, 9]);
    // Lose a third: what slashing will do.
    chain.surgery(|ctx| {
        let mut v = crate::validator(ctx.state.as_scan(), &user(1)).unwrap().unwrap();
        let config = ctx.block.config.clone();
        ctx.state
            .delete(keys::by_power(v.potential_power(&config), &v.operator));
        v.tokens -= units(3);
        put_validator(ctx.state, &config, &v);
        crate::index::set(ctx.state, &config, &v);
        x_bank::burn(
            ctx.state,
            &crate::pool(Status::Bonded),
            &types::Coin::new(units(3), "abraid"),
        )
        .unwrap();
    });
    let done = chain.good(1, &[delegate(11, 1, U256::from(7))]);
    let (_, events) = done.results[0].as_ref().unwrap();
    // 7 tokens at 9 shares for 6 tokens.
    assert_eq!(
        attribute(events, "delegate", "new_shares"),
        "10.500000000000000000"
    );
    let done = chain.good(1, &[undelegate(11, 1, U256::from(7))]);
    let (_, events) = done.results[0].as_ref().unwrap();
    assert_eq!(attribute(events, "unbond", "amount"), "7abraid");
    chain.good(UNBONDING_S, &[]);
    assert_eq!(chain.balance(&user(11)), units(1000));
}

#[test]
fn the_same_blocks_give_the_same_bytes() {
    let run = || {
        let mut chain = Chain::new(&[10, 20, 30]);
        chain.good(
            1,
            &[
                create(11, units(15)),
                delegate(12, 1, units(7)),
                delegate(13, 2, units(9)),
            ],
        );
        chain.good(
            1,
            &[
                undelegate(12, 1, units(3)),
                redelegate(13, 2, 3, units(4)),
                undelegate(1, 1, units(10)),
            ],
        );
        chain.good(UNBONDING_S, &[delegate(14, 11, units(1))]);
        chain.state
    };
    assert_eq!(run(), run());
}

#[test]
fn history_is_kept_and_pruned() {
    let mut chain = Chain::new(&[10, 20]);
    for _ in 0..8 {
        chain.good(1, &[]);
    }
    let heights: Vec<_> = chain.keys(0x50).iter().map(|k| k.bytes()[8]).collect();
    assert_eq!(heights, [4, 5, 6, 7, 8]);
    let info = chain.state.get(&keys::historical(8)).unwrap().unwrap();
    let info: cosmrs::proto::cosmos::staking::v1beta1::HistoricalInfo =
        prost::Message::decode(info.as_ref()).unwrap();
    let header = info.header.unwrap();
    assert_eq!((header.chain_id.as_str(), header.height), ("braid-test-1", 8));
    let order: Vec<_> = info.valset.iter().map(|v| v.operator_address.clone()).collect();
    assert_eq!(order, [val(&user(2)), val(&user(1))]);
    chain.surgery(|ctx| {
        let params = Params {
            historical_entries: 2,
            ..crate::params(ctx.state.as_scan()).unwrap()
        };
        crate::params::put_params(ctx.state, &params);
    });
    chain.good(1, &[]);
    assert_eq!(chain.keys(0x50).len(), 2);
}
