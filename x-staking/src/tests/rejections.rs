//! Bad messages: each a code, none a trace.
use super::harness::*;
use module::Module as _;
use prost::Message as _;
use types::U256;

#[test]
fn bad_delegations_have_the_sdks_codes() {
    let mut chain = Chain::new(&[10, 10]);
    chain.good(1, &[delegate(11, 1, units(5))]);
    assert_eq!(chain.refused(delegate(11, 1, U256::ZERO)), ("sdk", 18));
    assert_eq!(chain.refused(delegate(11, 9, units(1))), ("staking", 3));
    assert_eq!(chain.refused(delegate(99, 1, units(1))), ("sdk", 5));
    assert_eq!(chain.refused(undelegate(11, 1, units(6))), ("sdk", 18));
    assert_eq!(chain.refused(undelegate(11, 1, U256::MAX)), ("sdk", 35));
    assert_eq!(chain.refused(undelegate(11, 2, units(1))), ("staking", 19));
    assert_eq!(chain.refused(undelegate(11, 9, units(1))), ("staking", 3));
    assert_eq!(chain.refused(cancel(11, 1, units(1), 0)), ("sdk", 18));
    assert_eq!(chain.refused(cancel(11, 1, units(1), 5)), ("sdk", 38));
    // All stake slashed away: no price for a share.
    chain.surgery(|ctx| {
        let mut v = crate::validator(ctx.state.as_scan(), &user(2)).unwrap().unwrap();
        let config = ctx.block.config.clone();
        ctx.state
            .delete(crate::keys::by_power(v.potential_power(&config), &v.operator));
        let burnt = types::Coin::new(v.tokens, "abraid");
        x_bank::burn(ctx.state, &crate::pool(crate::Status::Bonded), &burnt).unwrap();
        v.tokens = U256::ZERO;
        crate::validator::put_validator(ctx.state, &config, &v);
        crate::index::set(ctx.state, &config, &v);
    });
    chain.good(1, &[]);
    assert_eq!(chain.refused(delegate(11, 2, units(1))), ("staking", 34));
}

#[test]
fn bad_validators_have_the_sdks_codes() {
    let mut chain = Chain::new(&[10]);
    type Change = fn(&mut cosmrs::proto::cosmos::staking::v1beta1::MsgCreateValidator);
    let cases: &[(Change, (&str, u32))] = &[
        (|m| m.validator_address = acc(&user(11)), ("sdk", 7)),
        (|m| m.validator_address = val(&user(1)), ("staking", 4)),
        (|m| m.pubkey = None, ("staking", 39)),
        (|m| m.pubkey = Some(crate::pubkey_any(&[1; 32])), ("staking", 5)),
        (
            |m| m.pubkey.as_mut().unwrap().type_url = "/cosmos.crypto.secp256k1.PubKey".into(),
            ("staking", 6),
        ),
        (|m| m.pubkey.as_mut().unwrap().value.truncate(20), ("staking", 6)),
        (|m| m.value = None, ("sdk", 18)),
        (|m| m.value.as_mut().unwrap().amount = "-5".into(), ("sdk", 18)),
        (|m| m.value.as_mut().unwrap().denom = "other".into(), ("sdk", 18)),
        (|m| m.description = None, ("sdk", 18)),
        (
            |m| m.description.as_mut().unwrap().moniker = "x".repeat(71),
            ("sdk", 18),
        ),
        (|m| m.commission = None, ("sdk", 18)),
        (
            |m| m.commission.as_mut().unwrap().rate = "-1".into(),
            ("staking", 9),
        ),
        (
            |m| m.commission.as_mut().unwrap().max_rate = "1000000000000000001".into(),
            ("staking", 10),
        ),
        (
            |m| m.commission.as_mut().unwrap().rate = "200000000000000001".into(),
            ("staking", 11),
        ),
        (
            |m| m.commission.as_mut().unwrap().max_change_rate = "-1".into(),
            ("staking", 13),
        ),
        (
            |m| m.commission.as_mut().unwrap().max_change_rate = "200000000000000001".into(),
            ("staking", 14),
        ),
        (|m| m.min_self_delegation = "0".into(), ("sdk", 18)),
        (|m| m.min_self_delegation = units(6).to_string(), ("staking", 16)),
    ];
    for (i, (change, want)) in cases.iter().enumerate() {
        let mut m = creation(11, units(5));
        change(&mut m);
        let msg = ("/cosmos.staking.v1beta1.MsgCreateValidator", m.encode_to_vec());
        assert_eq!(chain.refused(msg), *want, "case {i}");
    }
    assert_eq!(chain.refused(create(11, units(5000))), ("sdk", 5));
    assert_eq!(chain.refused(edit(9, "m", "", "")), ("staking", 3));
    assert_eq!(chain.refused(edit(1, "", "", "")), ("sdk", 18));
    assert_eq!(
        chain.refused(edit(1, "m", "1000000000000000001", "")),
        ("sdk", 18)
    );
    assert_eq!(chain.refused(edit(1, "m", "", "1")), ("staking", 17));
    assert_eq!(
        chain.refused(edit(1, "m", "", &units(11).to_string())),
        ("staking", 16)
    );
    chain.good(
        1,
        &[
            edit(1, "m", "", &units(10).to_string()),
            edit(1, "m", "60000000000000000", ""),
        ],
    );
    assert_eq!(
        chain.refused(edit(1, "m", "50000000000000000", "")),
        ("staking", 12)
    );
}

#[test]
fn encodings_have_one_spelling() {
    let chain = Chain::new(&[10]);
    let (url, bytes) = delegate(11, 1, units(1));
    let read = |bytes: &[u8]| chain.staking.decode(url, bytes).unwrap().map(drop);
    assert_eq!(read(&bytes), Ok(()));
    let with = |tail: &[u8]| [bytes.as_slice(), tail].concat();
    assert_eq!(code(&read(&with(&[0x78, 1]))), ("sdk", 2), "an unknown field");
    assert_eq!(code(&read(&with(&[0xff]))), ("sdk", 2), "garbage");
    assert_eq!(code(&read(&bytes[..bytes.len() - 1])), ("sdk", 2), "cut short");
    assert_eq!(code(&read(&with(&[0x0a, 0]))), ("sdk", 2), "a field twice");
    assert!(
        chain
            .staking
            .decode("/cosmos.bank.v1beta1.MsgSend", &bytes)
            .is_none()
    );
}

#[test]
fn the_signer_is_the_delegator_or_the_operator() {
    let chain = Chain::new(&[10]);
    let config = config();
    for (msg, who) in [
        (delegate(11, 1, units(1)), 11),
        (undelegate(12, 1, units(1)), 12),
        (redelegate(13, 1, 2, units(1)), 13),
        (cancel(14, 1, units(1), 3), 14),
        (create(15, units(1)), 15),
        (edit(16, "m", "", ""), 16),
    ] {
        let m = chain.staking.decode(msg.0, &msg.1).unwrap().unwrap();
        assert_eq!(m.signers(&config).unwrap(), [user(who)], "{}", m.type_url());
        assert_eq!(m.type_url(), msg.0);
    }
}
