//! Run a block's jobs in parallel as if one after another.

mod job;

pub use job::{BlockInput, DeferredKeys, ExecError, Executed, Job, Outcome, Settle, Stats};
