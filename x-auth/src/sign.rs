//! Make signed native transactions: for the command line, load generators and tests.
use crate::{PublicKey, amino};
use cosmrs::proto::{
    Any,
    cosmos::{
        base::v1beta1::Coin as ProtoCoin,
        tx::{
            signing::v1beta1::SignMode,
            v1beta1::{AuthInfo, Fee, ModeInfo, SignDoc, SignerInfo, TxBody, TxRaw, mode_info},
        },
    },
};
use k256::ecdsa::{Signature, signature::hazmat::PrehashSigner};
use prost::Message as _;
use sha2::{Digest, Sha256};
use types::{Coin, keccak256};

/// A private key of either kind.
#[derive(Clone)]
pub struct SigningKey {
    key: k256::ecdsa::SigningKey,
    eth: bool,
}

impl std::fmt::Debug for SigningKey {
    // The secret stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("public", &self.public())
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// An Ethereum-style key; `None` where `secret` is zero or not below the curve's order.
    pub fn eth(secret: &[u8; 32]) -> Option<Self> {
        let key = k256::ecdsa::SigningKey::from_slice(secret).ok()?;
        Some(Self { key, eth: true })
    }
    /// A Cosmos secp256k1 key; `None` where `secret` is zero or not below the curve's order.
    pub fn cosmos(secret: &[u8; 32]) -> Option<Self> {
        Some(Self {
            eth: false,
            ..Self::eth(secret)?
        })
    }
    /// Its public key, whose `address()` is the account.
    pub fn public(&self) -> PublicKey {
        let point = self.key.verifying_key().to_encoded_point(true);
        let bytes: [u8; 33] = point
            .as_bytes()
            .try_into()
            .expect("a compressed point has 33 bytes");
        if self.eth {
            PublicKey::EthSecp256k1(bytes)
        } else {
            PublicKey::Secp256k1(bytes)
        }
    }
    /// r ‖ s with a low s, over keccak256 or sha256 of `sign_bytes` by the key's kind. Deterministic (RFC 6979).
    pub fn sign(&self, sign_bytes: &[u8]) -> Vec<u8> {
        let digest: [u8; 32] = if self.eth {
            keccak256(sign_bytes).0
        } else {
            Sha256::digest(sign_bytes).into()
        };
        let signature: Signature = self.key.sign_prehash(&digest).expect("32 bytes can be signed");
        signature.normalize_s().unwrap_or(signature).to_vec()
    }
}

/// What a signature commits its transaction to, beside the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignFor {
    /// The Cosmos chain id.
    pub chain_id: String,
    /// The signer's account number.
    pub account_number: u64,
    /// The signer's sequence.
    pub sequence: u64,
}

/// A transaction before it is signed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// The messages.
    pub messages: Vec<Any>,
    /// The whole fee, sorted by denomination.
    pub fee: Vec<Coin>,
    /// Gas at most.
    pub gas_limit: u64,
    /// A note.
    pub memo: String,
    /// Last height it may be included at; 0 is no limit.
    pub timeout_height: u64,
}

impl Draft {
    /// The body's encoding.
    pub fn body_bytes(&self) -> Vec<u8> {
        TxBody {
            messages: self.messages.clone(),
            memo: self.memo.clone(),
            timeout_height: self.timeout_height,
            ..TxBody::default()
        }
        .encode_to_vec()
    }
    /// The auth info's encoding for these signers.
    pub fn auth_info_bytes(&self, signer_infos: Vec<SignerInfo>) -> Vec<u8> {
        let coin = |c: &Coin| ProtoCoin {
            denom: c.denom.clone(),
            amount: c.amount.to_string(),
        };
        let fee = Fee {
            amount: self.fee.iter().map(coin).collect(),
            gas_limit: self.gas_limit,
            ..Fee::default()
        };
        AuthInfo {
            signer_infos,
            fee: Some(fee),
            ..AuthInfo::default()
        }
        .encode_to_vec()
    }
}

/// A signer's entry in the auth info.
pub fn signer_info(key: &PublicKey, sequence: u64, mode: SignMode) -> SignerInfo {
    let single = mode_info::Single { mode: mode.into() };
    SignerInfo {
        public_key: Some(key.to_any()),
        mode_info: Some(ModeInfo {
            sum: Some(mode_info::Sum::Single(single)),
        }),
        sequence,
    }
}

/// What `SIGN_MODE_DIRECT` signs.
pub fn direct_sign_bytes(
    body_bytes: &[u8],
    auth_info_bytes: &[u8],
    chain_id: &str,
    account_number: u64,
) -> Vec<u8> {
    SignDoc {
        body_bytes: body_bytes.to_vec(),
        auth_info_bytes: auth_info_bytes.to_vec(),
        chain_id: chain_id.into(),
        account_number,
    }
    .encode_to_vec()
}

/// A transaction by one signer, in `SIGN_MODE_DIRECT`: `TxRaw` bytes to broadcast.
pub fn sign_direct(key: &SigningKey, signing: &SignFor, draft: &Draft) -> Vec<u8> {
    sign_direct_all(&[(key, signing)], draft)
}

/// A transaction by several signers, in the order the messages name them.
pub fn sign_direct_all(signers: &[(&SigningKey, &SignFor)], draft: &Draft) -> Vec<u8> {
    let infos = signers
        .iter()
        .map(|(k, s)| signer_info(&k.public(), s.sequence, SignMode::Direct))
        .collect();
    let (body_bytes, auth_info_bytes) = (draft.body_bytes(), draft.auth_info_bytes(infos));
    let sign = |(key, s): &(&SigningKey, &SignFor)| {
        key.sign(&direct_sign_bytes(
            &body_bytes,
            &auth_info_bytes,
            &s.chain_id,
            s.account_number,
        ))
    };
    let signatures = signers.iter().map(sign).collect();
    TxRaw {
        body_bytes,
        auth_info_bytes,
        signatures,
    }
    .encode_to_vec()
}

/// A transaction by one signer, in `SIGN_MODE_LEGACY_AMINO_JSON`, as a Ledger signs; `messages` are the draft's in
/// amino JSON.
pub fn sign_amino(
    key: &SigningKey,
    signing: &SignFor,
    draft: &Draft,
    messages: Vec<serde_json::Value>,
) -> Vec<u8> {
    let doc = amino::SignDoc {
        chain_id: &signing.chain_id,
        account_number: signing.account_number,
        sequence: signing.sequence,
        fee: &draft.fee,
        gas_limit: draft.gas_limit,
        payer: "",
        memo: &draft.memo,
        timeout_height: draft.timeout_height,
        messages,
    };
    let infos = vec![signer_info(
        &key.public(),
        signing.sequence,
        SignMode::LegacyAminoJson,
    )];
    TxRaw {
        body_bytes: draft.body_bytes(),
        auth_info_bytes: draft.auth_info_bytes(infos),
        signatures: vec![key.sign(&doc.bytes())],
    }
    .encode_to_vec()
}
