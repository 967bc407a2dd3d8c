//! ABCI queries: the stores with proofs, the modules' gRPC queries, simulation.
use crate::api::{AppError, Query, QueryResult};
use crate::app::App;
use crate::job::run_native;
use crate::tx::{Rules, native};
use cosmrs::proto::cosmos::base::abci::v1beta1::{GasInfo, Result as ProtoResult};
use cosmrs::proto::cosmos::tx::v1beta1::{SimulateRequest, SimulateResponse};
use module::{Error, QueryContext, codes};
use prost::Message as _;
use state::{CommitStore, Control, Key, KeyRange, StateScan as _, StoreError, StoreId};
use types::Bytes;
use x_auth::ante::Purpose;

/// Pairs one subspace query returns at most.
const SUBSPACE_MAX: usize = 10_000;

impl<S: CommitStore> App<S> {
    /// ABCI `Query`. Works on a snapshot; never waits for a block.
    pub fn query(&self, query: &Query) -> QueryResult {
        match self.answer(query) {
            Ok(result) => result,
            Err(e) => {
                let (codespace, code, log) = match e {
                    Error::Rejected {
                        codespace,
                        code,
                        message,
                    } => (codespace, code, message),
                    Error::State(e) => ("sdk", codes::LOGIC, e.to_string()),
                };
                let height = u64::try_from(query.height).unwrap_or(0);
                QueryResult {
                    code,
                    codespace: codespace.into(),
                    log,
                    height,
                    ..QueryResult::default()
                }
            }
        }
    }

    fn answer(&self, query: &Query) -> Result<QueryResult, Error> {
        let height = match u64::try_from(query.height) {
            Err(_) => {
                let why = format!(
                    "cannot query with height < 0; got {}: invalid request",
                    query.height
                );
                return Err(Error::sdk(codes::INVALID_REQUEST, why));
            }
            Ok(0) => self.height(),
            Ok(h) => h,
        };
        if height > self.height() {
            let why = format!(
                "cannot query with height in the future; have {}, asked {height}: invalid height",
                self.height()
            );
            return Err(Error::sdk(codes::INVALID_HEIGHT, why));
        }
        let parts: Vec<&str> = query.path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["store", name, kind] => self.store_query(name, kind, query, height),
            ["app", "version"] => Ok(QueryResult {
                value: env!("CARGO_PKG_VERSION").into(),
                height,
                ..QueryResult::default()
            }),
            ["app", "simulate"] | ["cosmos.tx.v1beta1.Service", "Simulate"] => {
                let tx = if parts[0] == "app" {
                    query.data.clone()
                } else {
                    let bad = |e: prost::DecodeError| Error::invalid_argument(e);
                    SimulateRequest::decode(query.data.clone())
                        .map_err(bad)?
                        .tx_bytes
                        .into()
                };
                let value = self.simulate(&tx)?;
                Ok(QueryResult {
                    value,
                    height,
                    ..QueryResult::default()
                })
            }
            _ => self.module_query(query, height),
        }
    }

    fn module_query(&self, query: &Query, height: u64) -> Result<QueryResult, Error> {
        let block = self.context_at(height).map_err(unavailable)?;
        let state = self.state_at(height).map_err(unavailable)?;
        let ctx = QueryContext {
            block: &block,
            state: &state,
        };
        for module in self.modules.iter() {
            if let Some(answer) = module.query(&query.path, &query.data, &ctx) {
                // CosmJS insists on a height above zero.
                return Ok(QueryResult {
                    value: answer?.into(),
                    height: height.max(1),
                    ..QueryResult::default()
                });
            }
        }
        Err(Error::sdk(
            codes::UNKNOWN_REQUEST,
            format!("unknown query path: {}: unknown request", query.path),
        ))
    }

    fn store_query(&self, name: &str, kind: &str, query: &Query, height: u64) -> Result<QueryResult, Error> {
        let known = StoreId::parse(name).filter(|id| crate::stores().contains(id));
        let Some(store) = known else {
            return Err(Error::sdk(
                codes::UNKNOWN_REQUEST,
                format!("no such store: {name}: unknown request"),
            ));
        };
        match kind {
            "key" => self.key_query(store, query, height),
            "subspace" => {
                let state = self.state_at(height).map_err(unavailable)?;
                let mut pairs = Pairs::default();
                state.scan(&KeyRange::prefix(store, &query.data), &mut |key, value| {
                    pairs.pairs.push(Pair {
                        key: Bytes::copy_from_slice(key.bytes()),
                        value: value.clone(),
                    });
                    if pairs.pairs.len() < SUBSPACE_MAX {
                        Control::Continue(())
                    } else {
                        Control::Break(())
                    }
                })?;
                let value = pairs.encode_to_vec().into();
                Ok(QueryResult {
                    key: query.data.clone(),
                    value,
                    height,
                    ..QueryResult::default()
                })
            }
            _ => Err(Error::sdk(
                codes::UNKNOWN_REQUEST,
                format!("unknown query path: {}: unknown request", query.path),
            )),
        }
    }

    fn key_query(&self, store: StoreId, query: &Query, height: u64) -> Result<QueryResult, Error> {
        let key = Key::new(store, &[&query.data]);
        // SDK baseapp: a proof verifies against the header after its height, so the latest height has none yet.
        let height = match query.height {
            0 if query.prove && height > 1 => height - 1,
            _ => height,
        };
        if !query.prove {
            let state = self.state_at(height).map_err(unavailable)?;
            let value = state::StateRead::get(&state, &key)?.unwrap_or_else(Bytes::new);
            return Ok(QueryResult {
                key: query.data.clone(),
                value,
                height,
                ..QueryResult::default()
            });
        }
        if height <= 1 {
            let why =
                "cannot query with proof when height <= 1; please provide a valid height: invalid request";
            return Err(Error::sdk(codes::INVALID_REQUEST, why));
        }
        let proven = self
            .store
            .prove(height, &key)
            .map_err(|e| unavailable(e.into()))?;
        Ok(QueryResult {
            key: query.data.clone(),
            value: proven.value.unwrap_or_else(Bytes::new),
            proof: proven.ops,
            height,
            ..QueryResult::default()
        })
    }

    /// Runs a transaction over the newest state for its gas, without checking signatures or fee.
    fn simulate(&self, raw: &Bytes) -> Result<Bytes, Error> {
        let head = self.head().map_err(unavailable)?;
        let block = self.next_context().map_err(unavailable)?;
        let (result, gas_wanted) = match x_evm::unwrap(raw, &head.info.config) {
            Ok(Some(tx)) => {
                let env = x_evm::Env::chain(&block, self.modules.blocked.clone());
                let done = x_evm::execute_once(&head.state, &env, &tx)?;
                match done.outcome {
                    x_evm::Outcome::Included(ran) => (
                        crate::receipt::TxOutput::included(&tx, *ran).result,
                        tx.gas_limit(),
                    ),
                    x_evm::Outcome::Invalid(e) => return Err(Error::module(e.codespace, e.code, e.message)),
                }
            }
            _ => {
                let params = x_auth::params(&head.state)?;
                let rules = Rules {
                    modules: &self.modules,
                    config: &head.info.config,
                    params: &params,
                };
                let tx = native(&rules, raw, Purpose::Simulate)?;
                let verdict =
                    self.decoder
                        .verify(&tx, &head.state, &head.info.chain_id, &head.info.config)?;
                let output = run_native(&block, &tx, &verdict, &head.state)?.output;
                if output.result.code != 0 {
                    let log = format!("rpc error: code = Unknown desc = {}", output.result.log);
                    return Err(Error::sdk(output.result.code, log));
                }
                (output.result, 0)
            }
        };
        let response = SimulateResponse {
            gas_info: Some(GasInfo {
                gas_wanted,
                gas_used: result.gas_used,
            }),
            result: Some(ProtoResult {
                log: result.log,
                ..ProtoResult::default()
            }),
        };
        Ok(response.encode_to_vec().into())
    }
}

/// A height or a chain that is not there: the asker's problem.
fn unavailable(e: AppError) -> Error {
    match e {
        AppError::Store(StoreError::NoVersion { .. }) => Error::sdk(
            codes::INVALID_REQUEST,
            format!("failed to load state: {e}; {e}: invalid request"),
        ),
        AppError::State(e) => Error::State(e),
        e => Error::sdk(codes::LOGIC, e.to_string()),
    }
}

/// The SDK's `kv.Pairs`.
#[derive(Clone, PartialEq, prost::Message)]
struct Pairs {
    #[prost(message, repeated, tag = "1")]
    pairs: Vec<Pair>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Pair {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}
