//! The interpreter's loop: revm's, with the commonest instructions in it instead of behind a pointer.
//!
//! They are revm's own functions, so that what they do is what the table would do; only the table says what the others
//! do, and what all cost.
use revm::bytecode::opcode;
use revm::interpreter::instructions::{arithmetic, bitwise, control, memory, stack};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::Jumps as _;
use revm::interpreter::interpreter_types::LoopControl as _;
use revm::interpreter::{
    GasTable, Host, InstructionContext, InstructionResult, InstructionTable, Interpreter, InterpreterAction,
};

/// Runs until the frame ends or begins another.
pub(crate) fn run<H: Host>(
    interpreter: &mut Interpreter<EthInterpreter>,
    table: &InstructionTable<EthInterpreter, H>,
    gas: &GasTable,
    host: &mut H,
) -> InterpreterAction {
    let end = loop {
        let code = interpreter.bytecode.opcode();
        interpreter.bytecode.relative_jump(1);
        let index = usize::from(code);
        if interpreter.gas.record_cost_unsafe(u64::from(gas[index])) {
            break InstructionResult::OutOfGas;
        }
        let context = InstructionContext { interpreter, host };
        let done = match code {
            opcode::POP => stack::pop(context),
            opcode::PUSH0 => stack::push0(context),
            opcode::PUSH1 => stack::push::<1, _, _>(context),
            opcode::PUSH2 => stack::push::<2, _, _>(context),
            opcode::PUSH4 => stack::push::<4, _, _>(context),
            opcode::PUSH20 => stack::push::<20, _, _>(context),
            opcode::DUP1 => stack::dup::<1, _, _>(context),
            opcode::DUP2 => stack::dup::<2, _, _>(context),
            opcode::DUP3 => stack::dup::<3, _, _>(context),
            opcode::DUP4 => stack::dup::<4, _, _>(context),
            opcode::DUP5 => stack::dup::<5, _, _>(context),
            opcode::DUP6 => stack::dup::<6, _, _>(context),
            opcode::DUP7 => stack::dup::<7, _, _>(context),
            opcode::DUP8 => stack::dup::<8, _, _>(context),
            opcode::SWAP1 => stack::swap::<1, _, _>(context),
            opcode::SWAP2 => stack::swap::<2, _, _>(context),
            opcode::SWAP3 => stack::swap::<3, _, _>(context),
            opcode::SWAP4 => stack::swap::<4, _, _>(context),
            opcode::SWAP5 => stack::swap::<5, _, _>(context),
            opcode::SWAP6 => stack::swap::<6, _, _>(context),
            opcode::JUMP => control::jump(context),
            opcode::JUMPI => control::jumpi(context),
            opcode::JUMPDEST => control::jumpdest(context),
            opcode::ADD => arithmetic::add(context),
            opcode::SUB => arithmetic::sub(context),
            opcode::LT => bitwise::lt(context),
            opcode::GT => bitwise::gt(context),
            opcode::EQ => bitwise::eq(context),
            opcode::ISZERO => bitwise::iszero(context),
            opcode::AND => bitwise::bitand(context),
            opcode::OR => bitwise::bitor(context),
            opcode::NOT => bitwise::not(context),
            opcode::SHL => bitwise::shl(context),
            opcode::SHR => bitwise::shr(context),
            opcode::MLOAD => memory::mload(context),
            opcode::MSTORE => memory::mstore(context),
            _ => table[index].execute(context),
        };
        if let Err(result) = done {
            break result;
        }
    };
    if interpreter.bytecode.action().is_none() {
        interpreter.halt(end);
    }
    interpreter.take_next_action()
}
