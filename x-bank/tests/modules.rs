//! Genesis, export and queries of auth and bank, together.
#![allow(clippy::unwrap_used, reason = "a test")]

use cosmrs::proto::cosmos::{
    auth::v1beta1 as auth, bank::v1beta1 as bank, base::query::v1beta1::PageRequest,
};
use module::{BlockContext, Error, GenesisContext, Module, QueryContext};
use prost::Message as _;
use serde_json::{Value, json};
use state::{MemoryState, Overlay};
use std::sync::Arc;
use types::{Address, ChainConfig, Timestamp, bech32_address};
use x_auth::{Auth, SigningKey, module_address};
use x_bank::Bank;

fn block() -> BlockContext {
    BlockContext::plain(
        Arc::new(ChainConfig::braid()),
        "braid-test-1",
        5,
        Timestamp::default(),
    )
}
fn text(a: &Address) -> String {
    bech32_address("braid", a)
}
fn at(n: u8) -> Address {
    Address::repeat_byte(n)
}
fn modules() -> [Box<dyn Module>; 2] {
    let accounts: [x_auth::ModuleAccountSpec; 2] = [("fee_collector", &[]), ("mint", &["minter"])];
    [Box::new(Auth::new(accounts)), Box::new(Bank::new([]))]
}

fn init(sections: [&Value; 2]) -> module::Result<MemoryState> {
    let block = block();
    let mut overlay = Overlay::new(&state::EmptyState);
    let mut updates = Vec::new();
    let mut ctx = GenesisContext {
        block: &block,
        state: &mut overlay,
        validators: &[],
        validator_updates: &mut updates,
    };
    for (module, section) in modules().iter().zip(sections) {
        module.init_genesis(section, &mut ctx)?;
    }
    let mut writes = overlay.settle()?;
    x_bank::fold_reverse_index(&state::EmptyState, &mut writes)?;
    let changes = state::normalise(&state::EmptyState, writes)?;
    Ok(MemoryState(
        changes.into_iter().filter_map(|(k, v)| Some((k, v?))).collect(),
    ))
}

fn key() -> SigningKey {
    SigningKey::cosmos(&[1; 32]).unwrap()
}

fn auth_section() -> Value {
    let base = |who: &Address, number: u64, sequence: u64| {
        json!({
            "@type": "/cosmos.auth.v1beta1.BaseAccount", "address": text(who), "pub_key": null,
            "account_number": number.to_string(), "sequence": sequence.to_string(),
        })
    };
    let x_auth::PublicKey::Secp256k1(bytes) = key().public() else {
        panic!("a cosmos key")
    };
    let mut keyed = base(&key().public().address(), 4, 9);
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    keyed["pub_key"] = json!({ "@type": "/cosmos.crypto.secp256k1.PubKey", "key": encoded });
    json!({ "params": { "max_memo_characters": "300" }, "accounts": [base(&at(2), 0, 0), base(&at(1), 0, 3), keyed] })
}

fn bank_section() -> Value {
    let coin = |denom: &str, amount: &str| json!({ "denom": denom, "amount": amount });
    json!({
        "params": { "default_send_enabled": true },
        "balances": [
            { "address": text(&at(1)), "coins": [coin("abraid", "5"), coin("gold", "7")] },
            { "address": text(&at(7)), "coins": [coin("abraid", "6")] },
        ],
        "supply": [coin("abraid", "11"), coin("gold", "7")],
        "denom_metadata": [{
            "base": "abraid", "display": "braid", "name": "Braid", "symbol": "BRAID",
            "denom_units": [{ "denom": "abraid", "exponent": 0, "aliases": ["wei"] }, { "denom": "braid", "exponent": 18 }],
        }],
        "send_enabled": [{ "denom": "lead", "enabled": false }],
    })
}

fn query<R: prost::Message + Default>(
    state: &MemoryState,
    path: &str,
    request: &impl prost::Message,
) -> module::Result<R> {
    let block = block();
    let ctx = QueryContext { block: &block, state };
    let answer = modules()
        .iter()
        .find_map(|m| m.query(path, &request.encode_to_vec(), &ctx))
        .expect("a known path");
    Ok(R::decode(answer?.as_slice()).unwrap())
}

#[test]
fn genesis_is_read_and_written_back() {
    let state = init([&auth_section(), &bank_section()]).unwrap();
    let number = |who: &Address| x_auth::account(&state, who).unwrap().map(|a| a.number);
    // Stated numbers first, the repeat moved to a free one, then modules, then holders without a record.
    let keyed = key().public().address();
    assert_eq!(number(&at(2)), Some(0));
    assert_eq!(number(&at(1)), Some(1));
    assert_eq!(number(&keyed), Some(4));
    assert_eq!(number(&module_address("fee_collector")), Some(5));
    assert_eq!(number(&module_address("mint")), Some(6));
    assert_eq!(number(&at(7)), Some(7));
    assert_eq!(x_auth::next_number(&state), Ok(8));
    let block = block();
    let ctx = QueryContext {
        block: &block,
        state: &state,
    };
    let exported = modules().map(|m| m.export_genesis(&ctx).unwrap());
    assert_eq!(init([&exported[0], &exported[1]]).unwrap(), state);
}

#[test]
fn a_genesis_that_contradicts_itself_is_refused() {
    type Change = fn(&mut [Value; 2]);
    let cases: [(&str, Change, &str); 10] = [
        (
            "supply",
            |s| s[1]["supply"][0]["amount"] = "12".into(),
            "expected 12abraid,7gold, got 11abraid,7gold",
        ),
        (
            "holder twice",
            |s| s[1]["balances"][1] = s[1]["balances"][0].clone(),
            "twice",
        ),
        (
            "zero coin",
            |s| s[1]["balances"][1]["coins"][0]["amount"] = "0".into(),
            "positive",
        ),
        (
            "negative",
            |s| s[1]["balances"][1]["coins"][0]["amount"] = "-1".into(),
            "invalid amount",
        ),
        (
            "another chain",
            |s| s[1]["balances"][1]["address"] = bech32_address("cosmos", &at(1)).into(),
            "prefix",
        ),
        (
            "unsorted",
            |s| s[1]["balances"][0]["coins"][0]["denom"] = "zinc".into(),
            "not sorted",
        ),
        (
            "metadata",
            |s| s[1]["denom_metadata"][0]["display"] = "other".into(),
            "other",
        ),
        (
            "account twice",
            |s| s[0]["accounts"][1] = s[0]["accounts"][0].clone(),
            "twice",
        ),
        (
            "account type",
            |s| s[0]["accounts"][1]["@type"] = "/x.Y".into(),
            "/x.Y",
        ),
        (
            "another's key",
            |s| s[0]["accounts"][2]["address"] = text(&at(9)).into(),
            "public key",
        ),
    ];
    for (what, change, message) in cases {
        let mut sections = [auth_section(), bank_section()];
        change(&mut sections);
        let err = init([&sections[0], &sections[1]]).expect_err(what).to_string();
        assert!(err.contains(message), "{what}: {err}");
    }
    // A module's address cannot be an ordinary account.
    let mut section = auth_section();
    section["accounts"][0]["address"] = text(&module_address("mint")).into();
    assert!(
        init([&section, &bank_section()])
            .unwrap_err()
            .to_string()
            .contains("not a module account")
    );
}

#[test]
fn accounts_are_found_and_the_rest_is_not_found() {
    let state = init([&auth_section(), &bank_section()]).unwrap();
    let account = |address: String| {
        query::<auth::QueryAccountResponse>(
            &state,
            "/cosmos.auth.v1beta1.Query/Account",
            &auth::QueryAccountRequest { address },
        )
    };
    let any = account(text(&at(1))).unwrap().account.unwrap();
    assert_eq!(any.type_url, "/cosmos.auth.v1beta1.BaseAccount");
    let base = auth::BaseAccount::decode(&any.value[..]).unwrap();
    assert_eq!(
        (base.address, base.account_number, base.sequence),
        (text(&at(1)), 1, 3)
    );
    let any = account(text(&module_address("mint"))).unwrap().account.unwrap();
    assert_eq!(any.type_url, "/cosmos.auth.v1beta1.ModuleAccount");
    // CosmJS matches on this text to return null.
    let want = format!(
        "rpc error: code = NotFound desc = account {} not found: key not found",
        text(&at(9))
    );
    assert_eq!(account(text(&at(9))), Err(Error::module("sdk", 22, want)));
    assert!(matches!(
        account("nonsense".into()),
        Err(Error::Rejected { code: 18, .. })
    ));
    assert!(matches!(
        account(String::new()),
        Err(Error::Rejected { code: 18, .. })
    ));
    let page = Some(PageRequest {
        limit: 2,
        count_total: true,
        ..PageRequest::default()
    });
    let all: auth::QueryAccountsResponse = query(
        &state,
        "/cosmos.auth.v1beta1.Query/Accounts",
        &auth::QueryAccountsRequest { pagination: page },
    )
    .unwrap();
    assert_eq!((all.accounts.len(), all.pagination.unwrap().total), (2, 6));
    let modules: auth::QueryModuleAccountsResponse = query(
        &state,
        "/cosmos.auth.v1beta1.Query/ModuleAccounts",
        &auth::QueryModuleAccountsRequest {},
    )
    .unwrap();
    assert_eq!(modules.accounts.len(), 2);
    let by_name = |name: &str| {
        let request = auth::QueryModuleAccountByNameRequest { name: name.into() };
        query::<auth::QueryModuleAccountByNameResponse>(
            &state,
            "/cosmos.auth.v1beta1.Query/ModuleAccountByName",
            &request,
        )
    };
    assert!(by_name("mint").is_ok() && by_name("gov").is_err());
    let params: auth::QueryParamsResponse = query(
        &state,
        "/cosmos.auth.v1beta1.Query/Params",
        &auth::QueryParamsRequest {},
    )
    .unwrap();
    assert_eq!(params.params.unwrap().max_memo_characters, 300);
    let bytes: auth::AddressStringToBytesResponse = query(
        &state,
        "/cosmos.auth.v1beta1.Query/AddressStringToBytes",
        &auth::AddressStringToBytesRequest {
            address_string: text(&at(3)),
        },
    )
    .unwrap();
    let back: auth::AddressBytesToStringResponse = query(
        &state,
        "/cosmos.auth.v1beta1.Query/AddressBytesToString",
        &auth::AddressBytesToStringRequest {
            address_bytes: bytes.address_bytes,
        },
    )
    .unwrap();
    assert_eq!(back.address_string, text(&at(3)));
}

#[test]
fn balances_and_supply_are_answered() {
    let state = init([&auth_section(), &bank_section()]).unwrap();
    let path = |method: &str| format!("/cosmos.bank.v1beta1.Query/{method}");
    let balance = |who: &Address, denom: &str| {
        let request = bank::QueryBalanceRequest {
            address: text(who),
            denom: denom.into(),
        };
        query::<bank::QueryBalanceResponse>(&state, &path("Balance"), &request).map(|r| r.balance.unwrap())
    };
    assert_eq!(balance(&at(1), "gold").unwrap().amount, "7");
    // CosmJS wants a coin even where there is nothing.
    assert_eq!(balance(&at(9), "gold").unwrap().amount, "0");
    assert!(matches!(
        balance(&at(1), "!"),
        Err(Error::Rejected { code: 18, .. })
    ));
    let all: bank::QueryAllBalancesResponse = query(
        &state,
        &path("AllBalances"),
        &bank::QueryAllBalancesRequest {
            address: text(&at(1)),
            ..bank::QueryAllBalancesRequest::default()
        },
    )
    .unwrap();
    let coins: Vec<_> = all
        .balances
        .iter()
        .map(|c| format!("{}{}", c.amount, c.denom))
        .collect();
    assert_eq!(
        (coins.join(","), all.pagination.unwrap().total),
        ("5abraid,7gold".into(), 2)
    );
    let supply: bank::QueryTotalSupplyResponse = query(
        &state,
        &path("TotalSupply"),
        &bank::QueryTotalSupplyRequest::default(),
    )
    .unwrap();
    assert_eq!(
        supply
            .supply
            .iter()
            .map(|c| c.amount.as_str())
            .collect::<Vec<_>>(),
        ["11", "7"]
    );
    let of: bank::QuerySupplyOfResponse = query(
        &state,
        &path("SupplyOf"),
        &bank::QuerySupplyOfRequest {
            denom: "abraid".into(),
        },
    )
    .unwrap();
    assert_eq!(of.amount.unwrap().amount, "11");
    let request = bank::QueryDenomOwnersRequest {
        denom: "abraid".into(),
        pagination: None,
    };
    let owners: bank::QueryDenomOwnersResponse = query(&state, &path("DenomOwners"), &request).unwrap();
    let owners: Vec<_> = owners
        .denom_owners
        .into_iter()
        .map(|o| (o.address, o.balance.unwrap().amount))
        .collect();
    assert_eq!(
        owners,
        [(text(&at(1)), "5".to_owned()), (text(&at(7)), "6".to_owned())]
    );
    let metadata = |denom: &str| {
        let request = bank::QueryDenomMetadataRequest { denom: denom.into() };
        query::<bank::QueryDenomMetadataResponse>(&state, &path("DenomMetadata"), &request)
    };
    assert_eq!(metadata("abraid").unwrap().metadata.unwrap().symbol, "BRAID");
    assert!(matches!(metadata("gold"), Err(Error::Rejected { code: 22, .. })));
    let request = bank::QuerySendEnabledRequest::default();
    let enabled: bank::QuerySendEnabledResponse = query(&state, &path("SendEnabled"), &request).unwrap();
    assert_eq!(
        enabled.send_enabled,
        [bank::SendEnabled {
            denom: "lead".into(),
            enabled: false
        }]
    );
    let params: bank::QueryParamsResponse =
        query(&state, &path("Params"), &bank::QueryParamsRequest {}).unwrap();
    assert!(params.params.unwrap().default_send_enabled);
}

#[test]
fn keys_and_values_are_the_sdks() {
    let state = init([&auth_section(), &bank_section()]).unwrap();
    let get = |store: &str, parts: &[&[u8]]| {
        let key = state::Key::new(state::StoreId::new(store), parts);
        state.0.get(&key).map(|v| v.to_vec())
    };
    let one = at(1);
    assert_eq!(
        get("bank", &[&[2, 20], one.as_slice(), b"abraid"]),
        Some(b"5".to_vec())
    );
    assert_eq!(get("bank", &[b"\x03abraid\0\x14", one.as_slice()]), Some(vec![]));
    assert_eq!(get("bank", &[b"\0abraid"]), Some(b"11".to_vec()));
    assert_eq!(get("bank", &[b"\x04lead"]), Some(vec![0]));
    assert_eq!(get("bank", &[&[5]]), Some(vec![0x10, 1]));
    assert_eq!(
        get("acc", &[b"accountNumber", &1u64.to_be_bytes()]),
        Some(one.to_vec())
    );
    assert_eq!(get("acc", &[&[2]]), Some(8u64.to_be_bytes().to_vec()));
    assert_eq!(
        get("acc", &[&[0]]),
        Some(vec![
            0x08, 0xac, 2, 0x10, 7, 0x18, 10, 0x20, 0xce, 4, 0x28, 0xe8, 7
        ])
    );
    let record = get("acc", &[&[1], one.as_slice()]).unwrap();
    assert_eq!(
        record[..35],
        [&b"\x0a\x20/cosmos.auth.v1beta1.BaseAccount"[..], &[0x12]].concat()
    );
}
