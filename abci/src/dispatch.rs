//! The sixteen calls of ABCI 0.38, and what happens where one fails.
use std::panic::{AssertUnwindSafe, catch_unwind};
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    Request, Response, ResponseException, request::Value as Ask, response::Value as Answer,
};

/// A call that has no ordinary answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, with the value in it.
    pub message: String,
    /// Whether the node must stop: state is not what it should be. Otherwise the request was at fault.
    pub fatal: bool,
}

/// An application whose calls may fail. tendermint-abci's trait has no room for that: a call that fails leaves its
/// reason behind, returns anything, and the reason is sent as ABCI's exception instead.
pub trait Failing: Application {
    /// What the last call on this clone left behind, once.
    fn take_failure(&self) -> Option<Failure>;
}

/// The answer to `request`, and the failure where the answer is an exception.
pub(crate) fn answer<A: Failing>(app: &A, request: Request) -> (Response, Option<Failure>) {
    let Some(ask) = request.value else {
        return exception(Failure {
            message: "ABCI request without a value".into(),
            fatal: false,
        });
    };
    let name = name(&ask);
    // Unwind safety: a panic stops the node, so nobody sees what the call left half done.
    match catch_unwind(AssertUnwindSafe(|| call(app, ask))) {
        Ok(value) => match app.take_failure() {
            None => (Response { value: Some(value) }, None),
            Some(f) => exception(Failure {
                message: format!("{name}: {}", f.message),
                ..f
            }),
        },
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            exception(Failure {
                message: format!("{name} panicked: {said}"),
                fatal: true,
            })
        }
    }
}

/// Tells the other side why there is no answer. CometBFT stops on it.
pub(crate) fn exception(failure: Failure) -> (Response, Option<Failure>) {
    let error = failure.message.clone();
    (
        Response {
            value: Some(Answer::Exception(ResponseException { error })),
        },
        Some(failure),
    )
}

fn call<A: Application>(app: &A, ask: Ask) -> Answer {
    match ask {
        Ask::Echo(r) => Answer::Echo(app.echo(r)),
        Ask::Flush(_) => Answer::Flush(app.flush()),
        Ask::Info(r) => Answer::Info(app.info(r)),
        Ask::InitChain(r) => Answer::InitChain(app.init_chain(r)),
        Ask::Query(r) => Answer::Query(app.query(r)),
        Ask::CheckTx(r) => Answer::CheckTx(app.check_tx(r)),
        Ask::Commit(_) => Answer::Commit(app.commit()),
        Ask::ListSnapshots(_) => Answer::ListSnapshots(app.list_snapshots()),
        Ask::OfferSnapshot(r) => Answer::OfferSnapshot(app.offer_snapshot(r)),
        Ask::LoadSnapshotChunk(r) => Answer::LoadSnapshotChunk(app.load_snapshot_chunk(r)),
        Ask::ApplySnapshotChunk(r) => Answer::ApplySnapshotChunk(app.apply_snapshot_chunk(r)),
        Ask::PrepareProposal(r) => Answer::PrepareProposal(app.prepare_proposal(r)),
        Ask::ProcessProposal(r) => Answer::ProcessProposal(app.process_proposal(r)),
        Ask::ExtendVote(r) => Answer::ExtendVote(app.extend_vote(r)),
        Ask::VerifyVoteExtension(r) => Answer::VerifyVoteExtension(app.verify_vote_extension(r)),
        Ask::FinalizeBlock(r) => Answer::FinalizeBlock(app.finalize_block(r)),
    }
}

fn name(ask: &Ask) -> &'static str {
    match ask {
        Ask::Echo(_) => "Echo",
        Ask::Flush(_) => "Flush",
        Ask::Info(_) => "Info",
        Ask::InitChain(_) => "InitChain",
        Ask::Query(_) => "Query",
        Ask::CheckTx(_) => "CheckTx",
        Ask::Commit(_) => "Commit",
        Ask::ListSnapshots(_) => "ListSnapshots",
        Ask::OfferSnapshot(_) => "OfferSnapshot",
        Ask::LoadSnapshotChunk(_) => "LoadSnapshotChunk",
        Ask::ApplySnapshotChunk(_) => "ApplySnapshotChunk",
        Ask::PrepareProposal(_) => "PrepareProposal",
        Ask::ProcessProposal(_) => "ProcessProposal",
        Ask::ExtendVote(_) => "ExtendVote",
        Ask::VerifyVoteExtension(_) => "VerifyVoteExtension",
        Ask::FinalizeBlock(_) => "FinalizeBlock",
    }
}
