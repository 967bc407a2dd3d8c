//! Run a block's jobs in parallel as if one after another.
//!
//! Reading order: a [`Job`] runs over a view and yields an [`Outcome`]; a [`Settle`] does what depends on order;
//! [`Serial`] is the definition of the right answer; [`Parallel`] gets there sooner (its essay is in `parallel.rs`).

mod job;
mod typed;
mod executor;
mod serial;
mod solo;
mod fold;
mod scan;
mod attempt;
mod parallel;
mod arena;
mod table;
mod track;
mod cell;
mod cells;
mod view;
mod reads;
mod plan;
mod scheduler;
mod commit;
pub mod trace;
pub mod simulate;

pub use executor::{AnyExecutor, Executor, UnknownExecutor};
pub use job::{BlockInput, DeferredKeys, ExecError, Executed, Job, Outcome, Settle, Stats};
#[doc(hidden)]
pub use parallel::Faults;
pub use parallel::{Folded, Parallel};
pub use serial::Serial;
pub use typed::{Account, Change, Layout, Payer, Place, Plain, To, View};
