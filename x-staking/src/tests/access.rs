//! What messages declare, and that messages of different people do not meet.
use super::harness::*;
use crate::keys;
use module::{Message, Module};
use state::{Access, Key};
use std::collections::BTreeSet;

fn decoded(chain: &Chain, (url, bytes): &Msg) -> Box<dyn Message> {
    chain.staking.decode(url, bytes).unwrap().unwrap()
}
fn access(chain: &Chain, msg: &Msg) -> Access {
    decoded(chain, msg).access(&chain.block, &chain.state)
}

#[test]
fn every_message_touches_only_what_it_declared() {
    // The harness compares each message's reads and writes with its declaration.
    let mut chain = Chain::new(&[10, 10, 10]);
    let one = units(1);
    chain.good(
        1,
        &[
            create(11, units(5)),
            delegate(12, 1, one),
            delegate(13, 2, one),
            edit(1, "new", "", ""),
        ],
    );
    chain.good(
        1,
        &[
            undelegate(12, 1, one),
            redelegate(13, 2, 3, one),
            undelegate(1, 1, one),
        ],
    );
    let height = i64::try_from(chain.block.height).unwrap();
    chain.good(1, &[cancel(12, 1, one, height)]);
    // The last undelegation from a validator that has unbonded also removes it.
    chain.good(1, &[undelegate(11, 11, units(5))]);
    chain.good(UNBONDING_S, &[]);
    for msg in [
        delegate(12, 1, one),
        undelegate(12, 1, one),
        redelegate(13, 2, 3, one),
        create(14, one),
    ] {
        assert!(access(&chain, &msg).complete, "{}", msg.0);
    }
}

#[test]
fn a_refused_message_was_declared_as_well() {
    let mut chain = Chain::new(&[10, 10]);
    assert_eq!(chain.refused(delegate(12, 9, units(1))), ("staking", 3));
    assert_eq!(chain.refused(undelegate(12, 1, units(1))), ("staking", 19));
    assert_eq!(chain.refused(delegate(12, 1, units(2000))), ("sdk", 5));
}

#[test]
fn different_delegators_and_validators_do_not_meet() {
    let mut chain = Chain::new(&[10; 8]);
    let one = units(1);
    chain.good(
        1,
        &[
            delegate(13, 3, one),
            delegate(14, 4, one),
            delegate(16, 6, one),
            delegate(17, 7, one),
        ],
    );
    chain.good(1, &[undelegate(17, 7, one)]);
    let height = i64::try_from(chain.block.height).unwrap();
    let messages = [
        delegate(11, 1, one),
        delegate(12, 2, one),
        undelegate(13, 3, one),
        undelegate(14, 4, one),
        redelegate(16, 6, 5, one),
        cancel(17, 7, one, height),
        create(18, one),
        edit(8, "m", "", ""),
    ];
    let mut read: BTreeSet<Key> = BTreeSet::new();
    let mut written: BTreeSet<Key> = BTreeSet::new();
    for msg in &messages {
        let a = access(&chain, msg);
        for key in &a.writes {
            assert!(
                !read.contains(key),
                "{} writes {key:?}, which another reads",
                msg.0
            );
            assert!(
                written.insert(key.clone()),
                "{} writes {key:?}, as another does",
                msg.0
            );
        }
        for key in a.reads.iter().filter(|k| **k != keys::params()) {
            assert!(
                !written.contains(key),
                "{} reads {key:?}, which another writes",
                msg.0
            );
        }
        for pool in &a.adds {
            assert!(
                !a.reads.contains(pool) && !a.writes.contains(pool),
                "pools are only added to"
            );
        }
        read.extend(a.reads);
    }
    assert!(!written.contains(&keys::params()));
    // And they do what they say, all in one block.
    chain.good(1, &messages);
}

#[test]
fn gas_depends_on_the_message_alone() {
    let chain = Chain::new(&[10]);
    let gas = |m: &Msg| decoded(&chain, m).gas();
    assert_eq!(gas(&delegate(11, 1, units(1))), gas(&delegate(12, 9, units(999))));
    assert!(gas(&create(11, units(1))) > gas(&edit(1, "", "", "")));
}
