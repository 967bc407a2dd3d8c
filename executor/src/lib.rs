//! Run a block's jobs in parallel as if one after another.
