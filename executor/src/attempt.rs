//! Calls into the caller's code, with panics caught.
use crate::{ExecError, Job, Outcome, Settle, View};
use state::{StateError, TxIndex};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call gave nothing. An `ExecError` only if the call saw true state.
#[derive(Debug)]
pub(crate) enum Failure {
    /// State failed.
    State(StateError),
    /// The code panicked and said this.
    Panic(String),
}

impl Failure {
    /// The failure as that of job `index`.
    pub(crate) fn at(self, index: TxIndex) -> ExecError {
        match self {
            Self::State(error) => ExecError::State(error),
            Self::Panic(message) => ExecError::Panic { index, message },
        }
    }
}

/// Runs `job` once over `view`.
pub(crate) fn run<'b, J: Job>(
    job: &'b J,
    view: &'b dyn View,
    scratch: &mut J::Scratch<'b>,
) -> Result<Outcome<J::Output>, Failure> {
    let result = caught(|| job.run(view, scratch));
    if matches!(result, Err(Failure::Panic(_))) {
        // Whatever the panic left half done in it must not reach another job.
        *scratch = Default::default();
    }
    result
}

/// Settles `job`.
pub(crate) fn settle<J: Job>(
    settle: &mut dyn Settle<J>,
    index: TxIndex,
    job: &J,
    outcome: &mut Outcome<J::Output>,
) -> Result<(), Failure> {
    caught(|| settle.settle(index, job, outcome))
}

/// Asks whether `job` is to be run at all.
pub(crate) fn skip<J: Job>(
    settle: &mut dyn Settle<J>,
    index: TxIndex,
    job: &J,
) -> Result<Option<Outcome<J::Output>>, Failure> {
    caught(|| Ok(settle.skip(index, job)))
}

fn caught<T>(call: impl FnOnce() -> Result<T, StateError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::State(error)),
        Err(panic) => Err(Failure::Panic(message(panic.as_ref()))),
    }
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plain;
    use crate::typed::tests::NoLayout;
    use state::{Access, EmptyState};

    struct Bad(Access);
    impl Job for Bad {
        type Output = ();
        type Scratch<'b> = u32;
        fn access(&self) -> &Access {
            &self.0
        }
        fn run<'b>(&'b self, _: &'b dyn View, scratch: &mut u32) -> Result<Outcome<()>, StateError> {
            *scratch += 1;
            assert!(*scratch != 2, "half {}", "done");
            Ok(Outcome::default())
        }
    }

    #[test]
    fn what_a_panic_left_half_done_reaches_no_other_job() {
        let view = Plain {
            state: &EmptyState,
            layout: &NoLayout,
        };
        let (job, mut scratch) = (Bad(Access::default()), 0);
        assert!(run(&job, &view, &mut scratch).is_ok());
        assert_eq!(scratch, 1);
        let failure = run(&job, &view, &mut scratch).unwrap_err();
        assert_eq!(scratch, 0);
        assert_eq!(failure.at(7).to_string(), "transaction 7 panicked: half done");
    }
}
