//! Native transactions from bytes to state: decoded, checked, run.
#![allow(clippy::unwrap_used, reason = "a test")]

use cosmrs::proto::{
    Any,
    cosmos::bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output},
};
use module::{BlockContext, Error, GenesisContext, Module as _, TxContext, to_proto_coin};
use prost::Message as _;
use serde_json::json;
use state::{Deferral, MemoryState, Overlay, Recorder, StateScan};
use std::sync::Arc;
use types::{Address, ChainConfig, Coin, Event, Timestamp, U256, bech32_address};
use x_auth::{
    Auth, Delivered, Draft, SignFor, SigningKey, ante,
    ante::{NativeTx, Purpose, VerifyAt},
    deliver, module_address, verify_signature,
};
use x_bank::{Bank, balance, balance_key};

const CHAIN: &str = "braid-test-1";
const FEE: u64 = 1_000_000_000 * 200_000;

fn key(n: u8) -> SigningKey {
    if n.is_multiple_of(2) {
        SigningKey::eth(&[n; 32]).unwrap()
    } else {
        SigningKey::cosmos(&[n; 32]).unwrap()
    }
}
fn at(n: u8) -> Address {
    key(n).public().address()
}
fn text(a: &Address) -> String {
    bech32_address("braid", a)
}
fn coin(n: u64, denom: &str) -> Coin {
    Coin::new(U256::from(n), denom)
}

struct Chain {
    state: MemoryState,
    block: BlockContext,
    bank: Bank,
}

impl Chain {
    /// Accounts 1 to 4, each with 10^18 of the base coin and 100 of another.
    fn new() -> Self {
        let config = Arc::new(ChainConfig::braid());
        let block = BlockContext::plain(config, CHAIN, 1, Timestamp::default());
        let bank = Bank::new([module_address(x_bank::FEE_COLLECTOR)]);
        let mut balances = Vec::new();
        for n in 1..=4 {
            let coins = json!([{"denom": "abraid", "amount": "1000000000000000000"}, {"denom": "gold", "amount": "100"}]);
            balances.push(json!({"address": text(&at(n)), "coins": coins}));
        }
        let section = json!({"balances": balances, "send_enabled": [{"denom": "lead", "enabled": false}]});
        let mut writes = {
            let mut overlay = Overlay::new(&state::EmptyState);
            let mut updates = Vec::new();
            let mut ctx = GenesisContext {
                block: &block,
                state: &mut overlay,
                validators: &[],
                validator_updates: &mut updates,
            };
            let auth = Auth::new([(x_bank::FEE_COLLECTOR, &[] as &[_])]);
            auth.init_genesis(&serde_json::Value::Null, &mut ctx).unwrap();
            bank.init_genesis(&section, &mut ctx).unwrap();
            overlay.settle().unwrap()
        };
        x_bank::fold_reverse_index(&state::EmptyState, &mut writes).unwrap();
        let mut chain = Self {
            state: MemoryState::default(),
            block,
            bank,
        };
        chain.apply(writes);
        chain
    }
    fn apply(&mut self, writes: state::WriteSet) {
        for (key, value) in state::normalise(&self.state, writes).unwrap() {
            match value {
                Some(v) => self.state.0.insert(key, v),
                None => self.state.0.remove(&key),
            };
        }
    }
    fn prepare(&self, bytes: Vec<u8>, purpose: Purpose) -> module::Result<NativeTx> {
        let tx = x_auth::tx::decode(bytes.into())?;
        let messages = x_auth::tx::decode_messages(&tx, |url, value| self.bank.decode(url, value))?;
        let params = x_auth::params(&self.state)?;
        ante::prepare(tx, messages, &self.block.config, &params, purpose)
    }
    /// Runs one transaction and keeps what it did.
    fn run_as(&mut self, bytes: Vec<u8>, purpose: Purpose) -> (Delivered, Vec<Event>) {
        let refused = |e| {
            (
                Delivered {
                    charged: false,
                    gas_used: 0,
                    result: Err(e),
                },
                vec![],
            )
        };
        let tx = match self.prepare(bytes, purpose) {
            Ok(tx) => tx,
            Err(e) => return refused(e),
        };
        let at = VerifyAt {
            chain_id: CHAIN,
            config: &self.block.config,
            genesis: false,
        };
        let verdict = ante::verify(&tx, &self.state, at, &mut verify_signature).unwrap();
        let recorder = Recorder::new(&self.state);
        let mut overlay = Overlay::new(&recorder);
        let mut events = Vec::new();
        let mut ctx = TxContext {
            block: &self.block,
            state: &mut overlay,
            events: &mut events,
        };
        let delivered = deliver(&tx, &verdict, &mut ctx, x_bank::pay_fee).unwrap();
        let buffered = overlay.finish().unwrap();
        let mut access = tx.access(&self.block, &self.state);
        access.extend(x_bank::fee_access(&tx.fee_payer, &tx.fee.denom));
        assert!(access.complete);
        assert_eq!(recorder.undeclared(&access, &buffered), Vec::<String>::new());
        if !delivered.charged {
            assert_eq!(
                buffered,
                state::Buffered::default(),
                "a refused transaction leaves no trace"
            );
            assert_eq!(events, []);
        }
        let state::Buffered { mut writes, deferred } = buffered;
        state::apply_deferrals(&self.state, &mut writes, deferred).unwrap();
        self.apply(writes);
        (delivered, events)
    }
    fn run(&mut self, bytes: Vec<u8>) -> (Delivered, Vec<Event>) {
        self.run_as(bytes, Purpose::Execute)
    }
    fn refusal(&mut self, bytes: Vec<u8>) -> (&'static str, u32, String) {
        match self.run(bytes).0.result {
            Err(Error::Rejected {
                codespace,
                code,
                message,
            }) => (codespace, code, message),
            other => panic!("{other:?}"),
        }
    }
    fn has(&self, who: &Address, denom: &str) -> U256 {
        balance(&self.state, who, denom).unwrap()
    }
    fn sequence(&self, n: u8) -> u64 {
        x_auth::sequence(&self.state, &at(n)).unwrap()
    }
    fn signing(&self, n: u8) -> SignFor {
        let account = x_auth::account(&self.state, &at(n)).unwrap().unwrap();
        SignFor {
            chain_id: CHAIN.into(),
            account_number: account.number,
            sequence: account.sequence,
        }
    }
}

fn send(from: &Address, to: &Address, amount: &[Coin]) -> Any {
    let message = MsgSend {
        from_address: text(from),
        to_address: text(to),
        amount: amount.iter().map(to_proto_coin).collect(),
    };
    Any {
        type_url: "/cosmos.bank.v1beta1.MsgSend".into(),
        value: message.encode_to_vec(),
    }
}
fn multi(from: &[(&Address, Coin)], to: &[(&Address, Coin)]) -> Any {
    let message = MsgMultiSend {
        inputs: from
            .iter()
            .map(|(a, c)| Input {
                address: text(a),
                coins: vec![to_proto_coin(c)],
            })
            .collect(),
        outputs: to
            .iter()
            .map(|(a, c)| Output {
                address: text(a),
                coins: vec![to_proto_coin(c)],
            })
            .collect(),
    };
    Any {
        type_url: "/cosmos.bank.v1beta1.MsgMultiSend".into(),
        value: message.encode_to_vec(),
    }
}
fn draft(messages: Vec<Any>) -> Draft {
    Draft {
        messages,
        fee: vec![coin(FEE, "abraid")],
        gas_limit: 200_000,
        ..Draft::default()
    }
}

#[test]
fn a_send_moves_coins_and_pays_its_fee_with_either_kind_of_key() {
    for n in [1, 2] {
        let mut chain = Chain::new();
        let to = Address::repeat_byte(9);
        let bytes = x_auth::sign_direct(
            &key(n),
            &chain.signing(n),
            &draft(vec![send(&at(n), &to, &[coin(7, "gold")])]),
        );
        let size = bytes.len() as u64;
        let (delivered, events) = chain.run(bytes.clone());
        let responses = delivered.result.unwrap();
        assert_eq!(responses[0].type_url, "/cosmos.bank.v1beta1.MsgSendResponse");
        let signature = if n == 2 { 21_000 } else { 1_000 };
        assert_eq!(delivered.gas_used, 10 * size + signature + 30_000);
        assert_eq!(chain.has(&to, "gold"), U256::from(7));
        assert_eq!(chain.has(&at(n), "gold"), U256::from(93));
        assert_eq!(
            chain.has(&module_address("fee_collector"), "abraid"),
            U256::from(FEE)
        );
        assert_eq!(chain.sequence(n), 1);
        let account = x_auth::account(&chain.state, &at(n)).unwrap().unwrap();
        assert_eq!(account.pub_key, Some(key(n).public().to_any()));
        let kinds: Vec<&str> = events.iter().map(|e| e.kind.as_str()).collect();
        let payment = ["coin_spent", "coin_received", "transfer", "message"];
        let want = [&payment[..], &["tx", "tx", "tx", "message"], &payment[..]].concat();
        assert_eq!(kinds, want);
        let attribute = |i: usize, j: usize| events[i].attributes[j].clone();
        assert_eq!(attribute(4, 0), ("fee".into(), format!("{FEE}abraid")));
        assert_eq!(attribute(5, 0), ("acc_seq".into(), format!("{}/0", text(&at(n)))));
        assert_eq!(
            attribute(7, 0),
            ("action".into(), "/cosmos.bank.v1beta1.MsgSend".into())
        );
        assert_eq!(attribute(7, 2), ("module".into(), "bank".into()));
        assert!(
            events[7..]
                .iter()
                .all(|e| e.attributes.last() == Some(&("msg_index".into(), "0".into())))
        );
        // Again: its sequence is spent.
        let (_, code, message) = chain.refusal(bytes);
        assert_eq!(
            (code, message.as_str()),
            (
                32,
                "account sequence mismatch, expected 1, got 0: incorrect account sequence"
            )
        );
    }
}

#[test]
fn a_failed_message_keeps_fee_and_sequence_and_nothing_else() {
    let mut chain = Chain::new();
    let messages = vec![
        send(&at(1), &at(2), &[coin(1, "gold")]),
        send(&at(1), &at(2), &[coin(100, "gold")]),
    ];
    let (delivered, events) = chain.run(x_auth::sign_direct(&key(1), &chain.signing(1), &draft(messages)));
    assert!(delivered.charged);
    let Err(Error::Rejected {
        codespace,
        code,
        message,
    }) = delivered.result
    else {
        panic!("must fail")
    };
    assert_eq!((codespace, code), ("sdk", 5));
    assert_eq!(
        message,
        "failed to execute message; message index: 1: spendable balance 99gold is smaller than 100gold: insufficient funds"
    );
    assert_eq!(chain.has(&at(2), "gold"), U256::from(100));
    assert_eq!(chain.sequence(1), 1);
    assert_eq!(
        chain.has(&module_address("fee_collector"), "abraid"),
        U256::from(FEE)
    );
    assert_eq!(events.len(), 7, "the fee's, and the signature's");
}

#[test]
fn gas_used_never_exceeds_gas_wanted() {
    let mut chain = Chain::new();
    let small = |gas| Draft {
        gas_limit: gas,
        ..draft(vec![send(&at(1), &at(2), &[coin(1, "gold")])])
    };
    let (delivered, _) = chain.run(x_auth::sign_direct(&key(1), &chain.signing(1), &small(30_000)));
    assert!(delivered.charged);
    assert_eq!(delivered.gas_used, 30_000);
    let Err(Error::Rejected {
        code: 11, message, ..
    }) = delivered.result
    else {
        panic!("{:?}", delivered.result)
    };
    assert!(
        message
            .contains("out of gas in location: /cosmos.bank.v1beta1.MsgSend; gasWanted: 30000, gasUsed: 3"),
        "{message}"
    );
    assert_eq!(chain.has(&at(2), "gold"), U256::from(100));
    // Not enough for its own bytes: refused before it pays.
    let (delivered, _) = chain.run(x_auth::sign_direct(&key(1), &chain.signing(1), &small(1000)));
    assert!(!delivered.charged && matches!(delivered.result, Err(Error::Rejected { code: 11, .. })));
    assert_eq!(chain.sequence(1), 1);
}

#[test]
fn what_is_wrong_with_a_transaction_has_its_code() {
    let mut chain = Chain::new();
    let to = at(2);
    let good = draft(vec![send(&at(1), &to, &[coin(1, "gold")])]);
    let signing = chain.signing(1);
    let with = |change: &dyn Fn(&mut Draft)| {
        let mut d = good.clone();
        change(&mut d);
        x_auth::sign_direct(&key(1), &signing, &d)
    };
    let payer_of = |messages: Vec<Any>, n: u8| x_auth::sign_direct(&key(n), &signing, &draft(messages));
    let other = |chain_id: &str, account_number, sequence| {
        let signing = SignFor {
            chain_id: chain_id.into(),
            account_number,
            sequence,
        };
        x_auth::sign_direct(&key(1), &signing, &good)
    };
    let unauthorized = format!(
        "signature verification failed; please verify account number ({}), sequence (0) and chain-id ({CHAIN}): unauthorized",
        signing.account_number
    );
    #[allow(clippy::type_complexity, reason = "a table: what, bytes, what comes of it")]
    let cases: Vec<(&str, Vec<u8>, (&str, u32, &str))> = vec![
        (
            "another chain",
            other("other-1", signing.account_number, 0),
            ("sdk", 4, &unauthorized),
        ),
        (
            "another account number",
            other(CHAIN, 77, 0),
            ("sdk", 4, &unauthorized),
        ),
        (
            "a gap",
            other(CHAIN, signing.account_number, 3),
            ("sdk", 32, "account sequence mismatch, expected 0, got 3"),
        ),
        (
            "a stranger's signature",
            payer_of(vec![send(&at(1), &to, &[coin(1, "gold")])], 3),
            ("sdk", 8, "pubKey does not match signer address"),
        ),
        (
            "an account that is not there",
            payer_of(vec![send(&at(5), &to, &[coin(1, "gold")])], 5),
            ("sdk", 9, "does not exist: unknown address"),
        ),
        (
            "too small a fee",
            with(&|d| d.fee[0].amount -= U256::from(1)),
            (
                "sdk",
                13,
                "insufficient fees; got: 199999999999999abraid required: 200000000000000abraid: insufficient fee",
            ),
        ),
        (
            "no fee",
            with(&|d| d.fee.clear()),
            (
                "sdk",
                13,
                "insufficient fees; got:  required: 200000000000000abraid",
            ),
        ),
        (
            "a fee in another coin",
            with(&|d| d.fee[0].denom = "gold".into()),
            ("sdk", 13, "200000000000000gold"),
        ),
        (
            "a fee that cannot be paid",
            with(&|d| d.fee[0].amount *= U256::from(1_000_000)),
            ("sdk", 5, "insufficient funds: insufficient funds"),
        ),
        (
            "a long memo",
            with(&|d| d.memo = "x".repeat(257)),
            ("sdk", 12, "maximum number of characters is 256 but received 257"),
        ),
        (
            "no message",
            with(&|d| d.messages.clear()),
            ("sdk", 18, "at least one message"),
        ),
        (
            "an unknown message",
            with(&|d| d.messages[0].type_url = "/x.Y".into()),
            ("sdk", 2, "unable to resolve type URL /x.Y"),
        ),
        (
            "too much gas",
            with(&|d| d.gas_limit = 1 << 63),
            ("sdk", 18, "invalid gas supplied"),
        ),
        (
            "an unknown field in a message",
            with(&|d| d.messages[0].value.extend([0x22, 0])),
            ("sdk", 2, "MsgSend"),
        ),
        (
            "two signatures for one signer",
            x_auth::sign_direct_all(&[(&key(1), &signing), (&key(2), &signing)], &good),
            ("sdk", 4, "wrong number of signers; expected 1, got 2"),
        ),
        (
            "no signature",
            x_auth::sign_direct_all(&[], &good),
            ("sdk", 15, "no signatures supplied"),
        ),
    ];
    for (what, bytes, (codespace, code, message)) in cases {
        let have = chain.refusal(bytes);
        assert_eq!((have.0, have.1), (codespace, code), "{what}: {}", have.2);
        assert!(have.2.contains(message), "{what}: {}", have.2);
    }
    chain.block.height = 8;
    let (_, code, message) = chain.refusal(with(&|d| d.timeout_height = 7));
    assert_eq!(
        (code, message.as_str()),
        (30, "block height: 8, timeout height: 7: tx timeout height")
    );
    let untouched = Chain::new();
    assert_eq!(chain.state, untouched.state);
    assert!(chain.run(with(&|d| d.timeout_height = 8)).0.result.is_ok());
}

#[test]
fn messages_are_refused_with_the_banks_codes() {
    let mut chain = Chain::new();
    let (a, b) = (at(1), at(2));
    let gold = |n| coin(n, "gold");
    let raw = |from: &str, to: &str, amount: &[(&str, &str)]| {
        let coin = |(denom, amount): &(&str, &str)| cosmrs::proto::cosmos::base::v1beta1::Coin {
            denom: (*denom).into(),
            amount: (*amount).into(),
        };
        let m = MsgSend {
            from_address: from.into(),
            to_address: to.into(),
            amount: amount.iter().map(coin).collect(),
        };
        Any {
            type_url: "/cosmos.bank.v1beta1.MsgSend".into(),
            value: m.encode_to_vec(),
        }
    };
    let (ta, tb) = (text(&a), text(&b));
    let collector = text(&module_address("fee_collector"));
    let cases: Vec<(&str, Any, (&str, u32))> = vec![
        (
            "a blocked recipient",
            send(&a, &module_address("fee_collector"), &[gold(1)]),
            ("sdk", 4),
        ),
        ("a disabled coin", send(&a, &b, &[coin(1, "lead")]), ("bank", 5)),
        ("more than there is", send(&a, &b, &[gold(101)]), ("sdk", 5)),
        ("zero", send(&a, &b, &[gold(0)]), ("sdk", 10)),
        ("nothing", send(&a, &b, &[]), ("sdk", 10)),
        (
            "unsorted",
            send(&a, &b, &[gold(1), coin(1, "abraid")]),
            ("sdk", 10),
        ),
        ("repeated", send(&a, &b, &[gold(1), gold(1)]), ("sdk", 10)),
        ("negative", raw(&ta, &tb, &[("gold", "-1")]), ("sdk", 10)),
        ("a bad denomination", raw(&ta, &tb, &[("g", "1")]), ("sdk", 10)),
        (
            "another chain's address",
            raw(&ta, &bech32_address("cosmos", &b), &[("gold", "1")]),
            ("sdk", 7),
        ),
        (
            "a hex address",
            raw(&ta, &b.to_string(), &[("gold", "1")]),
            ("sdk", 7),
        ),
        ("no address", raw("", &tb, &[("gold", "1")]), ("sdk", 7)),
        ("no inputs", multi(&[], &[(&b, gold(1))]), ("bank", 2)),
        ("no outputs", multi(&[(&a, gold(1))], &[]), ("bank", 3)),
        (
            "two inputs",
            multi(&[(&a, gold(1)), (&b, gold(1))], &[(&b, gold(2))]),
            ("bank", 9),
        ),
        (
            "a sum that is off",
            multi(&[(&a, gold(3))], &[(&b, gold(1)), (&a, gold(1))]),
            ("bank", 4),
        ),
        (
            "a sum that overflows",
            multi(
                &[(&a, gold(1))],
                &[(&b, Coin::new(U256::MAX, "gold")), (&b, gold(2))],
            ),
            ("bank", 4),
        ),
    ];
    for (what, message, want) in cases {
        let bytes = x_auth::sign_direct(&key(1), &chain.signing(1), &draft(vec![message]));
        let have = chain.refusal(bytes);
        assert_eq!((have.0, have.1), want, "{what}: {}", have.2);
    }
    let bytes = x_auth::sign_direct(
        &key(1),
        &chain.signing(1),
        &draft(vec![multi(
            &[(&a, gold(2))],
            &[(&b, gold(1)), (&module_address("fee_collector"), gold(1))],
        )]),
    );
    let (_, code, message) = chain.refusal(bytes);
    assert_eq!(code, 4);
    assert!(
        message.ends_with(&format!(
            "{collector} is not allowed to receive funds: unauthorized"
        )),
        "{message}"
    );
}

#[test]
fn a_multi_send_pays_all_and_names_each() {
    let mut chain = Chain::new();
    let (a, b, c) = (at(1), at(2), Address::repeat_byte(7));
    let message = multi(
        &[(&a, coin(10, "gold"))],
        &[
            (&b, coin(4, "gold")),
            (&c, coin(5, "gold")),
            (&a, coin(1, "gold")),
        ],
    );
    let (delivered, events) = chain.run(x_auth::sign_direct(
        &key(1),
        &chain.signing(1),
        &draft(vec![message]),
    ));
    delivered.result.unwrap();
    assert_eq!(
        [
            chain.has(&a, "gold"),
            chain.has(&b, "gold"),
            chain.has(&c, "gold")
        ],
        [91, 104, 5].map(U256::from)
    );
    let kinds: Vec<&str> = events[8..].iter().map(|e| e.kind.as_str()).collect();
    let output = ["coin_received", "transfer"];
    assert_eq!(
        kinds,
        [&["coin_spent", "message"][..], &output, &output, &output].concat()
    );
}

#[test]
fn a_ledger_signs_amino_json() {
    for n in [1, 2] {
        let mut chain = Chain::new();
        let message = send(&at(n), &at(3), &[coin(7, "gold")]);
        let json = chain
            .bank
            .decode(&message.type_url, &message.value)
            .unwrap()
            .unwrap()
            .amino_json()
            .unwrap();
        let draft = Draft {
            memo: "a <memo> & more".into(),
            ..draft(vec![message])
        };
        let bytes = x_auth::sign_amino(&key(n), &chain.signing(n), &draft, vec![json.clone()]);
        chain.run(bytes).0.result.unwrap();
        assert_eq!(chain.has(&at(3), "gold"), U256::from(107));
        let mut other = json;
        other["value"]["amount"][0]["amount"] = "8".into();
        let bytes = x_auth::sign_amino(&key(n), &chain.signing(n), &draft, vec![other]);
        assert_eq!(chain.refusal(bytes).1, 4);
    }
}

#[test]
fn all_signers_must_sign_and_each_counts_up() {
    let mut chain = Chain::new();
    let messages = vec![
        send(&at(1), &at(3), &[coin(1, "gold")]),
        send(&at(2), &at(3), &[coin(1, "gold")]),
    ];
    let (one, two) = (chain.signing(1), chain.signing(2));
    let bytes = x_auth::sign_direct_all(&[(&key(1), &one), (&key(2), &two)], &draft(messages.clone()));
    chain.run(bytes).0.result.unwrap();
    assert_eq!([chain.sequence(1), chain.sequence(2)], [1, 1]);
    let (one, two) = (
        chain.signing(1),
        SignFor {
            sequence: 1,
            ..chain.signing(3)
        },
    );
    let bytes = x_auth::sign_direct_all(&[(&key(1), &one), (&key(2), &two)], &draft(messages));
    assert_eq!(
        chain.refusal(bytes).1,
        4,
        "the second signed for another account number"
    );
}

#[test]
fn a_simulation_needs_no_signature_and_leaves_the_gas_open() {
    let mut chain = Chain::new();
    let bytes = {
        let signed = x_auth::sign_direct(
            &key(2),
            &chain.signing(2),
            &draft(vec![send(&at(2), &at(3), &[coin(1, "gold")])]),
        );
        let mut raw = cosmrs::proto::cosmos::tx::v1beta1::TxRaw::decode(&signed[..]).unwrap();
        raw.signatures = vec![vec![]];
        raw.auth_info_bytes = Draft::default().auth_info_bytes(vec![x_auth::signer_info(
            &key(2).public(),
            0,
            cosmrs::proto::cosmos::tx::signing::v1beta1::SignMode::Unspecified,
        )]);
        raw.encode_to_vec()
    };
    assert_eq!(chain.refusal(bytes.clone()).1, 11, "for real it has no gas");
    let (delivered, _) = chain.run_as(bytes, Purpose::Simulate);
    delivered.result.unwrap();
    assert!(delivered.gas_used > 51_000, "{}", delivered.gas_used);
}

#[test]
fn an_account_paid_earlier_in_the_block_cannot_sign_yet() {
    let mut chain = Chain::new();
    // Account 5 has a balance and, from this block's fold, will have a record.
    chain
        .run(x_auth::sign_direct(
            &key(1),
            &chain.signing(1),
            &draft(vec![send(&at(1), &at(5), &[coin(FEE * 2, "abraid")])]),
        ))
        .0
        .result
        .unwrap();
    let signing = SignFor {
        chain_id: CHAIN.into(),
        account_number: 0,
        sequence: 0,
    };
    let bytes = x_auth::sign_direct(
        &key(5),
        &signing,
        &draft(vec![send(&at(5), &at(1), &[coin(1, "abraid")])]),
    );
    let (_, code, message) = chain.refusal(bytes);
    assert_eq!(code, 9, "{message}");
    let mut overlay = Overlay::new(&chain.state);
    x_auth::assign_numbers(&mut overlay, &chain.block.config, [at(5)]).unwrap();
    let writes = overlay.settle().unwrap();
    chain.apply(writes);
    assert_eq!(
        chain.signing(5).account_number,
        5,
        "after the collector and four holders"
    );
    let bytes = x_auth::sign_direct(
        &key(5),
        &chain.signing(5),
        &draft(vec![send(&at(5), &at(1), &[coin(1, "abraid")])]),
    );
    chain.run(bytes).0.result.unwrap();
}

#[test]
fn fees_are_deferred_and_coins_are_never_lost() {
    let mut chain = Chain::new();
    let tx = x_auth::sign_direct(
        &key(1),
        &chain.signing(1),
        &draft(vec![send(&at(1), &at(1), &[coin(3, "abraid")])]),
    );
    let native = chain.prepare(tx.clone(), Purpose::Execute).unwrap();
    let verify_at = VerifyAt {
        chain_id: CHAIN,
        config: &chain.block.config,
        genesis: false,
    };
    let verdict = ante::verify(&native, &chain.state, verify_at, &mut verify_signature).unwrap();
    let mut overlay = Overlay::new(&chain.state);
    let mut events = Vec::new();
    let mut ctx = TxContext {
        block: &chain.block,
        state: &mut overlay,
        events: &mut events,
    };
    deliver(&native, &verdict, &mut ctx, x_bank::pay_fee)
        .unwrap()
        .result
        .unwrap();
    let collector = balance_key(&module_address("fee_collector"), "abraid");
    let buffered = overlay.finish().unwrap();
    assert!(matches!(buffered.deferred.as_slice(), [Deferral::Add(key, _)] if *key == collector));
    assert!(!buffered.writes.contains_key(&collector));
    chain.run(tx).0.result.unwrap();
    let mut sum = U256::ZERO;
    chain
        .state
        .scan(
            &state::KeyRange::prefix(x_bank::STORE, &[2]),
            &mut |key, value| {
                if x_bank::parse_balance_key(key).unwrap().1 == "abraid" {
                    sum += state::decode_amount(key, Some(value)).unwrap();
                }
                state::Control::Continue(())
            },
        )
        .unwrap();
    assert_eq!(Ok(sum), x_bank::supply(&chain.state, "abraid"));
}

/// A transaction that `simd tx sign --sign-mode direct` made (CosmJS keeps it as a test vector): chain
/// "simd-testing", account 1, sequence 0.
#[test]
fn a_transaction_signed_by_the_sdk_is_good() {
    let body = "0a90010a1c2f636f736d6f732e62616e6b2e763162657461312e4d736753656e6412700a2d636f736d6f7331706b707472653766646b6c366766727a6c65736a6a766878686c63337234676d6d6b38727336122d636f736d6f7331717970717870713971637273737a673270767871367273307a716733797963356c7a763778751a100a0575636f736d120731323334353637";
    let auth_info = "0a4e0a460a1f2f636f736d6f732e63727970746f2e736563703235366b312e5075624b657912230a21034f04181eeba35391b858633a765c4a0c189697b40d216354d50890d350c7029012040a02080112130a0d0a0575636f736d12043230303010c09a0c";
    let signature = "c9dd20e07464d3a688ff4b710b1fbc027e495e797cfa0b4804da2ed117959227772de059808f765aa29b8f92edf30f4c2c5a438e30d3fe6897daa7141e3ce6f9";
    let [body, auth_info, signature] = [body, auth_info, signature].map(|t| hex::decode(t).unwrap());
    let bytes = [
        vec![0x0a, 0x93, 1],
        body,
        vec![0x12, 0x65],
        auth_info,
        vec![0x1a, 0x40],
        signature,
    ]
    .concat();
    let config = ChainConfig {
        bech32_prefix: "cosmos".into(),
        base_denom: "ucosm".into(),
        ..ChainConfig::braid()
    };
    let bank = Bank::new([]);
    let decode = |bytes: Vec<u8>| {
        let tx = x_auth::tx::decode(bytes.into())?;
        let messages = x_auth::tx::decode_messages(&tx, |url, value| bank.decode(url, value))?;
        ante::prepare(tx, messages, &config, &x_auth::DEFAULT_PARAMS, Purpose::Execute)
    };
    let tx = decode(bytes.clone()).unwrap();
    assert_eq!(
        (tx.fee.to_string(), tx.gas_limit),
        ("2000ucosm".to_owned(), 200_000)
    );
    let who = tx.signers[0].address;
    assert_eq!(
        bech32_address("cosmos", &who),
        "cosmos1pkptre7fdkl6gfrzlesjjvhxhlc3r4gmmk8rs6"
    );
    let mut state = Overlay::new(&state::EmptyState);
    x_auth::assign_numbers(&mut state, &config, [Address::ZERO, who]).unwrap();
    let good = |tx: &NativeTx, chain_id: &str| {
        let at = VerifyAt {
            chain_id,
            config: &config,
            genesis: false,
        };
        ante::verify(tx, &state, at, &mut verify_signature)
            .unwrap()
            .is_good()
    };
    assert!(good(&tx, "simd-testing"));
    assert!(!good(&tx, "simd-testing-2"));

    // Any flipped bit is refused by some check, and nothing panics.
    for bit in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(
            !decode(other).is_ok_and(|tx| good(&tx, "simd-testing")),
            "bit {bit}"
        );
    }
    for cut in 0..bytes.len() {
        assert!(decode(bytes[..cut].to_vec()).is_err(), "cut at {cut}");
    }
}

#[test]
fn two_of_three_keys_sign_for_a_multisig() {
    use cosmrs::proto::cosmos::{
        crypto::multisig::v1beta1::{CompactBitArray, MultiSignature},
        tx::{
            signing::v1beta1::SignMode,
            v1beta1::{ModeInfo, SignerInfo, TxRaw, mode_info},
        },
    };
    let multi = x_auth::PublicKey::Multisig {
        threshold: 2,
        keys: [1, 2, 3].map(|n| key(n).public()).to_vec(),
    };
    let who = multi.address();
    let mut chain = Chain::new();
    chain
        .run(x_auth::sign_direct(
            &key(4),
            &chain.signing(4),
            &draft(vec![send(&at(4), &who, &[coin(FEE * 4, "abraid")])]),
        ))
        .0
        .result
        .unwrap();
    let mut overlay = Overlay::new(&chain.state);
    x_auth::assign_numbers(&mut overlay, &chain.block.config, [who]).unwrap();
    let writes = overlay.settle().unwrap();
    chain.apply(writes);
    let number = x_auth::account(&chain.state, &who).unwrap().unwrap().number;
    let message = send(&who, &at(1), &[coin(1, "abraid")]);
    let json = chain
        .bank
        .decode(&message.type_url, &message.value)
        .unwrap()
        .unwrap()
        .amino_json()
        .unwrap();
    let draft = draft(vec![message]);
    // Who signs, and which bits are set.
    let tx = |signers: &[u8], bits: u8, sequence: u64| {
        let single = |_: &u8| {
            let single = mode_info::Single {
                mode: SignMode::LegacyAminoJson.into(),
            };
            ModeInfo {
                sum: Some(mode_info::Sum::Single(single)),
            }
        };
        let parts = mode_info::Multi {
            bitarray: Some(CompactBitArray {
                extra_bits_stored: 3,
                elems: vec![bits],
            }),
            mode_infos: signers.iter().map(single).collect(),
        };
        let info = SignerInfo {
            public_key: Some(multi.to_any()),
            mode_info: Some(ModeInfo {
                sum: Some(mode_info::Sum::Multi(parts)),
            }),
            sequence,
        };
        let doc = x_auth::amino::SignDoc {
            chain_id: CHAIN,
            account_number: number,
            sequence,
            fee: &draft.fee,
            gas_limit: draft.gas_limit,
            payer: "",
            memo: "",
            timeout_height: 0,
            messages: vec![json.clone()],
        };
        let signatures = signers.iter().map(|n| key(*n).sign(&doc.bytes())).collect();
        TxRaw {
            body_bytes: draft.body_bytes(),
            auth_info_bytes: draft.auth_info_bytes(vec![info]),
            signatures: vec![MultiSignature { signatures }.encode_to_vec()],
        }
        .encode_to_vec()
    };
    assert_eq!(chain.refusal(tx(&[1], 0b1000_0000, 0)).1, 4, "one is not two");
    assert_eq!(
        chain.refusal(tx(&[1, 3], 0b1100_0000, 0)).1,
        4,
        "the third signed, the second is claimed"
    );
    assert_eq!(
        chain.refusal(tx(&[1, 3], 0b1000_0000, 0)).1,
        2,
        "two signatures for one bit"
    );
    let bytes = tx(&[1, 2], 0b1100_0000, 0);
    let size = bytes.len() as u64;
    let (delivered, events) = chain.run(bytes);
    delivered.result.unwrap();
    assert_eq!(delivered.gas_used, 10 * size + 1_000 + 21_000 + 30_000);
    assert_eq!(
        events.iter().filter(|e| e.attributes[0].0 == "signature").count(),
        2
    );
    chain.run(tx(&[1, 3], 0b1010_0000, 1)).0.result.unwrap();
    assert_eq!(
        x_auth::account(&chain.state, &who).unwrap().unwrap().pub_key,
        Some(multi.to_any())
    );
}

#[test]
fn signatures_and_checks_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<NativeTx>();
    shared::<x_auth::Verdict>();
}

#[test]
fn a_genesis_transaction_is_free_and_signed_for_account_zero() {
    let mut chain = Chain::new();
    let free = Draft {
        fee: vec![],
        ..draft(vec![send(&at(2), &at(1), &[coin(1, "gold")])])
    };
    let signing = SignFor {
        account_number: 0,
        ..chain.signing(2)
    };
    let bytes = x_auth::sign_direct(&key(2), &signing, &free);
    assert_eq!(chain.refusal(bytes.clone()).1, 13, "not free later");
    chain.run_as(bytes, Purpose::Genesis).0.result.unwrap();
    let signing = SignFor {
        account_number: 2,
        ..chain.signing(2)
    };
    let (delivered, _) = chain.run_as(x_auth::sign_direct(&key(2), &signing, &free), Purpose::Genesis);
    assert!(
        matches!(delivered.result, Err(Error::Rejected { code: 4, .. })),
        "{:?}",
        delivered.result
    );
}
