//! Genesis: taken, refused, exported and taken again.
use super::harness::*;
use crate::{GenesisValidator, NoHooks, Staking, Status, bonded_validators};
use module::{BlockContext, Error, GenesisContext};
use state::{MemoryState, Overlay, apply_deferrals, merge};
use std::sync::Arc;
use types::{Coin, Timestamp, U256};

fn empty() -> Chain {
    Chain {
        state: MemoryState::default(),
        staking: Staking::new(Arc::new(NoHooks)),
        block: BlockContext::plain(config(), "braid-test-1", 1, Timestamp::default()),
    }
}

fn refusal(section: &serde_json::Value, pool: U256) -> String {
    let mut chain = empty();
    chain.surgery(|ctx| {
        x_bank::mint(
            ctx.state,
            &crate::pool(Status::Bonded),
            &Coin::new(pool, "abraid"),
        );
    });
    match chain.init(section) {
        Err(Error::Rejected { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_validators_of_a_new_chain_are_bonded_and_reported() {
    let validators = [3, 1, 2].map(|n| GenesisValidator::new(user(n), "v", [n; 32], units(u64::from(n))));
    let stake = bonded_validators(&validators, &config()).unwrap();
    assert_eq!(
        stake.balances,
        [(crate::pool(Status::Bonded), Coin::new(units(6), "abraid"))]
    );
    let mut chain = empty();
    chain.surgery(|ctx| x_bank::mint(ctx.state, &stake.balances[0].0, &stake.balances[0].1));
    let updates = chain.init(&stake.section).unwrap();
    let powers: Vec<_> = updates.iter().map(|u| (u.pub_key[0], u.power)).collect();
    assert_eq!(powers, [(3, 3), (2, 2), (1, 1)]);
    assert_eq!(chain.good(1, &[]).updates, []);
}

#[test]
fn validators_that_could_not_start_are_named() {
    let good = GenesisValidator::new(user(1), "v", [1; 32], units(1));
    let poor = GenesisValidator {
        tokens: U256::from(5),
        ..good.clone()
    };
    assert!(
        bonded_validators(&[poor], &config())
            .unwrap_err()
            .contains("stake 5")
    );
    let greedy = GenesisValidator {
        rate: types::Dec::ONE,
        ..good.clone()
    };
    assert!(
        bonded_validators(&[greedy], &config())
            .unwrap_err()
            .contains("commission 1.0")
    );
    let twice = bonded_validators(
        &[
            good.clone(),
            GenesisValidator {
                operator: user(2),
                ..good
            },
        ],
        &config(),
    )
    .unwrap();
    assert!(refusal(&twice.section, units(2)).contains("duplicate"));
}

#[test]
fn a_section_that_does_not_add_up_is_refused() {
    let good = bonded_validators(
        &[GenesisValidator::new(user(1), "v", [1; 32], units(1))],
        &config(),
    )
    .unwrap();
    assert!(refusal(&good.section, units(2)).contains("bonded_tokens_pool holds 2"));
    let change = |path: &str, to: serde_json::Value| {
        let mut section = good.section.clone();
        *section.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = to;
        refusal(&section, units(1))
    };
    assert!(change("/delegations/0/shares", "1.000000000000000000".into()).contains("its delegations 1.0"));
    assert!(change("/params/max_validators", 0.into()).contains("max validators 0"));
    assert!(change("/params/unbonding_time", "soon".into()).contains("soon"));
    assert!(change("/validators/0/status", "BONDED".into()).contains("BONDED"));
    assert!(change("/validators/0/operator_address", "braid1x".into()).contains("braid1x"));
    assert!(change("/validators/0/tokens", "-1".into()).contains("-1"));
    assert!(change("/validators/0/consensus_pubkey/key", "AAAA".into()).contains("3 bytes"));
    let mut section = good.section.clone();
    section["surprise"] = true.into();
    assert!(refusal(&section, units(1)).contains("surprise"));
}

#[test]
fn an_exported_chain_goes_on_where_it_stood() {
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
    let exported = chain.export();
    let mut next = Chain {
        state: MemoryState::default(),
        ..empty()
    };
    next.block.height = chain.block.height;
    next.block.time = chain.block.time;
    let bank = chain.state.0.iter().filter(|(k, _)| k.store() == x_bank::STORE);
    next.state.0 = bank.map(|(k, v)| (k.clone(), v.clone())).collect();
    let updates = next.init(&exported).unwrap();
    assert_eq!(updates.len(), 3, "validator 1 is jailed");
    assert_eq!(next.export(), exported);
    // Both go on alike: what is due is paid, and new ids follow the old ones.
    let (a, b) = (chain.good(UNBONDING_S, &[]), next.good(UNBONDING_S, &[]));
    // (The queue was rebuilt in the order of its records, so the order of payments is another.)
    let payments = |done: Done| {
        let mut events = done.events;
        events.sort_by_key(|e| format!("{e:?}"));
        events
    };
    assert_eq!(a.updates, b.updates);
    assert_eq!(payments(a), payments(b));
    let delegated = [delegate(14, 2, units(1)), undelegate(14, 2, units(1))];
    chain.good(1, &delegated);
    next.good(1, &delegated);
    assert_eq!(chain.unbonding(14, 2), next.unbonding(14, 2));
    assert_eq!(next.export(), chain.export());
}

#[test]
fn genesis_transactions_make_the_first_set() {
    let mut chain = empty();
    chain.surgery(|ctx| x_bank::mint(ctx.state, &user(11), &Coin::new(units(9), "abraid")));
    assert_eq!(chain.init(&serde_json::Value::Null).unwrap(), []);
    let (url, bytes) = create(11, units(9));
    let msg = module::Module::decode(&chain.staking, url, &bytes)
        .unwrap()
        .unwrap();
    chain.surgery(|ctx| drop(msg.execute(ctx).unwrap()));
    let mut updates = Vec::new();
    let mut overlay = Overlay::new(&chain.state);
    let mut ctx = GenesisContext {
        block: &chain.block,
        state: &mut overlay,
        validators: &[],
        validator_updates: &mut updates,
    };
    chain.staking.finish_gen_txs(&mut ctx).unwrap();
    let buffered = overlay.finish().unwrap();
    let mut writes = state::WriteSet::new();
    for (key, op) in buffered.writes {
        merge(&mut writes, key, op).unwrap();
    }
    apply_deferrals(&chain.state, &mut writes, buffered.deferred).unwrap();
    chain.commit(writes);
    assert_eq!((updates.len(), updates[0].power), (1, 9));
    assert_eq!(chain.good(1, &[]).updates, []);
}
