//! Protobuf ↔ the app's types. Fields that CometBFT would never send are refused by name.
use app::{Block, ConsensusParams, InitChain, TxResult, ValidatorUpdate, Vote};
use state::{AppHash, ProofOp, SyncSnapshot};
use tendermint_proto::google::protobuf as google;
use tendermint_proto::v0_38::abci as pb;
use tendermint_proto::v0_38::{crypto, types as pt};
use types::{Address, B256, Bytes, Event, Timestamp};

/// What is wrong with a request.
pub(crate) type Refused = String;

pub(crate) fn init_chain(r: pb::RequestInitChain) -> Result<InitChain, Refused> {
    let params = r.consensus_params.ok_or("no consensus_params")?;
    let block = params.block.ok_or("no consensus_params.block")?;
    Ok(InitChain {
        chain_id: r.chain_id,
        time: time(r.time)?,
        initial_height: height(r.initial_height)?,
        params: ConsensusParams {
            max_bytes: block.max_bytes,
            max_gas: block.max_gas,
            app_version: params.version.map_or(0, |v| v.app),
        },
        validators: r
            .validators
            .into_iter()
            .map(validator_in)
            .collect::<Result<_, _>>()?,
        app_state: r.app_state_bytes,
    })
}

pub(crate) fn snapshot_out(s: SyncSnapshot) -> pb::Snapshot {
    pb::Snapshot {
        height: s.height,
        format: s.format,
        chunks: s.chunks,
        hash: s.hash,
        metadata: s.metadata,
    }
}

/// An offered snapshot, and the app hash that the light client found for its height.
pub(crate) fn offer(r: pb::RequestOfferSnapshot) -> Result<(SyncSnapshot, AppHash), Refused> {
    let s = r.snapshot.ok_or("no snapshot")?;
    let app_hash = AppHash::try_from(&r.app_hash[..])
        .map_err(|_| format!("app_hash has {} bytes, want 32", r.app_hash.len()))?;
    let snapshot = SyncSnapshot {
        height: s.height,
        format: s.format,
        chunks: s.chunks,
        hash: s.hash,
        metadata: s.metadata,
    };
    Ok((snapshot, app_hash))
}

pub(crate) fn prepare(r: pb::RequestPrepareProposal) -> Result<Block, Refused> {
    let votes = r.local_last_commit.map_or_else(Vec::new, |c| c.votes);
    Ok(Block {
        height: height(r.height)?,
        time: time(r.time)?,
        hash: B256::ZERO,
        proposer: address("proposer_address", &r.proposer_address)?,
        txs: r.txs,
        votes: votes
            .into_iter()
            .map(|v| vote(v.validator, v.block_id_flag))
            .collect::<Result<_, _>>()?,
    })
}

pub(crate) fn process(r: pb::RequestProcessProposal) -> Result<Block, Refused> {
    decided(
        r.height,
        r.time,
        &r.hash,
        &r.proposer_address,
        r.txs,
        r.proposed_last_commit,
    )
}

pub(crate) fn finalize(r: pb::RequestFinalizeBlock) -> Result<Block, Refused> {
    decided(
        r.height,
        r.time,
        &r.hash,
        &r.proposer_address,
        r.txs,
        r.decided_last_commit,
    )
}

fn decided(
    at: i64,
    when: Option<google::Timestamp>,
    hash: &Bytes,
    proposer: &Bytes,
    txs: Vec<Bytes>,
    commit: Option<pb::CommitInfo>,
) -> Result<Block, Refused> {
    let votes = commit.map_or_else(Vec::new, |c| c.votes);
    Ok(Block {
        height: height(at)?,
        time: time(when)?,
        hash: B256::try_from(hash.as_ref()).map_err(|_| format!("hash of {} bytes, want 32", hash.len()))?,
        proposer: address("proposer_address", proposer)?,
        txs,
        votes: votes
            .into_iter()
            .map(|v| vote(v.validator, v.block_id_flag))
            .collect::<Result<_, _>>()?,
    })
}

fn height(h: i64) -> Result<u64, Refused> {
    u64::try_from(h)
        .ok()
        .filter(|h| *h > 0)
        .ok_or_else(|| format!("height {h}: want at least 1"))
}

fn time(t: Option<google::Timestamp>) -> Result<Timestamp, Refused> {
    let t = t.ok_or("no time")?;
    let nanos = u32::try_from(t.nanos).ok().filter(|n| *n < 1_000_000_000);
    let nanos = nanos.ok_or_else(|| format!("time with {} nanoseconds, want 0 to 999999999", t.nanos))?;
    Ok(Timestamp {
        seconds: t.seconds,
        nanos,
    })
}

fn address(what: &str, bytes: &Bytes) -> Result<Address, Refused> {
    Address::try_from(bytes.as_ref()).map_err(|_| format!("{what} of {} bytes, want 20", bytes.len()))
}

fn vote(validator: Option<pb::Validator>, flag: i32) -> Result<Vote, Refused> {
    let v = validator.ok_or("a vote without a validator")?;
    if v.power < 0 {
        return Err(format!("a vote with power {}", v.power));
    }
    let absent = match pt::BlockIdFlag::try_from(flag) {
        Ok(pt::BlockIdFlag::Absent) => true,
        Ok(pt::BlockIdFlag::Commit | pt::BlockIdFlag::Nil) => false,
        _ => return Err(format!("a vote with block_id_flag {flag}")),
    };
    Ok(Vote {
        validator: address("a validator's address", &v.address)?,
        power: v.power,
        absent,
    })
}

fn validator_in(v: pb::ValidatorUpdate) -> Result<ValidatorUpdate, Refused> {
    let pub_key = match v.pub_key.and_then(|k| k.sum) {
        Some(crypto::public_key::Sum::Ed25519(key)) if key.len() == 32 => key.into(),
        Some(crypto::public_key::Sum::Ed25519(key)) => {
            return Err(format!("a validator's key of {} bytes, want 32", key.len()));
        }
        Some(crypto::public_key::Sum::Secp256k1(_)) => {
            return Err("a secp256k1 validator: want ed25519".into());
        }
        None => return Err("a validator without a key".into()),
    };
    if v.power <= 0 {
        return Err(format!("a validator with power {}, want at least 1", v.power));
    }
    Ok(ValidatorUpdate {
        pub_key,
        power: v.power,
    })
}

pub(crate) fn validators_out(updates: Vec<ValidatorUpdate>) -> Vec<pb::ValidatorUpdate> {
    let key = |k: Bytes| crypto::PublicKey {
        sum: Some(crypto::public_key::Sum::Ed25519(k.into())),
    };
    updates
        .into_iter()
        .map(|u| pb::ValidatorUpdate {
            pub_key: Some(key(u.pub_key)),
            power: u.power,
        })
        .collect()
}

pub(crate) fn events(events: Vec<Event>) -> Vec<pb::Event> {
    let attribute = |(key, value)| pb::EventAttribute {
        key,
        value,
        index: true,
    };
    let event = |e: Event| pb::Event {
        r#type: e.kind,
        attributes: e.attributes.into_iter().map(attribute).collect(),
    };
    events.into_iter().map(event).collect()
}

/// Gas and heights are far below 2^63; a value that is not would be a bug upstream, and stays visible as the maximum.
pub(crate) fn signed(v: u64) -> i64 {
    i64::try_from(v).unwrap_or(i64::MAX)
}

pub(crate) fn tx_result(r: TxResult) -> pb::ExecTxResult {
    pb::ExecTxResult {
        code: r.code,
        data: r.data,
        log: r.log,
        info: String::new(),
        gas_wanted: signed(r.gas_wanted),
        gas_used: signed(r.gas_used),
        events: events(r.events),
        codespace: r.codespace,
    }
}

pub(crate) fn check_result(r: TxResult) -> pb::ResponseCheckTx {
    pb::ResponseCheckTx {
        code: r.code,
        data: r.data,
        log: r.log,
        info: String::new(),
        gas_wanted: signed(r.gas_wanted),
        gas_used: signed(r.gas_used),
        events: events(r.events),
        codespace: r.codespace,
    }
}

pub(crate) fn proof(ops: Vec<ProofOp>) -> Option<crypto::ProofOps> {
    let op = |o: ProofOp| crypto::ProofOp {
        r#type: o.kind,
        key: o.key.into(),
        data: o.data.into(),
    };
    (!ops.is_empty()).then(|| crypto::ProofOps {
        ops: ops.into_iter().map(op).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> pb::RequestFinalizeBlock {
        let validator = Some(pb::Validator {
            address: vec![7; 20].into(),
            power: 10,
        });
        let vote = |flag| pb::VoteInfo {
            validator: validator.clone(),
            block_id_flag: flag,
        };
        pb::RequestFinalizeBlock {
            txs: vec![Bytes::from_static(b"tx")],
            decided_last_commit: Some(pb::CommitInfo {
                round: 0,
                votes: vec![vote(1), vote(2), vote(3)],
            }),
            misbehavior: Vec::new(),
            hash: vec![1; 32].into(),
            height: 5,
            time: Some(google::Timestamp { seconds: 9, nanos: 8 }),
            next_validators_hash: Bytes::new(),
            proposer_address: vec![2; 20].into(),
        }
    }

    #[test]
    fn a_block_keeps_its_parts() {
        let block = finalize(request()).unwrap();
        assert_eq!(
            (block.height, block.hash, block.proposer),
            (5, B256::repeat_byte(1), Address::repeat_byte(2))
        );
        assert_eq!(block.time, Timestamp { seconds: 9, nanos: 8 });
        assert_eq!(
            block.votes.iter().map(|v| v.absent).collect::<Vec<_>>(),
            [true, false, false]
        );
    }

    #[test]
    fn fields_that_make_no_sense_are_refused_by_name() {
        let check = |why: &str, change: fn(&mut pb::RequestFinalizeBlock)| {
            let mut r = request();
            change(&mut r);
            let err = finalize(r).unwrap_err();
            assert!(err.contains(why), "{err}");
        };
        check("height -1", |r| r.height = -1);
        check("height 0", |r| r.height = 0);
        check("no time", |r| r.time = None);
        check("-5 nanoseconds", |r| {
            r.time = Some(google::Timestamp {
                seconds: 0,
                nanos: -5,
            });
        });
        check("hash of 3 bytes", |r| r.hash = vec![0; 3].into());
        check("proposer_address of 0 bytes", |r| {
            r.proposer_address = Bytes::new();
        });
        check("block_id_flag 9", |r| {
            r.decided_last_commit.as_mut().unwrap().votes[0].block_id_flag = 9;
        });
        check("without a validator", |r| {
            r.decided_last_commit.as_mut().unwrap().votes[0].validator = None;
        });
    }

    #[test]
    fn every_attribute_is_indexed() {
        let out = events(vec![Event::new("transfer", [("amount", "1abraid".into())])]);
        assert!(out[0].attributes[0].index);
        assert_eq!(out[0].attributes[0].value, "1abraid");
    }
}
