//! The app behind tendermint-abci's `Application` trait: conversion, nothing else.
use crate::{Failing, Failure, convert};
use app::{App, AppError, CheckKind, Query};
use state::{Chunk, CommitStore, Offer};
use std::cell::RefCell;
use std::sync::Arc;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    CheckTxType, RequestApplySnapshotChunk, RequestCheckTx, RequestFinalizeBlock, RequestInfo,
    RequestInitChain, RequestLoadSnapshotChunk, RequestOfferSnapshot, RequestPrepareProposal,
    RequestProcessProposal, RequestQuery, RequestVerifyVoteExtension, ResponseApplySnapshotChunk,
    ResponseCheckTx, ResponseCommit, ResponseFinalizeBlock, ResponseInfo, ResponseInitChain,
    ResponseListSnapshots, ResponseLoadSnapshotChunk, ResponseOfferSnapshot, ResponsePrepareProposal,
    ResponseProcessProposal, ResponseQuery, ResponseVerifyVoteExtension,
    response_apply_snapshot_chunk::Result as apply, response_offer_snapshot::Result as offer,
    response_process_proposal::ProposalStatus, response_verify_vote_extension::VerifyStatus,
};

/// The app as ABCI sees it. A clone a connection: each has its own place for a failure.
pub struct AbciApp<S: CommitStore> {
    app: Arc<App<S>>,
    failure: RefCell<Option<Failure>>,
}

impl<S: CommitStore> AbciApp<S> {
    /// Serves `app`.
    pub fn new(app: Arc<App<S>>) -> Self {
        Self {
            app,
            failure: RefCell::new(None),
        }
    }
    /// The answer, or anything with the failure left behind.
    fn park<T: Default, E: Into<Failure>>(&self, result: Result<T, E>) -> T {
        result.unwrap_or_else(|e| {
            *self.failure.borrow_mut() = Some(e.into());
            T::default()
        })
    }
}

impl<S: CommitStore> Clone for AbciApp<S> {
    fn clone(&self) -> Self {
        Self::new(self.app.clone())
    }
}

impl<S: CommitStore> std::fmt::Debug for AbciApp<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AbciApp")
            .field("height", &self.app.height())
            .finish_non_exhaustive()
    }
}

/// State is not what it should be: the node stops.
impl From<AppError> for Failure {
    fn from(e: AppError) -> Self {
        Self {
            message: e.to_string(),
            fatal: true,
        }
    }
}
/// A request that makes no sense.
impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self {
            message,
            fatal: false,
        }
    }
}

/// Says why state sync does not go on as it is.
fn refused(why: &str) {
    tracing::warn!(why, "refused a snapshot");
}

impl<S: CommitStore> Failing for AbciApp<S> {
    fn take_failure(&self) -> Option<Failure> {
        self.failure.borrow_mut().take()
    }
}

impl<S: CommitStore> Application for AbciApp<S> {
    fn info(&self, _: RequestInfo) -> ResponseInfo {
        self.park(self.app.info().map(|info| ResponseInfo {
            data: "braid".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            app_version: info.app_version,
            last_block_height: convert::signed(info.version.height),
            // Before the first block CometBFT takes InitChain's hash; the SDK says nothing here either.
            last_block_app_hash: match info.version.height {
                0 => types::Bytes::new(),
                _ => types::Bytes::copy_from_slice(&info.version.root),
            },
        }))
    }

    fn init_chain(&self, request: RequestInitChain) -> ResponseInitChain {
        let run = || {
            let done = self.app.init_chain(&convert::init_chain(request)?)?;
            Ok::<_, Failure>(ResponseInitChain {
                consensus_params: None,
                validators: convert::validators_out(done.validators),
                app_hash: types::Bytes::copy_from_slice(&done.app_hash),
            })
        };
        self.park(run())
    }

    fn query(&self, request: RequestQuery) -> ResponseQuery {
        let RequestQuery {
            data,
            path,
            height,
            prove,
        } = request;
        let r = self.app.query(&Query {
            path,
            data,
            height,
            prove,
        });
        ResponseQuery {
            code: r.code,
            log: r.log,
            info: String::new(),
            index: 0,
            key: r.key,
            value: r.value,
            proof_ops: convert::proof(r.proof),
            height: convert::signed(r.height),
            codespace: r.codespace,
        }
    }

    fn check_tx(&self, request: RequestCheckTx) -> ResponseCheckTx {
        let kind = match CheckTxType::try_from(request.r#type) {
            Ok(CheckTxType::New) => Ok(CheckKind::New),
            Ok(CheckTxType::Recheck) => Ok(CheckKind::Recheck),
            Err(_) => Err(format!("unknown type {}", request.r#type)),
        };
        self.park(kind.map(|kind| convert::check_result(self.app.check_tx(&request.tx, kind))))
    }

    fn prepare_proposal(&self, request: RequestPrepareProposal) -> ResponsePrepareProposal {
        let max_tx_bytes = request.max_tx_bytes;
        let prepared = convert::prepare(request).map(|b| self.app.prepare_proposal(&b, max_tx_bytes));
        self.park(prepared.map(|txs| ResponsePrepareProposal { txs }))
    }

    fn process_proposal(&self, request: RequestProcessProposal) -> ResponseProcessProposal {
        let judged = convert::process(request).map(|block| match self.app.process_proposal(&block) {
            Ok(()) => ProposalStatus::Accept,
            Err(reason) => {
                tracing::warn!(height = block.height, proposer = %block.proposer, reason, "rejected a proposal");
                ProposalStatus::Reject
            }
        });
        self.park(judged.map(|status| ResponseProcessProposal {
            status: status.into(),
        }))
    }

    fn finalize_block(&self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock {
        let run = || {
            let done = self.app.finalize_block(&convert::finalize(request)?)?;
            Ok::<_, Failure>(ResponseFinalizeBlock {
                events: convert::events(done.events),
                tx_results: done.results.into_iter().map(convert::tx_result).collect(),
                validator_updates: convert::validators_out(done.validator_updates),
                consensus_param_updates: None,
                app_hash: types::Bytes::copy_from_slice(&done.app_hash),
            })
        };
        self.park(run())
    }

    fn commit(&self) -> ResponseCommit {
        let done = self.app.commit();
        self.park(done.map(|c| ResponseCommit {
            retain_height: convert::signed(c.retain_height),
        }))
    }

    fn list_snapshots(&self) -> ResponseListSnapshots {
        ResponseListSnapshots {
            snapshots: self
                .app
                .snapshots()
                .into_iter()
                .map(convert::snapshot_out)
                .collect(),
        }
    }

    fn load_snapshot_chunk(&self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk {
        let RequestLoadSnapshotChunk {
            height,
            format,
            chunk,
        } = request;
        // CometBFT tells the other node that an empty chunk is missing.
        let loaded = self.app.snapshot_chunk(height, format, chunk);
        self.park(loaded.map(|found| ResponseLoadSnapshotChunk {
            chunk: found.unwrap_or_default(),
        }))
    }

    fn offer_snapshot(&self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot {
        let run = || {
            let Ok((snapshot, app_hash)) = convert::offer(request).inspect_err(|why| refused(why)) else {
                return Ok::<_, AppError>(offer::Reject);
            };
            let offered = self.app.offer_snapshot(&snapshot, &app_hash)?;
            tracing::info!(height = snapshot.height, chunks = snapshot.chunks, answer = ?offered, "offered a snapshot");
            Ok(match offered {
                Offer::Accept => offer::Accept,
                Offer::Reject(_) => offer::Reject,
                Offer::RejectFormat(_) => offer::RejectFormat,
                Offer::Abort(_) => offer::Abort,
            })
        };
        self.park(run().map(|result| ResponseOfferSnapshot {
            result: result.into(),
        }))
    }

    fn apply_snapshot_chunk(&self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk {
        let RequestApplySnapshotChunk { index, chunk, sender } = request;
        self.park(self.app.apply_snapshot_chunk(index, &chunk).map(|applied| {
            let mut answer = ResponseApplySnapshotChunk::default();
            let result = match applied {
                Chunk::Accept => apply::Accept,
                Chunk::Done(version) => {
                    tracing::info!(height = version.height, "restored a snapshot");
                    apply::Accept
                }
                Chunk::Refetch(why) => {
                    tracing::warn!(sender, why, "asking another node for a chunk");
                    answer.refetch_chunks = vec![index];
                    answer.reject_senders = vec![sender];
                    apply::Retry
                }
                Chunk::Restart(why) => {
                    refused(&why);
                    apply::RetrySnapshot
                }
                Chunk::Reject(why) => {
                    refused(&why);
                    apply::RejectSnapshot
                }
                Chunk::Abort(why) => {
                    refused(&why);
                    apply::Abort
                }
            };
            answer.result = result.into();
            answer
        }))
    }

    /// The chain extends no votes: an extension that is not empty is not from a node of its.
    fn verify_vote_extension(&self, request: RequestVerifyVoteExtension) -> ResponseVerifyVoteExtension {
        let empty = request.vote_extension.is_empty();
        let status = if empty {
            VerifyStatus::Accept
        } else {
            VerifyStatus::Reject
        };
        ResponseVerifyVoteExtension {
            status: status.into(),
        }
    }
}
