//! Read a Cosmos transaction strictly: one byte string, one meaning.
use cosmrs::proto::{
    Any,
    cosmos::tx::v1beta1::{AuthInfo, Fee, TxBody, TxRaw},
};
use module::{Error, Message, Result, codes, decode_strict};
use sha2::{Digest, Sha256};
use types::Bytes;

/// Bytes of a transaction at most: what CometBFT's mempool takes by default (`mempool.max_tx_bytes`, 1 MiB); nothing
/// bigger reaches a block by the usual way.
pub const TX_BYTES_MAX: usize = 1 << 20;
/// Messages in a transaction at most: 1 MiB of empty ones would be half a million, and each is decoded and checked
/// before anything is paid. The block's gas admits fewer.
pub const MESSAGES_MAX: usize = 10_000;

/// A decoded transaction: an Ethereum envelope or a native one (the app tells by the extension options).
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedTx {
    /// As received.
    pub bytes: Bytes,
    /// sha256 of the bytes: the name CometBFT and Cosmos clients know it by.
    pub hash: [u8; 32],
    /// `TxRaw.body_bytes`: what was signed.
    pub body_bytes: Vec<u8>,
    /// `TxRaw.auth_info_bytes`: what was signed.
    pub auth_info_bytes: Vec<u8>,
    /// Messages, memo, timeout.
    pub body: TxBody,
    /// Signers and fee.
    pub auth_info: AuthInfo,
    /// The fee: `auth_info.fee`, whose presence was checked.
    pub fee: Fee,
    /// One a signer; none in an Ethereum envelope.
    pub signatures: Vec<Vec<u8>>,
}

impl DecodedTx {
    /// The messages, not decoded.
    pub fn messages(&self) -> &[Any] {
        &self.body.messages
    }
    /// The critical extension options: an Ethereum envelope has exactly one.
    pub fn extension_options(&self) -> &[Any] {
        &self.body.extension_options
    }
}

/// Reads a transaction. Everything that [`decode_strict`] refuses is refused at every level, so the bytes are a
/// function of the content. Errors: `sdk/21` for too many bytes, `sdk/2` for all else.
pub fn decode(bytes: Bytes) -> Result<DecodedTx> {
    if bytes.len() > TX_BYTES_MAX {
        let why = format!("{} bytes, at most {TX_BYTES_MAX}: tx too large", bytes.len());
        return Err(Error::sdk(codes::TX_TOO_LARGE, why));
    }
    let raw: TxRaw = decode_strict("TxRaw", &bytes)?;
    let body: TxBody = decode_strict("TxBody", &raw.body_bytes)?;
    let auth_info: AuthInfo = decode_strict("AuthInfo", &raw.auth_info_bytes)?;
    let bad = |why: String| Error::sdk(codes::TX_DECODE, format!("{why}: tx parse error"));
    if body.messages.len() > MESSAGES_MAX {
        return Err(bad(format!(
            "{} messages, at most {MESSAGES_MAX}",
            body.messages.len()
        )));
    }
    let fee = auth_info
        .fee
        .clone()
        .ok_or_else(|| bad("AuthInfo without a fee".into()))?;
    if raw.signatures.len() != auth_info.signer_infos.len() {
        let (have, want) = (raw.signatures.len(), auth_info.signer_infos.len());
        return Err(bad(format!("{have} signatures for {want} signer infos")));
    }
    Ok(DecodedTx {
        hash: Sha256::digest(&bytes).into(),
        bytes,
        body_bytes: raw.body_bytes,
        auth_info_bytes: raw.auth_info_bytes,
        body,
        auth_info,
        fee,
        signatures: raw.signatures,
    })
}

/// Decodes the messages with `decode` (the modules' tables). Error `sdk/2` where no module knows a type.
pub fn decode_messages(
    tx: &DecodedTx,
    decode: impl Fn(&str, &[u8]) -> Option<Result<Box<dyn Message>>>,
) -> Result<Vec<Box<dyn Message>>> {
    let unknown = |url: &str| {
        Error::sdk(
            codes::TX_DECODE,
            format!("unable to resolve type URL {url}: tx parse error"),
        )
    };
    let one = |any: &Any| decode(&any.type_url, &any.value).unwrap_or_else(|| Err(unknown(&any.type_url)));
    tx.messages().iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    fn raw() -> TxRaw {
        let auth_info = AuthInfo {
            fee: Some(Fee {
                gas_limit: 5,
                ..Fee::default()
            }),
            ..AuthInfo::default()
        };
        let body = TxBody {
            memo: "hello".into(),
            ..TxBody::default()
        };
        TxRaw {
            body_bytes: body.encode_to_vec(),
            auth_info_bytes: auth_info.encode_to_vec(),
            signatures: vec![],
        }
    }

    #[test]
    fn one_content_has_one_encoding() {
        let good = raw();
        let tx = decode(good.encode_to_vec().into()).unwrap();
        assert_eq!((tx.body.memo.as_str(), tx.fee.gas_limit), ("hello", 5));
        assert_eq!(tx.hash, <[u8; 32]>::from(Sha256::digest(good.encode_to_vec())));
        let with = |change: &dyn Fn(&mut TxRaw)| {
            let mut raw = good.clone();
            change(&mut raw);
            raw.encode_to_vec()
        };
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("nothing", vec![]),
            ("garbage", vec![0xff; 40]),
            (
                "a critical unknown field",
                [good.encode_to_vec(), vec![0x22, 0]].concat(),
            ),
            (
                "a non-critical unknown field (1024)",
                [good.encode_to_vec(), vec![0x82, 0x40, 0]].concat(),
            ),
            (
                "an unknown field in the body",
                with(&|r| r.body_bytes.extend([0x20, 1])),
            ),
            (
                "fields out of order",
                with(&|r| r.body_bytes.extend([0x12, 1, b'x'])),
            ),
            ("an explicit default", with(&|r| r.body_bytes.extend([0x18, 0]))),
            ("a padded number", with(&|r| r.body_bytes.extend([0x18, 0x81, 0]))),
            (
                "an unknown field in the auth info",
                with(&|r| r.auth_info_bytes.extend([0x22, 0])),
            ),
            ("no fee", with(&|r| r.auth_info_bytes.clear())),
            (
                "a signature without a signer",
                with(&|r| r.signatures.push(vec![1])),
            ),
        ];
        for (what, bytes) in cases {
            let err = decode(bytes.into()).expect_err(what);
            assert!(
                matches!(
                    err,
                    Error::Rejected {
                        codespace: "sdk",
                        code: 2,
                        ..
                    }
                ),
                "{what}: {err}"
            );
        }
        let err = decode(vec![0; TX_BYTES_MAX + 1].into()).unwrap_err();
        assert!(matches!(err, Error::Rejected { code: 21, .. }), "{err}");
    }

    #[test]
    fn deep_nesting_is_refused_without_recursing_into_it() {
        // ModeInfo.multi.mode_infos within itself, as deep as the bytes allow.
        let mut mode = Vec::new();
        for _ in 0..5000 {
            let inner = [vec![0x12], varint(mode.len()), mode].concat();
            mode = [vec![0x12], varint(inner.len()), inner].concat();
        }
        let signer = [vec![0x12], varint(mode.len()), mode].concat();
        let auth_info_bytes = [vec![0x0a], varint(signer.len()), signer].concat();
        let bytes = TxRaw {
            auth_info_bytes,
            ..raw()
        }
        .encode_to_vec();
        assert!(matches!(
            decode(bytes.into()),
            Err(Error::Rejected { code: 2, .. })
        ));
    }

    fn varint(n: usize) -> Vec<u8> {
        let mut out = Vec::new();
        prost::encoding::encode_varint(n as u64, &mut out);
        out
    }
}
