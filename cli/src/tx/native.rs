//! Native transactions: simulate, price, sign, send.
use super::fees;
use super::flags::SignWith;
use super::session::{SEQUENCE_RETRIES, Session, Signer, expected_sequence};
use crate::client::Refused;
use crate::{messages, response};
use anyhow::{Context as _, Result, anyhow, bail};
use cosmrs::proto::Any;
use cosmrs::proto::cosmos::tx::signing::v1beta1::SignMode;
use cosmrs::proto::cosmos::tx::v1beta1::{AuthInfo, Fee, SimulateRequest, SimulateResponse, TxBody, TxRaw};
use prost::Message as _;
use serde_json::{Value, json};
use x_auth::{Draft, PublicKey, SignFor, SigningKey};

/// Sends `messages`, signed by `signer`, as the session's flags say.
pub(crate) async fn run(session: &Session, signer: &Signer, messages: Vec<Any>) -> Result<()> {
    let flags = &session.flags;
    let draft = Draft {
        messages,
        memo: flags.note.clone(),
        timeout_height: flags.timeout_height,
        ..Draft::default()
    };
    let Some(record) = &signer.record else {
        return generate(session, draft).await;
    };
    let public = record.public()?;
    let (account_number, sequence) = session.account_numbers(&signer.address).await?;
    let gas_limit = fees::gas_limit(flags, simulate(session, &draft, &public, sequence)).await?;
    if flags.dry_run {
        return session.print(&json!({ "gas_estimate": gas_limit.to_string() }));
    }
    let fee = fees::native_fee(flags, session.config(), session.client.as_ref(), gas_limit).await?;
    let draft = Draft {
        gas_limit,
        fee,
        ..draft
    };
    let key = session.secret(record)?.signing_key();
    let build = |sequence| {
        let chain_id = session.chain.id()?.to_owned();
        sign(
            &key,
            flags.sign_mode,
            &SignFor {
                chain_id,
                account_number,
                sequence,
            },
            &draft,
        )
    };
    if flags.offline {
        return session.print_signed(&build(sequence)?);
    }
    session.confirm(&unsigned(&draft)?)?;
    session.send(sequence, |_, _| {}, build).await
}

fn sign(key: &SigningKey, mode: SignWith, signing: &SignFor, draft: &Draft) -> Result<Vec<u8>> {
    match mode {
        SignWith::Direct => Ok(x_auth::sign_direct(key, signing, draft)),
        SignWith::AminoJson => {
            let amino =
                |m: &Any| messages::to_amino(m).ok_or_else(|| anyhow!("{} has no amino JSON", m.type_url));
            let messages = draft.messages.iter().map(amino).collect::<Result<_>>()?;
            Ok(x_auth::sign_amino(key, signing, draft, messages))
        }
    }
}

/// The gas that the chain would use. A block may have come since the sequence was asked for: where the node expects
/// another, and none was insisted on, it is simulated again with that one.
async fn simulate(session: &Session, draft: &Draft, public: &PublicKey, mut sequence: u64) -> Result<u64> {
    for _ in 0..SEQUENCE_RETRIES {
        let answer = simulate_at(session, draft, public, sequence).await;
        let refused = answer.as_ref().err().and_then(|e| e.downcast_ref::<Refused>());
        let expected = refused
            .filter(|r| r.code == 32)
            .and_then(|r| expected_sequence(&r.log));
        match expected {
            Some(e) if session.flags.sequence.is_none() && e != sequence => sequence = e,
            _ => return answer.context("simulation failed (--gas N skips it)"),
        }
    }
    bail!("simulation failed: the account's sequence changed {SEQUENCE_RETRIES} times (--gas N skips it)")
}

/// One simulation. The signature is of the right length, and not checked.
async fn simulate_at(session: &Session, draft: &Draft, public: &PublicKey, sequence: u64) -> Result<u64> {
    let mode = match session.flags.sign_mode {
        SignWith::Direct => SignMode::Direct,
        SignWith::AminoJson => SignMode::LegacyAminoJson,
    };
    let raw = TxRaw {
        body_bytes: draft.body_bytes(),
        auth_info_bytes: draft.auth_info_bytes(vec![x_auth::signer_info(public, sequence, mode)]),
        signatures: vec![vec![0; 64]],
    };
    let request = SimulateRequest {
        tx_bytes: raw.encode_to_vec(),
        ..SimulateRequest::default()
    };
    let path = "/cosmos.tx.v1beta1.Service/Simulate";
    let answer: SimulateResponse = session.online()?.query(path, &request, None).await?;
    answer
        .gas_info
        .map(|g| g.gas_used)
        .context("the node's simulation names no gas")
}

async fn generate(session: &Session, draft: Draft) -> Result<()> {
    let flags = &session.flags;
    let gas_limit = match flags.gas {
        super::flags::Gas::Limit(limit) => limit,
        // Without a key there is nothing to simulate with: the SDK's default.
        super::flags::Gas::Auto => 200_000,
    };
    let priced = flags.fees.is_some() || flags.gas_prices.is_some() || session.client.is_some();
    let fee = if priced {
        fees::native_fee(flags, session.config(), session.client.as_ref(), gas_limit).await?
    } else {
        Vec::new()
    };
    session.print(&unsigned(&Draft {
        gas_limit,
        fee,
        ..draft
    })?)
}

fn unsigned(draft: &Draft) -> Result<Value> {
    let body = TxBody::decode(draft.body_bytes().as_slice())?;
    let auth = AuthInfo::decode(draft.auth_info_bytes(Vec::new()).as_slice())?;
    if auth.fee.as_ref() == Some(&Fee::default()) {
        bail!("a transaction without gas");
    }
    Ok(response::unsigned_json(&body, &auth, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmrs::proto::cosmos::bank::v1beta1::MsgSend;
    use cosmrs::proto::cosmos::base::v1beta1::Coin as ProtoCoin;
    use types::{Coin, U256};

    fn draft() -> Draft {
        let message = MsgSend {
            from_address: "cosmos1a".into(),
            to_address: "cosmos1b".into(),
            amount: vec![ProtoCoin {
                denom: "stake".into(),
                amount: "12".into(),
            }],
        };
        Draft {
            messages: vec![messages::any(&message)],
            fee: vec![Coin::new(U256::from(5), "stake")],
            gas_limit: 100_000,
            memo: "hello".into(),
            timeout_height: 9,
        }
    }

    #[test]
    fn direct_sign_bytes_are_those_of_cosmrs() {
        let signing = SignFor {
            chain_id: "braid-local-1".into(),
            account_number: 3,
            sequence: 4,
        };
        let ours = sign(
            &SigningKey::cosmos(&[7; 32]).unwrap(),
            SignWith::Direct,
            &signing,
            &draft(),
        )
        .unwrap();
        // The same transaction, made by another library.
        use cosmrs::tx::{BodyBuilder, Fee, SignDoc, SignerInfo};
        let key = cosmrs::crypto::secp256k1::SigningKey::from_slice(&[7; 32]).unwrap();
        let mut body = BodyBuilder::new();
        body.msg(draft().messages[0].clone())
            .memo("hello")
            .timeout_height(9u32);
        let amount = cosmrs::Coin {
            denom: "stake".parse().unwrap(),
            amount: 5,
        };
        let auth = SignerInfo::single_direct(Some(key.public_key()), 4)
            .auth_info(Fee::from_amount_and_gas(amount, 100_000u64));
        let doc = SignDoc::new(&body.finish(), &auth, &"braid-local-1".parse().unwrap(), 3).unwrap();
        let theirs = doc.sign(&key).unwrap().to_bytes().unwrap();
        assert_eq!(hex::encode(ours), hex::encode(theirs));
    }

    #[test]
    fn a_message_without_amino_json_cannot_be_signed_that_way() {
        let signing = SignFor {
            chain_id: "x".into(),
            account_number: 0,
            sequence: 0,
        };
        let key = SigningKey::eth(&[7; 32]).unwrap();
        let odd = Draft {
            messages: vec![Any {
                type_url: "/x.Y".into(),
                value: vec![],
            }],
            ..draft()
        };
        assert!(
            sign(&key, SignWith::AminoJson, &signing, &odd)
                .unwrap_err()
                .to_string()
                .contains("/x.Y")
        );
        assert!(sign(&key, SignWith::AminoJson, &signing, &draft()).is_ok());
    }

    #[test]
    fn what_is_shown_before_signing_is_what_is_signed() {
        let shown = unsigned(&draft()).unwrap();
        assert_eq!(shown["body"]["memo"], "hello");
        assert_eq!(shown["body"]["messages"][0]["amount"][0]["amount"], "12");
        assert_eq!(shown["auth_info"]["fee"]["gas_limit"], "100000");
        assert_eq!(shown["body"]["timeout_height"], "9");
    }
}
