//! What every executor does, and the choice between them at run time.
use crate::{BlockInput, ExecError, Executed, Faults, Job, Parallel, Serial, Settle};

/// Runs blocks. All executors give the same outputs, the same writes and the same errors.
pub trait Executor {
    /// Runs the jobs of `input`, calling `settle` once a job in block order.
    fn execute<J: Job>(
        &self,
        input: &BlockInput<'_, J>,
        settle: &mut dyn Settle<J>,
    ) -> Result<Executed<J::Output>, ExecError>;
}

/// An executor chosen by configuration.
#[derive(Clone, Debug)]
pub enum AnyExecutor {
    /// One after another.
    Serial,
    /// On several threads.
    Parallel(Parallel),
}

/// A name that no executor has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown executor {0:?}: have \"serial\", \"parallel\" and \"optimistic\"")]
pub struct UnknownExecutor(pub String);

impl AnyExecutor {
    /// The executor called `name`: `serial`; `parallel`; or `optimistic`, which is the same without its short cuts for
    /// blocks that gain nothing from threads, to compare them. `threads` is for these two, 0 meaning one a core.
    pub fn new(name: &str, threads: usize) -> Result<Self, UnknownExecutor> {
        match name {
            "serial" => Ok(Self::Serial),
            "parallel" => Ok(Self::Parallel(Parallel::new(threads))),
            "optimistic" => Ok(Self::Parallel(
                Parallel::new(threads).with_faults(Faults::default()),
            )),
            _ => Err(UnknownExecutor(name.to_owned())),
        }
    }
    /// What [`Self::new`] calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Parallel(parallel) if parallel.shortens() => "parallel",
            Self::Parallel(_) => "optimistic",
        }
    }
}

impl std::str::FromStr for AnyExecutor {
    type Err = UnknownExecutor;
    fn from_str(name: &str) -> Result<Self, UnknownExecutor> {
        Self::new(name, 0)
    }
}

impl Executor for AnyExecutor {
    fn execute<J: Job>(
        &self,
        input: &BlockInput<'_, J>,
        settle: &mut dyn Settle<J>,
    ) -> Result<Executed<J::Output>, ExecError> {
        match self {
            Self::Serial => Serial.execute(input, settle),
            Self::Parallel(parallel) => parallel.execute(input, settle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_is_chosen_by_name() {
        for name in ["serial", "parallel", "optimistic"] {
            assert_eq!(name.parse::<AnyExecutor>().unwrap().name(), name);
        }
        let error = AnyExecutor::new("both", 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown executor \"both\": have \"serial\", \"parallel\" and \"optimistic\""
        );
    }
}
