//! Opening the app over the node's store on disk.
use crate::retention::evidence_blocks;
use crate::{AppConfig, Execution, Home, NodeError, StoreConfig};
use app::{App, BlockRetention};
use executor::AnyExecutor;
use std::sync::Arc;
use store::{Damaged, DiskStore};

/// The app as nodes run it.
pub(crate) type NodeApp = App<DiskStore>;

/// Opens the app at its last committed height, with an executor and a store that `config` does not decide alone. Reads
/// the disk: not for async threads.
pub(crate) fn open(
    home: &Home,
    config: &AppConfig,
    execution: Execution,
    store: StoreConfig,
    damaged: Damaged,
) -> Result<Arc<NodeApp>, NodeError> {
    let kind = execution.executor.to_string();
    let executor =
        AnyExecutor::new(&kind, execution.threads).map_err(|e| NodeError::Invalid(e.to_string()))?;
    let settings = config.retention(store.over(store::Config::new(app::stores())))?;
    let settings = config.state_sync.over(store::Config { damaged, ..settings });
    let store = DiskStore::open(home.database(), settings)?;
    if let Some(aside) = store.set_aside() {
        tracing::error!(
            why = aside.why,
            folder = %aside.folder.display(),
            height = aside.height,
            "the store's journal was damaged and is set aside: going on from the newest whole checkpoint, CometBFT \
             plays the blocks above again; receipts below are in the folder only"
        );
    }
    let options = app::Options {
        executor: Arc::new(executor),
        sender_cache: config.sender_cache,
        call_gas_cap: config.call_gas_cap,
    };
    let retention = BlockRetention {
        min_retain_blocks: config.min_retain_blocks,
        evidence_blocks: evidence_blocks(home)?,
    };
    let app = App::open(store, options)?.retaining(retention);
    tracing::info!(
        height = app.height(),
        executor = kind,
        threads = execution.threads,
        "opened the app"
    );
    Ok(Arc::new(app))
}
