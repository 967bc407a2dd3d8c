//! The Cosmos envelope has one form.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod common;

use alloy_consensus::{TxEip4844, TxLegacy};
use common::*;
use cosmrs::proto::cosmos::tx::v1beta1::{AuthInfo, TxBody, TxRaw};
use prost::Message;
use types::{Address, ChainConfig, U256};
use x_evm::{EnvelopeError, EvmTx, MsgEthereumTx, TX_BYTES_MAX, TxError, unwrap, wrap};

fn edited(bytes: &[u8], edit: impl FnOnce(&mut TxRaw, &mut TxBody, &mut AuthInfo)) -> Vec<u8> {
    let mut raw = TxRaw::decode(bytes).unwrap();
    let mut body = TxBody::decode(raw.body_bytes.as_slice()).unwrap();
    let mut auth = AuthInfo::decode(raw.auth_info_bytes.as_slice()).unwrap();
    edit(&mut raw, &mut body, &mut auth);
    raw.body_bytes = body.encode_to_vec();
    raw.auth_info_bytes = auth.encode_to_vec();
    raw.encode_to_vec()
}

#[test]
fn a_wrapped_transaction_reads_back() {
    let config = ChainConfig::braid();
    let tx = sign(transfer(3, Address::repeat_byte(9), 12), 1);
    let bytes = wrap(&tx, &config);
    assert_eq!(unwrap(&bytes, &config).unwrap(), Some(tx.clone()));
    let raw = TxRaw::decode(bytes.clone()).unwrap();
    let auth = AuthInfo::decode(raw.auth_info_bytes.as_slice()).unwrap();
    let fee = auth.fee.unwrap();
    assert_eq!(
        (fee.gas_limit, fee.amount[0].amount.as_str()),
        (21_000, "63000000000000")
    );
    assert_eq!(
        (
            fee.amount[0].denom.as_str(),
            raw.signatures.len(),
            auth.signer_infos.len()
        ),
        ("abraid", 0, 0)
    );
    // A native transaction is not ours.
    let native = edited(&bytes, |_, body, _| {
        body.extension_options.clear();
        body.messages[0].type_url = "/cosmos.bank.v1beta1.MsgSend".into();
    });
    assert_eq!(unwrap(&native, &config), Ok(None));
}

#[test]
fn any_other_form_of_the_envelope_is_refused() {
    let config = ChainConfig::braid();
    let tx = sign(transfer(3, Address::repeat_byte(9), 12), 1);
    let bytes = wrap(&tx, &config).to_vec();
    type Edit = fn(&mut TxRaw, &mut TxBody, &mut AuthInfo);
    let edits: [(&str, Edit); 12] = [
        ("memo", |_, body, _| body.memo = "x".into()),
        ("timeout", |_, body, _| body.timeout_height = 9),
        ("signature", |raw, _, _| raw.signatures.push(vec![1])),
        ("gas", |_, _, auth| auth.fee.as_mut().unwrap().gas_limit += 1),
        ("fee", |_, _, auth| {
            auth.fee.as_mut().unwrap().amount[0].amount = "1".into();
        }),
        ("payer", |_, _, auth| {
            auth.fee.as_mut().unwrap().payer = "braid1".into();
        }),
        ("no fee", |_, _, auth| auth.fee = None),
        ("no option", |_, body, _| body.extension_options.clear()),
        ("option elsewhere", |_, body, _| {
            body.non_critical_extension_options = std::mem::take(&mut body.extension_options);
        }),
        ("two messages", |_, body, _| {
            body.messages.push(body.messages[0].clone());
        }),
        ("no message", |_, body, _| body.messages.clear()),
        ("another sender", |_, body, _| {
            let mut msg = MsgEthereumTx::decode(body.messages[0].value.as_slice()).unwrap();
            msg.from = vec![7; 20].into();
            body.messages[0].value = msg.encode_to_vec();
        }),
    ];
    for (what, edit) in edits {
        let refused = unwrap(&edited(&bytes, edit), &config);
        assert!(
            matches!(
                refused,
                Err(EnvelopeError::NotCanonical { .. } | EnvelopeError::Shape)
            ),
            "{what}: {refused:?}"
        );
    }
    // Bytes that decode to the same and are not the same: an unknown field, a doubled one.
    let mut unknown = bytes.clone();
    unknown.extend_from_slice(&[0x78, 1]);
    assert!(matches!(
        unwrap(&unknown, &config),
        Err(EnvelopeError::NotCanonical { .. })
    ));
    for garbage in [&b"\xff\xff"[..], &bytes[..bytes.len() / 2]] {
        assert!(matches!(unwrap(garbage, &config), Err(EnvelopeError::Decode(_))));
    }
}

#[test]
fn transactions_this_chain_does_not_take_say_why() {
    let to = Address::repeat_byte(9);
    let decode = |tx: &EvmTx| EvmTx::decode(&tx.raw, 8118).unwrap_err().to_string();
    assert_eq!(
        EvmTx::decode(&sign(legacy(0, to, 1), 1).raw, 8118)
            .unwrap()
            .sender,
        who(1)
    );
    let unprotected = sign(
        TxLegacy {
            chain_id: None,
            ..legacy(0, to, 1)
        },
        1,
    );
    assert_eq!(
        decode(&unprotected),
        "only replay-protected (EIP-155) transactions allowed over RPC"
    );
    assert!(EvmTx::decode_any(&unprotected.raw).is_ok(), "replay takes it");
    assert_eq!(
        decode(&sign(
            TxLegacy {
                chain_id: Some(5),
                ..legacy(0, to, 1)
            },
            1
        )),
        "incorrect chain-id; expected 8118, got 5"
    );
    let blob = sign(
        TxEip4844 {
            chain_id: 8118,
            blob_versioned_hashes: vec![types::B256::ZERO],
            ..Default::default()
        },
        1,
    );
    assert_eq!(decode(&blob), "transaction type not supported: blob");
    assert!(EvmTx::decode_any(&blob.raw).is_ok(), "replay takes it");
    let dear = sign(
        TxLegacy {
            value: U256::MAX,
            ..legacy(0, to, 1)
        },
        1,
    );
    assert!(matches!(EvmTx::decode(&dear.raw, 8118), Err(TxError::Range(_))));
    let mut trailing = sign(legacy(0, to, 1), 1).raw.to_vec();
    trailing.push(0);
    let huge = vec![0xf8; TX_BYTES_MAX + 1];
    for (bytes, want) in [
        (&[][..], "rlp"),
        (&[0x05, 0xc0], "transaction type not supported: 5"),
        (&[0x02, 0xc0], "rlp"),
        (&[0xc0], "rlp"),
        (&trailing, "rlp"),
        (&huge, "oversized data: transaction size 131073, limit 131072"),
    ] {
        let error = EvmTx::decode(bytes, 8118).unwrap_err().to_string();
        assert!(error.starts_with(want), "have {error:?}, want {want:?}");
    }
}

#[test]
fn a_malleable_signature_is_refused() {
    use alloy_consensus::SignableTransaction;
    let tx = legacy(0, Address::repeat_byte(9), 1);
    let signature = signature(&tx.signature_hash(), 1);
    let order = U256::from_str_radix(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        16,
    )
    .unwrap();
    let high = alloy_primitives::Signature::new(signature.r(), order - signature.s(), !signature.v());
    let tx = EvmTx::new(x_evm::Envelope::from(tx.into_signed(high)), who(1));
    assert_eq!(EvmTx::decode(&tx.raw, 8118), Err(TxError::Signature));
    assert_eq!(EvmTx::decode_any(&tx.raw).unwrap().sender, who(1));
}
