//! Why a transaction was rejected, in the words of geth's `core/state_transition.go`, which tools match on. The chain's
//! own words are those of geth's pool.
use types::U256;
use x_evm::EvmTx;

/// `message` as the state transition puts it.
pub(crate) fn in_geths_words(message: &str, tx: &EvmTx) -> String {
    let Some((what, rest)) = message.split_once(": ") else {
        return message.to_owned();
    };
    let numbers: Vec<U256> = rest
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .filter_map(|word| U256::from_str_radix(word, 10).ok())
        .collect();
    let who = tx.sender;
    match (what, numbers.as_slice()) {
        ("nonce too low" | "nonce too high", [state, nonce]) => {
            format!("{what}: address {who}, tx: {nonce} state: {state}")
        }
        ("insufficient funds for gas * price + value", [balance, cost, ..]) => {
            format!("{what}: address {who} have {balance} want {cost}")
        }
        ("intrinsic gas too low" | "insufficient gas for floor data gas cost", [have, want]) => {
            format!("{what}: have {have}, want {want}")
        }
        _ => message.to_owned(),
    }
}
