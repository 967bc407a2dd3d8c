//! Merges files in the background: eight of a level into one of the next, and what lies below the floor into a whole
//! state.
use super::FAN;
use super::feed::guarded;
use super::files::FlatHistory;
use super::layers::Layers;
use super::segment::{BASE, Head, Segment};
use state::StoreError;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What is to be done next.
#[derive(Debug)]
enum Task {
    Merge(Vec<Arc<Segment>>, Head),
    Drop(u64),
}

/// Does what there is to do, until told to stop.
pub(super) fn run(history: &FlatHistory) {
    loop {
        let mut progress = history.progress.lock();
        while !progress.stop && (progress.paused || !progress.merge_due) {
            // Told once: two threads that wake each other would never sleep.
            if std::mem::take(&mut progress.merging) {
                history.changed.notify_all();
            }
            history.changed.wait(&mut progress);
        }
        if progress.stop {
            progress.merging = false;
            return;
        }
        (progress.merge_due, progress.merging) = (false, true);
        drop(progress);
        if let Err(e) = guarded("merging", || work(history)) {
            let mut progress = history.progress.lock();
            progress.failed = Some(e);
        }
    }
}

fn work(history: &FlatHistory) -> Result<(), StoreError> {
    while !history.leaving() {
        let layers = history.layers();
        let floor = history.floor.load(Ordering::Acquire);
        match below_floor(&layers, floor).or_else(|| equals(&layers)) {
            None => return Ok(()),
            Some(Task::Drop(id)) => {
                history.swap(&[id], None, |path| {
                    // Where that fails it is dropped at the next start.
                    let _ = std::fs::remove_file(path);
                })?;
            }
            Some(Task::Merge(parts, head)) => {
                let result = history.merged(&parts, head, &mut || history.leaving());
                if result.is_err() && parts.iter().any(|part| part.damage().is_some()) {
                    history.repair(&parts)?;
                    return Ok(());
                }
                result?;
            }
        }
    }
    Ok(())
}

/// Files of so many bytes together are not merged: a merge holds a hash of each key in RAM, and has both on the disk.
const MAX_MERGE_BYTES: u64 = 4 << 30;

/// Eight neighbours of a level, the oldest first.
fn equals(layers: &Layers) -> Option<Task> {
    let together = |pair: &[Arc<Segment>]| {
        let [a, b] = pair else { return true };
        let (a, b) = (&a.head, &b.head);
        a.to + 1 == b.from && a.level == b.level && !b.complete
    };
    let fit = |parts: &&[Arc<Segment>]| {
        parts.iter().map(|part| part.bytes).sum::<u64>() <= MAX_MERGE_BYTES
            && parts
                .iter()
                .all(|part| part.is_file() && part.head.level < BASE - 1)
            && parts.windows(2).all(together)
    };
    let parts = layers.parts.windows(FAN).find(fit)?;
    let head = Head {
        level: parts[0].head.level + 1,
        to: parts[FAN - 1].head.to,
        ..parts[0].head
    };
    Some(Task::Merge(parts.to_vec(), head))
}

/// What no height from `floor` on needs, once it is half of the whole state it rests on: so that state is seldom
/// written again.
fn below_floor(layers: &Layers, floor: u64) -> Option<Task> {
    let range = layers.at(floor)?;
    if let Some(useless) = layers.parts[..range.start].iter().find(|part| part.is_file()) {
        return Some(Task::Drop(useless.id));
    }
    let parts: Vec<Arc<Segment>> = layers.parts[range]
        .iter()
        .take_while(|part| part.is_file() && part.head.to <= floor)
        .cloned()
        .collect();
    let last = parts.last()?.head.to;
    let (base, rest) = match parts.split_first() {
        Some((base, rest)) if base.head.level == BASE => (base.bytes, rest),
        _ => (0, &parts[..]),
    };
    if rest.is_empty() || rest.iter().map(|part| part.bytes).sum::<u64>() < base / 2 {
        return None;
    }
    let head = Head {
        level: BASE,
        complete: true,
        from: last,
        to: last,
    };
    Some(Task::Merge(parts, head))
}
