//! revm with the chain's three differences: no reward to the beneficiary (fees are deferred adds), no value to blocked
//! addresses, and a list of the value transfers that stood.
use crate::db::{Failed, Own, View};
use crate::env::Env;
use executor::Plain;
use revm::bytecode::opcode::SELFDESTRUCT;
use revm::context::journal::JournalInner;
use revm::context::{BlockEnv, CfgEnv, ContextSetters, LocalContext, TxEnv};
use revm::context_interface::local::FrameStack;
use revm::context_interface::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction};
use revm::handler::evm::{ContextDbError, FrameInitResult, FrameTr};
use revm::handler::instructions::EthInstructions;
use revm::handler::system_call::SystemCallTx;
use revm::handler::{EthFrame, EthPrecompiles, EvmTr, FrameInitOrResult, FrameResult, Handler, ItemOrResult};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_action::FrameInit;
use revm::interpreter::{
    CallOutcome, CallValue, FrameInput, Gas, Instruction, InstructionContext, InstructionExecResult,
    InstructionResult, InterpreterResult,
};
use revm::state::EvmState;
use revm::{Context, Journal};
use state::StateScan;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{Address, Bytes, U256};

/// What a worker keeps from transaction to transaction: a machine over its view, and buffers. No result depends on it.
#[derive(Default)]
pub struct Scratch<'a> {
    machine: Option<Machine<'a>>,
    spare: EvmState,
}

impl std::fmt::Debug for Scratch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl<'a> Scratch<'a> {
    fn machine(&mut self, view: &'a dyn executor::View, env: &'a Env) -> &mut Machine<'a> {
        let same = |machine: &Machine<'a>| {
            let db = &machine.0.ctx.journaled_state.database;
            std::ptr::addr_eq(db.view, view) && std::ptr::eq(db.env, env)
        };
        if !self.machine.as_ref().is_some_and(same) {
            self.machine = None;
        }
        self.machine.get_or_insert_with(|| Machine::new(env, view))
    }
    /// Takes back what a run left behind, for its memory.
    pub(crate) fn recycle(&mut self, mut state: EvmState) {
        // A map that once grew large is slow to clear for ever after.
        if state.capacity() <= 256 {
            state.clear();
            self.spare = state;
        }
    }
}

/// Wei that moved from one account to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who paid.
    pub from: Address,
    /// Who was paid.
    pub to: Address,
    /// How much, above zero.
    pub value: U256,
}

/// Rides along in revm's context.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    blocked: Arc<BTreeSet<Address>>,
    /// Transfers of frames that have not failed.
    transfers: Vec<Transfer>,
    /// How many of them were there when each open frame began.
    marks: Vec<usize>,
}

pub(crate) type Ctx<'a> = Context<BlockEnv, TxEnv, CfgEnv, View<'a>, Journal<View<'a>>, Hooks>;
pub(crate) type Inner<'a> = revm::context::Evm<
    Ctx<'a>,
    (),
    EthInstructions<EthInterpreter, Ctx<'a>>,
    EthPrecompiles,
    EthFrame<EthInterpreter>,
>;
pub(crate) type EvmError = EVMError<Failed, InvalidTransaction>;

/// One EVM over one view.
pub(crate) struct Machine<'a>(pub(crate) Inner<'a>);

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) result: ExecutionResult<HaltReason>,
    pub(crate) state: EvmState,
    pub(crate) transfers: Vec<Transfer>,
}

/// Runs `tx` under `env` over `view`. `payee`: see [`View::payee`].
pub(crate) fn run<'a>(
    view: &'a dyn executor::View,
    env: &'a Env,
    tx: TxEnv,
    payee: Option<Address>,
    scratch: &mut Scratch<'a>,
) -> Result<Ran, EvmError> {
    with_machine(view, env, payee, scratch, |machine| {
        machine.0.ctx.set_tx(tx);
        Rules::default().run(machine)
    })
}

/// Runs `tx` once, over any state.
pub(crate) fn run_once(state: &dyn StateScan, env: &Env, tx: TxEnv) -> Result<Ran, EvmError> {
    let plain = Plain { state, layout: env };
    run(&plain, env, tx, None, &mut Scratch::default())
}

/// Calls the system contract `to` with `data`, as block hooks do (EIP-2935, EIP-4788): no sender, no fee.
pub(crate) fn run_system(
    state: &dyn StateScan,
    env: &Env,
    to: Address,
    data: Bytes,
) -> Result<Ran, EvmError> {
    let plain = Plain { state, layout: env };
    with_machine(&plain, env, None, &mut Scratch::default(), |machine| {
        machine.0.ctx.set_tx(TxEnv::new_system_tx(to, data.into()));
        Rules::default().run_system_call(machine)
    })
}

/// Checks `tx` without running it; gives its intrinsic gas.
pub(crate) fn validate(state: &dyn StateScan, env: &Env, tx: TxEnv) -> Result<u64, EvmError> {
    let plain = Plain { state, layout: env };
    let mut machine = Machine::new(env, &plain);
    machine.0.ctx.set_tx(tx);
    let gas = Rules::default().validate(&mut machine)?;
    Ok(gas.initial_regular_gas.max(gas.floor_gas))
}

fn with_machine<'a>(
    view: &'a dyn executor::View,
    env: &'a Env,
    payee: Option<Address>,
    scratch: &mut Scratch<'a>,
    run: impl FnOnce(&mut Machine<'a>) -> Result<ExecutionResult<HaltReason>, EvmError>,
) -> Result<Ran, EvmError> {
    let spare = std::mem::take(&mut scratch.spare);
    let machine = scratch.machine(view, env);
    let ctx = &mut machine.0.ctx;
    ctx.error = Ok(());
    ctx.chain.transfers.clear();
    ctx.chain.marks.clear();
    let Journal { database, inner } = &mut ctx.journaled_state;
    database.payee = payee;
    database.epochs.clear();
    inner.state = spare;
    let result = run(machine);
    // Also after a run that failed midway: nothing of it may be left behind.
    let state = machine.0.ctx.journaled_state.inner.finalize();
    Ok(Ran {
        result: result?,
        state,
        transfers: std::mem::take(&mut machine.0.ctx.chain.transfers),
    })
}

impl<'a> Machine<'a> {
    fn new(env: &'a Env, view: &'a dyn executor::View) -> Self {
        let spec = env.spec();
        let mut journal = JournalInner::new();
        journal.set_spec_id(spec);
        let mut instruction = EthInstructions::new_mainnet_with_spec(spec);
        let gas = instruction.gas_table()[usize::from(SELFDESTRUCT)];
        instruction.insert_instruction(SELFDESTRUCT, Instruction::new(selfdestruct), gas);
        let view = View {
            view,
            env,
            payee: None,
            epochs: Vec::new(),
            own: Own::default(),
        };
        Self(Inner {
            ctx: Context {
                block: env.block.clone(),
                tx: TxEnv::default(),
                cfg: env.cfg.clone(),
                journaled_state: Journal::new_with_inner(view, journal),
                chain: Hooks {
                    blocked: env.blocked.clone(),
                    ..Hooks::default()
                },
                local: LocalContext::default(),
                error: Ok(()),
            },
            inspector: (),
            instruction,
            precompiles: EthPrecompiles::new(spec),
            frame_stack: FrameStack::new(),
        })
    }
}

/// SELFDESTRUCT as revm has it, except that a blocked heir fails the frame.
fn selfdestruct<'a>(context: InstructionContext<'_, Ctx<'a>, EthInterpreter>) -> InstructionExecResult {
    let InstructionContext { interpreter, host } = context;
    let own = interpreter.input.target_address;
    let heir = interpreter
        .stack
        .peek(0)
        .map(|word| Address::from_word(word.into()));
    let estate = host
        .journaled_state
        .inner
        .state
        .get(&own)
        .map_or(U256::ZERO, |account| account.info.balance);
    if let Ok(heir) = heir
        && !estate.is_zero()
        && host.chain.blocked.contains(&heir)
    {
        return Err(InstructionResult::Revert);
    }
    let result =
        revm::interpreter::instructions::host::selfdestruct(InstructionContext { interpreter, host });
    if let (Err(InstructionResult::SelfDestruct), Ok(heir)) = (result, heir)
        && !estate.is_zero()
        && heir != own
    {
        host.chain.transfers.push(Transfer {
            from: own,
            to: heir,
            value: estate,
        });
    }
    result
}

/// The value a call moves, if any.
fn moved(input: &FrameInput) -> Option<Transfer> {
    let FrameInput::Call(call) = input else {
        return None;
    };
    match call.value {
        CallValue::Transfer(value) if !value.is_zero() => Some(Transfer {
            from: call.caller,
            to: call.target_address,
            value,
        }),
        _ => None,
    }
}

/// A call to a blocked address: reverts with a reason, and gives the gas back.
fn refused(input: &FrameInput, to: Address) -> FrameResult {
    let FrameInput::Call(call) = input else {
        unreachable!("only calls name a recipient")
    };
    let reason = format!("{to} is not allowed to receive funds: unauthorized");
    FrameResult::Call(CallOutcome {
        result: InterpreterResult {
            result: InstructionResult::Revert,
            gas: Gas::new_with_regular_gas_and_reservoir(call.gas_limit, call.reservoir),
            output: crate::revert::encode(&reason),
        },
        memory_offset: call.return_memory_offset.clone(),
        was_precompile_called: false,
        precompile_call_logs: Vec::new(),
        charged_new_account_state_gas: call.charged_new_account_state_gas,
    })
}

impl<'a> EvmTr for Machine<'a> {
    type Context = Ctx<'a>;
    type Instructions = EthInstructions<EthInterpreter, Ctx<'a>>;
    type Precompiles = EthPrecompiles;
    type Frame = EthFrame<EthInterpreter>;

    fn all(
        &self,
    ) -> (
        &Ctx<'a>,
        &Self::Instructions,
        &Self::Precompiles,
        &FrameStack<Self::Frame>,
    ) {
        self.0.all()
    }
    fn all_mut(
        &mut self,
    ) -> (
        &mut Ctx<'a>,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<Self::Frame>,
    ) {
        self.0.all_mut()
    }

    fn frame_init(
        &mut self,
        init: <Self::Frame as FrameTr>::FrameInit,
    ) -> Result<FrameInitResult<'_, Self::Frame>, ContextDbError<Self::Context>> {
        let FrameInit { frame_input, .. } = &init;
        let call = moved(frame_input);
        let create = match frame_input {
            FrameInput::Create(create) if !create.value().is_zero() => {
                Some((create.caller(), create.value()))
            }
            _ => None,
        };
        if let Some(Transfer { to, .. }) = call
            && self.0.ctx.chain.blocked.contains(&to)
        {
            return Ok(ItemOrResult::Result(refused(frame_input, to)));
        }
        let collides = match frame_input {
            FrameInput::Create(create) => self.storage_collision(init.depth, create)?,
            _ => None,
        };
        // revm sees a collision where there is a nonce.
        self.set_nonce(collides, 1);
        let begun = self.0.frame_init(init)?.map_item(|_| ());
        self.set_nonce(collides, 0);
        let hooks = &mut self.0.ctx.chain;
        match begun {
            ItemOrResult::Result(result) => {
                // A plain payment, or a precompile: done already.
                if result.instruction_result().is_ok() {
                    hooks.transfers.extend(call);
                }
                Ok(ItemOrResult::Result(result))
            }
            ItemOrResult::Item(()) => {
                hooks.marks.push(hooks.transfers.len());
                hooks.transfers.extend(call);
                let frame = self.0.frame_stack.get();
                if let Some((from, value)) = create
                    && let revm::handler::FrameData::Create(data) = &frame.data
                {
                    // That a created address is blocked would take a collision of keccak and sha256.
                    hooks.transfers.push(Transfer {
                        from,
                        to: data.created_address,
                        value,
                    });
                }
                Ok(ItemOrResult::Item(frame))
            }
        }
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<Self::Context>> {
        let next = self.0.frame_run()?;
        if let ItemOrResult::Result(result) = &next {
            let hooks = &mut self.0.ctx.chain;
            let mark = hooks.marks.pop().unwrap_or(0);
            if !result.instruction_result().is_ok() {
                hooks.transfers.truncate(mark);
            }
        }
        Ok(next)
    }

    fn frame_return_result(
        &mut self,
        result: FrameResult,
    ) -> Result<Option<FrameResult>, ContextDbError<Self::Context>> {
        self.0.frame_return_result(result)
    }
}

/// Ethereum's transaction rules, without the reward: fees are paid by a deferred add when the transaction settles.
#[derive(Debug)]
struct Rules<'a>(std::marker::PhantomData<&'a ()>);

impl Default for Rules<'_> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<'a> Handler for Rules<'a> {
    type Evm = Machine<'a>;
    type Error = EvmError;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, _: &mut Machine<'a>, _: &mut FrameResult) -> Result<(), EvmError> {
        Ok(())
    }
}
