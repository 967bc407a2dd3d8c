//! Opening the app over the node's store on disk.
use crate::{AppConfig, Execution, Home, NodeError};
use app::App;
use executor::AnyExecutor;
use std::sync::Arc;
use store::DiskStore;

/// The app as nodes run it.
pub(crate) type NodeApp = App<DiskStore>;

/// Opens the app at its last committed height. Reads the disk: not for async threads.
pub(crate) fn open(home: &Home, config: &AppConfig, execution: Execution) -> Result<Arc<NodeApp>, NodeError> {
    let kind = execution.executor.to_string();
    let executor =
        AnyExecutor::new(&kind, execution.threads).map_err(|e| NodeError::Invalid(e.to_string()))?;
    let store = DiskStore::open(
        home.database(),
        config.state_sync.over(store::Config::new(app::stores())),
    )?;
    let options = app::Options {
        executor: Arc::new(executor),
        sender_cache: config.sender_cache,
        call_gas_cap: config.call_gas_cap,
    };
    let app = App::open(store, options)?;
    tracing::info!(
        height = app.height(),
        executor = kind,
        threads = execution.threads,
        "opened the app"
    );
    Ok(Arc::new(app))
}
