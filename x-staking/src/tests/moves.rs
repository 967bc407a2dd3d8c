//! Unbonding, redelegating, cancelling.
use super::harness::*;
use crate::{Status, keys};
use state::StateRead as _;
use types::U256;

#[test]
fn coins_are_paid_out_when_the_time_is_over_and_not_before() {
    let mut chain = Chain::new(&[10]);
    chain.good(1, &[delegate(11, 1, units(5))]);
    let done = chain.good(1, &[undelegate(11, 1, units(2))]);
    assert_eq!(done.updates[0].power, 13);
    let begun = chain.block.time;
    let (response, events) = done.results[0].as_ref().unwrap();
    assert_eq!(response.type_url, "/cosmos.staking.v1beta1.MsgUndelegateResponse");
    let kinds: Vec<_> = events.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["coin_spent", "coin_received", "transfer", "message", "unbond"]
    );
    let completion = begun.plus_seconds(UNBONDING_S);
    assert_eq!(
        attribute(events, "unbond", "completion_time"),
        crate::msg::rfc3339_seconds(completion)
    );
    let entry = chain.unbonding(11, 1)[0];
    assert_eq!((entry.id, entry.height, entry.completion), (1, 2, completion));
    assert_eq!(
        chain.state.get(&keys::unbonding_type(1)).unwrap().unwrap()[..],
        [0, 0, 0, 0, 0, 0, 0, 1]
    );

    chain.good(UNBONDING_S - 1, &[]);
    assert_eq!(chain.balance(&user(11)), units(995));
    let done = chain.good(1, &[]);
    assert_eq!(chain.balance(&user(11)), units(997));
    assert_eq!(
        attribute(&done.events, "complete_unbonding", "amount"),
        format!("{}abraid", units(2))
    );
    assert!(chain.keys(0x41).is_empty() && chain.keys(0x32).is_empty() && chain.keys(0x38).is_empty());
}

#[test]
fn unbondings_of_one_block_merge_and_each_uses_an_id() {
    let mut chain = Chain::new(&[10, 10]);
    chain.good(1, &[delegate(11, 1, units(5)), delegate(12, 2, units(5))]);
    let one = units(1);
    chain.good(
        1,
        &[
            undelegate(11, 1, one),
            undelegate(11, 1, one),
            undelegate(12, 2, one),
        ],
    );
    let entries = chain.unbonding(11, 1);
    assert_eq!(
        (entries.len(), entries[0].balance, entries[0].id),
        (1, units(2), 1)
    );
    assert_eq!(chain.unbonding(12, 2)[0].id, 3);
    assert_eq!(chain.state.get(&keys::unbonding_id()).unwrap().unwrap()[7], 3);
    let done = chain.good(UNBONDING_S, &[]);
    let paid: Vec<_> = done
        .events
        .iter()
        .filter(|e| e.kind == "complete_unbonding")
        .collect();
    // One a queue entry; the second of a merged pair finds nothing left, where the record is gone there is none.
    assert_eq!(paid.len(), 2);
    assert_eq!(chain.balance(&user(11)), units(997));
}

#[test]
fn there_is_a_limit_to_unbondings_in_progress() {
    let mut chain = Chain::new(&[10]);
    chain.good(1, &[delegate(11, 1, units(5))]);
    for _ in 0..3 {
        chain.good(1, &[undelegate(11, 1, units(1))]);
    }
    assert_eq!(chain.refused(undelegate(11, 1, units(1))), ("staking", 27));
    chain.good(UNBONDING_S, &[]);
    chain.good(1, &[undelegate(11, 1, units(1))]);
}

#[test]
fn an_unbonding_can_be_cancelled_even_in_its_own_block() {
    let mut chain = Chain::new(&[10]);
    chain.good(1, &[delegate(11, 1, units(5))]);
    let height = i64::try_from(chain.block.height).unwrap() + 1;
    let done = chain.good(
        1,
        &[
            undelegate(11, 1, units(2)),
            cancel(11, 1, units(2), height),
            undelegate(11, 1, units(1)),
        ],
    );
    assert_eq!(done.updates[0].power, 14);
    // The first id went with the entry that was cancelled.
    assert_eq!(chain.unbonding(11, 1)[0].id, 2);
    let done = chain.good(1, &[cancel(11, 1, units(1) - U256::from(1), height)]);
    let (_, events) = done.results[0].as_ref().unwrap();
    assert_eq!(
        attribute(events, "cancel_unbonding_delegation", "creation_height"),
        height.to_string()
    );
    assert_eq!(chain.unbonding(11, 1)[0].balance, U256::from(1));
    assert_eq!(chain.refused(cancel(11, 1, U256::from(2), height)), ("sdk", 18));
    assert_eq!(
        chain.refused(cancel(11, 1, U256::from(1), height + 1)),
        ("sdk", 38)
    );
    chain.good(UNBONDING_S, &[]);
    assert_eq!(chain.balance(&user(11)), units(995) + U256::from(1));
}

#[test]
fn a_redelegation_moves_power_at_once_and_cannot_hop_on() {
    let mut chain = Chain::new(&[10, 20, 30]);
    chain.good(1, &[delegate(11, 1, units(5))]);
    let done = chain.good(1, &[redelegate(11, 1, 2, units(5))]);
    let powers: Vec<_> = done.updates.iter().map(|u| (u.pub_key[0], u.power)).collect();
    assert_eq!(powers, [(2, 25), (1, 10)]);
    assert_eq!(
        crate::delegation(&chain.state, &user(11), &user(1)).unwrap(),
        None
    );
    let red = crate::redelegation(&chain.state, &user(11), &user(1), &user(2))
        .unwrap()
        .unwrap();
    assert_eq!((red.entries[0].id, red.entries[0].initial), (1, units(5)));
    assert_eq!(chain.refused(redelegate(11, 2, 3, units(1))), ("staking", 32));
    assert_eq!(chain.refused(redelegate(11, 2, 2, units(1))), ("staking", 29));
    assert_eq!(chain.refused(redelegate(11, 3, 2, units(1))), ("sdk", 38));
    assert_eq!(chain.refused(redelegate(11, 2, 9, units(1))), ("staking", 3));
    let done = chain.good(UNBONDING_S, &[]);
    assert_eq!(
        attribute(&done.events, "complete_redelegation", "destination_validator"),
        val(&user(2))
    );
    assert!(
        [0x34, 0x35, 0x36, 0x38, 0x42]
            .iter()
            .all(|p| chain.keys(*p).is_empty())
    );
    chain.good(1, &[redelegate(11, 2, 3, units(1))]);
}

#[test]
fn a_redelegation_from_a_validator_out_of_the_set_moves_coins_between_pools() {
    let mut chain = Chain::new(&[10, 20]);
    chain.good(1, &[create(11, units(5)), delegate(12, 11, units(3))]);
    chain.good(1, &[undelegate(11, 11, units(5))]);
    let v = chain.validator(11);
    assert!(v.jailed && v.status == Status::Unbonding);
    chain.good(1, &[redelegate(12, 11, 1, units(1))]);
    let red = crate::redelegation(&chain.state, &user(12), &user(11), &user(1))
        .unwrap()
        .unwrap();
    assert_eq!(
        (red.entries[0].height, red.entries[0].completion),
        (v.unbonding_height, v.unbonding_time)
    );
    // Once it has unbonded nothing has to be waited for.
    chain.good(UNBONDING_S, &[]);
    let done = chain.good(1, &[redelegate(12, 11, 1, units(1))]);
    let (_, events) = done.results[0].as_ref().unwrap();
    assert_eq!(
        attribute(events, "redelegate", "completion_time"),
        "0001-01-01T00:00:00Z"
    );
    assert!(chain.keys(0x34).is_empty());
    // With the last shares the validator goes too, and as in the SDK the move then counts as from a bonded one.
    chain.good(1, &[redelegate(12, 11, 1, units(1))]);
    assert_eq!(crate::validator(&chain.state, &user(11)).unwrap(), None);
    assert_eq!(chain.keys(0x34).len(), 1);
}
