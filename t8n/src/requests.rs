//! What a block asks of the consensus layer from Prague on (EIP-7685): deposits (EIP-6110), withdrawals (EIP-7002),
//! consolidations (EIP-7251).
use crate::Error;
use crate::alloc::put_all;
use alloy_eips::eip6110::{DEPOSIT_REQUEST_TYPE, MAINNET_DEPOSIT_CONTRACT_ADDRESS};
use alloy_eips::eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE};
use alloy_eips::eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE};
use alloy_primitives::{Bytes, b256};
use sha2::{Digest as _, Sha256};
use state::MemoryState;
use types::B256;
use x_evm::{Env, Log};

/// `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_TOPIC: B256 = b256!("649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");
/// Where each field of the event begins, and its length: key, credentials, amount, signature, index.
const FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];
/// The event's whole length.
const EVENT_BYTES: usize = 576;

/// Collects the block's requests, one a type that has any; runs the two contracts that keep queues.
pub(crate) fn collect<'a>(
    state: &mut MemoryState,
    env: &Env,
    logs: impl Iterator<Item = &'a Log>,
) -> Result<Vec<Bytes>, Error> {
    let mut deposits = vec![DEPOSIT_REQUEST_TYPE];
    for log in logs {
        if log.address == MAINNET_DEPOSIT_CONTRACT_ADDRESS && log.topics().first() == Some(&DEPOSIT_TOPIC) {
            let fields = deposit(&log.data.data).ok_or_else(|| {
                Error::Evm("could not parse requests logs: unable to parse deposit data".to_owned())
            })?;
            deposits.extend_from_slice(&fields);
        }
    }
    let mut out = Vec::new();
    if deposits.len() > 1 {
        out.push(deposits.into());
    }
    for (what, kind, contract) in [
        (
            "withdrawal",
            WITHDRAWAL_REQUEST_TYPE,
            WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
        ),
        (
            "consolidation",
            CONSOLIDATION_REQUEST_TYPE,
            CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
        ),
    ] {
        let called = x_evm::system_call(&*state, env, contract, types::Bytes::new());
        let (answer, writes) = called.map_err(|e| Error::Evm(e.to_string()))?.ok_or_else(|| {
            Error::Evm(format!(
                "could not process {what} requests: system call failed to execute"
            ))
        })?;
        put_all(state, writes).map_err(|e| Error::Evm(e.to_string()))?;
        if !answer.is_empty() {
            out.push([&[kind], answer.as_ref()].concat().into());
        }
    }
    Ok(out)
}

/// The five fields of a deposit's log, end to end; `None` where the log is laid out in another way.
fn deposit(data: &[u8]) -> Option<Vec<u8>> {
    if data.len() != EVENT_BYTES {
        return None;
    }
    let number = |at: usize| {
        let (high, low) = data.get(at..at + 32)?.split_at(24);
        let low = u64::from_be_bytes(low.try_into().ok()?);
        high.iter().all(|b| *b == 0).then(|| usize::try_from(low).ok())?
    };
    let mut out = Vec::new();
    for (place, (at, len)) in FIELDS.into_iter().enumerate() {
        if number(32 * place)? != at || number(at)? != len {
            return None;
        }
        out.extend_from_slice(data.get(at + 32..at + 32 + len)?);
    }
    Some(out)
}

/// The header's `requestsHash`: sha256 of the requests' sha256, those without data left out.
pub(crate) fn hash(requests: &[Bytes]) -> B256 {
    let mut all = Sha256::new();
    for request in requests.iter().filter(|request| request.len() > 1) {
        all.update(Sha256::digest(request));
    }
    B256::from_slice(&all.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deposit_is_its_five_fields() {
        let mut data = vec![0; EVENT_BYTES];
        for (place, (at, len)) in FIELDS.into_iter().enumerate() {
            data[32 * place + 30..32 * place + 32].copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
            data[at + 31] = u8::try_from(len).unwrap();
            data[at + 32..at + 32 + len].fill(u8::try_from(place + 1).unwrap());
        }
        let fields = deposit(&data).unwrap();
        assert_eq!(fields.len(), 48 + 32 + 8 + 96 + 8);
        assert_eq!((fields[0], fields[48], fields[191]), (1, 2, 5));
        data[191] = 47;
        assert_eq!(deposit(&data), None, "a key of 47 bytes");
        assert_eq!(deposit(&data[..100]), None);
    }

    #[test]
    fn the_hash_of_nothing_is_the_eips() {
        assert_eq!(hash(&[]), alloy_eips::eip7685::EMPTY_REQUESTS_HASH);
        assert_eq!(hash(&[Bytes::from_static(&[1])]), hash(&[]));
    }
}
