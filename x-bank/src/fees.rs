//! Take transaction fees: from the payer now, to the collector when the transaction settles.
use crate::{balance_key, debit, events};
use module::{Error, Result, TxContext};
use state::{Access, Deferral, Delta};
use types::{Address, Coin};
use x_auth::module_address;

/// The module account that fees are collected in, from where distribution shares them out.
pub const FEE_COLLECTOR: &str = "fee_collector";

/// Takes `fee` from `payer`, with the SDK's events: [`x_auth::ante::PayFee`]. The collector's balance is not touched
/// here, so that transactions do not meet there.
pub fn pay_fee(ctx: &mut TxContext<'_>, payer: &Address, fee: &Coin) -> Result<()> {
    debit(ctx.state, payer, fee).map_err(|e| match e {
        // The SDK wraps the bank's refusal once more.
        Error::Rejected {
            codespace,
            code,
            message,
        } => Error::Rejected {
            codespace,
            code,
            message: format!("{message}: insufficient funds"),
        },
        state => state,
    })?;
    let collector = module_address(FEE_COLLECTOR);
    ctx.state
        .defer(Deferral::Add(fee_key(&fee.denom), Delta::plus(fee.amount)));
    let config = ctx.block.config.clone();
    ctx.events.extend(events::payment(
        &config,
        payer,
        &collector,
        std::slice::from_ref(fee),
    ));
    Ok(())
}

/// Where fees in `denom` end up: the key that every transaction defers an addition to.
pub fn fee_key(denom: &str) -> state::Key {
    balance_key(&module_address(FEE_COLLECTOR), denom)
}

/// What [`pay_fee`] touches beside the collector.
pub fn fee_access(payer: &Address, denom: &str) -> Access {
    Access {
        writes: vec![balance_key(payer, denom)],
        complete: true,
        ..Access::default()
    }
}
