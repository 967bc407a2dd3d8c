//! The store of a home whose node is stopped: what it has, and whether it is as it should be. As JSON, for `braidd store`.
use crate::rollback::settings;
use crate::{Home, NodeError};
use serde_json::{Value, json};
use store::{DiskStore, HistoryStats};

/// What a verification found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What was checked.
    pub checked: Value,
    /// What is not as it should be, each with where; none where all is.
    pub differences: Vec<String>,
}

/// Opens the store as the node would. Reads the disk: not for async threads.
fn open(home: &Home) -> Result<DiskStore, NodeError> {
    let (path, settings) = settings(home)?;
    Ok(DiskStore::open(path, settings)?)
}

/// What the store of a stopped node has: heights, checkpoints, journal, history, and per store keys, nodes and memory.
///
/// # Errors
/// Where the node runs, where there is no store, and where opening fails.
pub fn store_stats(home: &Home) -> Result<Value, NodeError> {
    let store = open(home)?;
    // Where history is behind, the numbers say so.
    let _ = store.history_settled();
    let stats = store.stats()?;
    let checkpoints = stats.checkpoints.iter();
    let stores = stats.stores.iter().map(|tree| {
        let memory = tree.memory;
        json!({
            "name": tree.name,
            "keys": tree.keys,
            "nodes": tree.nodes,
            "tree_height": tree.height,
            "memory": {
                "nodes": memory.nodes,
                "keys_and_values": memory.bytes,
                "index": memory.index,
                "total": memory.nodes + memory.bytes + memory.index,
            },
        })
    });
    let (first, last) = stats.records.unwrap_or((0, 0));
    Ok(json!({
        "heights": { "oldest": stats.oldest, "latest": stats.latest.height },
        "app_hash": hex::encode_upper(stats.latest.root),
        "journal": {
            "first_record": first,
            "last_record": last,
            "live_bytes": stats.journal_live,
            "disk_bytes": stats.journal_disk,
        },
        "checkpoints": checkpoints
            .map(|(height, bytes)| json!({ "height": height, "bytes": bytes }))
            .collect::<Vec<_>>(),
        "history": stats.history.as_ref().map(history),
        "stores": stores.collect::<Vec<_>>(),
    }))
}

fn history(stats: &HistoryStats) -> Value {
    let segments = stats.segments.iter().map(|segment| {
        json!({
            "from": segment.from,
            "to": segment.to,
            "level": segment.level.map_or("base".into(), |level| level.to_string()),
            "rows": segment.rows,
            "keys": segment.keys,
            "bytes": segment.bytes,
            "in": if segment.file { "file" } else { "memory" },
        })
    });
    let heights = stats.heights.iter();
    json!({
        "heights": heights.map(|(from, to)| json!({ "from": from, "to": to })).collect::<Vec<_>>(),
        "disk_bytes": stats.disk,
        "memory_bytes": stats.memory,
        "segments": segments.collect::<Vec<_>>(),
        "behind": stats.failed.as_ref().map(ToString::to_string),
        "damage": stats.damage,
    })
}

/// Checks everything the store of a stopped node has; `tell` hears of each step.
///
/// # Errors
/// Where the node runs, where there is no store, and where it is too damaged to open: with the reason.
pub fn verify_store(home: &Home, tell: &mut dyn FnMut(&str)) -> Result<Verified, NodeError> {
    tell("opening");
    let audit = open(home)?.audit(tell)?;
    let checked = json!({
        "records": audit.records,
        "record_bytes": audit.bytes,
        "look_ups": audit.look_ups,
        "checkpoints": audit.checkpoints,
        "nodes": audit.nodes,
        "keys": audit.keys,
        "heights": audit.heights.map(|(from, to)| json!({ "from": from, "to": to })),
        "history_reads": audit.history_reads,
        "history_pages": audit.history_pages,
        "differences": audit.differences,
    });
    Ok(Verified {
        checked,
        differences: audit.differences,
    })
}
