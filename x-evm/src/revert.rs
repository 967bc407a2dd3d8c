//! What failed executions say: Solidity's revert reasons, and geth's words for halts.
use revm::context_interface::result::{HaltReason, OutOfGasError};
use types::{Bytes, U256};

/// Selector of `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// Selector of `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// `Error(reason)`, ABI-encoded.
pub(crate) fn encode(reason: &str) -> revm::primitives::Bytes {
    let mut out = ERROR.to_vec();
    out.extend_from_slice(&U256::from(32).to_be_bytes::<32>());
    out.extend_from_slice(&U256::from(reason.len()).to_be_bytes::<32>());
    out.extend_from_slice(reason.as_bytes());
    out.resize(4 + 64 + reason.len().next_multiple_of(32), 0);
    out.into()
}

/// The reason in revert data, as geth prints it (accounts/abi `UnpackRevert`); `None` where it is neither `Error` nor
/// `Panic`.
pub fn revert_reason(data: &[u8]) -> Option<String> {
    let (selector, body) = data.split_at_checked(4)?;
    let word = |i: usize| body.get(32 * i..32 * (i + 1)).map(U256::from_be_slice);
    if selector == PANIC {
        let code = u64::try_from(word(0)?).ok();
        let meaning = match code {
            Some(0x00) => "generic panic",
            Some(0x01) => "assert(false)",
            Some(0x11) => "arithmetic underflow or overflow",
            Some(0x12) => "division or modulo by zero",
            Some(0x21) => "enum overflow",
            Some(0x22) => "invalid encoded storage byte array accessed",
            Some(0x31) => "out-of-bounds array access; popping on an empty array",
            Some(0x32) => "out-of-bounds access of an array or bytesN",
            Some(0x41) => "out of memory",
            Some(0x51) => "uninitialized function",
            _ => return Some(format!("unknown panic code: {:#x}", word(0)?)),
        };
        return Some(meaning.into());
    }
    if selector != ERROR {
        return None;
    }
    let at = usize::try_from(word(0)?).ok()?;
    let tail = body.get(at..)?;
    let len = usize::try_from(U256::from_be_slice(tail.get(..32)?)).ok()?;
    let text = tail.get(32..)?.get(..len)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// geth's message for reverted calls: `execution reverted`, with the reason where there is one.
pub fn revert_message(data: &[u8]) -> String {
    revert_reason(data).map_or_else(
        || "execution reverted".into(),
        |r| format!("execution reverted: {r}"),
    )
}

/// geth's words for a halt (core/vm/errors.go).
pub(crate) fn halt_message(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(OutOfGasError::ReentrancySentry) => {
            "not enough gas for reentrancy sentry".into()
        }
        HaltReason::OutOfGas(OutOfGasError::InvalidOperand) => "gas uint64 overflow".into(),
        HaltReason::OutOfGas(_) => "out of gas".into(),
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode".into(),
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID".into(),
        HaltReason::InvalidJump => "invalid jump destination".into(),
        HaltReason::StackUnderflow => "stack underflow".into(),
        HaltReason::StackOverflow => "stack limit reached 1024".into(),
        HaltReason::OutOfOffset => "return data out of bounds".into(),
        HaltReason::CreateCollision => "contract address collision".into(),
        HaltReason::NonceOverflow => "nonce uint64 overflow".into(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".into(),
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef".into(),
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".into(),
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection".into()
        }
        HaltReason::OutOfFunds | HaltReason::OverflowPayment => "insufficient balance for transfer".into(),
        HaltReason::CallTooDeep => "max call depth exceeded".into(),
        HaltReason::PrecompileError | HaltReason::PrecompileErrorWithContext(_) => reason.to_string(),
    }
}

/// Revert data as bytes.
pub(crate) fn bytes(data: &revm::primitives::Bytes) -> Bytes {
    data.0.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_back() {
        assert_eq!(revert_reason(&encode("no")), Some("no".into()));
        assert_eq!(
            revert_message(&encode(&"x".repeat(40))),
            format!("execution reverted: {}", "x".repeat(40))
        );
        let mut panic = PANIC.to_vec();
        panic.extend_from_slice(&U256::from(0x11).to_be_bytes::<32>());
        assert_eq!(
            revert_reason(&panic),
            Some("arithmetic underflow or overflow".into())
        );
        // Lengths that lie must not panic.
        let mut lie = ERROR.to_vec();
        lie.extend_from_slice(&[0xff; 64]);
        for bad in [&[][..], &[1, 2, 3], &ERROR, &PANIC, &lie] {
            assert_eq!(revert_reason(bad), None);
        }
        assert_eq!(revert_message(&[]), "execution reverted");
    }
}
