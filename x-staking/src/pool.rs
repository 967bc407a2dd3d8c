//! The two accounts that hold staked coins. Their balances are sums over all validators, so messages only add to and
//! take from them blindly: reading one would make every delegation wait for every other. That the pools hold enough
//! is the module's invariant: bonded pool = stake of bonded validators; not-bonded pool = stake of the others plus
//! what is unbonding.
use crate::validator::Status;
use module::{Result, TxContext};
use state::Delta;
use types::{Address, Coin, Event, U256, bech32_address};

/// Holds the stake of bonded validators.
pub const BONDED_POOL: &str = "bonded_tokens_pool";
/// Holds the stake of other validators, and coins that are unbonding.
pub const NOT_BONDED_POOL: &str = "not_bonded_tokens_pool";

/// The account that holds the stake of a validator with this status.
pub fn pool(status: Status) -> Address {
    x_auth::module_address(if status == Status::Bonded {
        BONDED_POOL
    } else {
        NOT_BONDED_POOL
    })
}

fn moved(ctx: &mut TxContext<'_>, from: &Address, to: &Address, coin: &Coin) {
    let text = |a: &Address| bech32_address(&ctx.block.config.bech32_prefix, a);
    let amount = || ("amount", coin.to_string());
    ctx.events
        .push(Event::new("coin_spent", [("spender", text(from)), amount()]));
    ctx.events
        .push(Event::new("coin_received", [("receiver", text(to)), amount()]));
}

/// A delegator pays into a pool (SDK `DelegateCoins`).
pub(crate) fn pay_in(ctx: &mut TxContext<'_>, from: &Address, to: Status, coin: &Coin) -> Result<()> {
    x_bank::transfer(ctx.state, from, &pool(to), coin)?;
    moved(ctx, from, &pool(to), coin);
    Ok(())
}

fn take(ctx: &mut TxContext<'_>, from: &Address, to: &Address, coin: &Coin) {
    ctx.state
        .add(x_bank::balance_key(from, &coin.denom), Delta::minus(coin.amount));
    x_bank::credit(ctx.state, to, coin);
    moved(ctx, from, to, coin);
}

/// The not-bonded pool pays a delegator (SDK `UndelegateCoins`).
pub(crate) fn pay_out(ctx: &mut TxContext<'_>, to: &Address, coin: &Coin) {
    take(ctx, &pool(Status::Unbonded), to, coin);
}

/// Coins change pool as their validator's status demands; nothing happens where it is the same pool, or no coins.
pub(crate) fn shift(ctx: &mut TxContext<'_>, from: Status, to: Status, denom: &str, amount: U256) {
    let (from, to) = (pool(from), pool(to));
    if from == to || amount.is_zero() {
        return;
    }
    let coin = Coin::new(amount, denom);
    take(ctx, &from, &to, &coin);
    let text = |a: &Address| bech32_address(&ctx.block.config.bech32_prefix, a);
    let transfer = [
        ("recipient", text(&to)),
        ("sender", text(&from)),
        ("amount", coin.to_string()),
    ];
    ctx.events.push(Event::new("transfer", transfer));
    ctx.events.push(Event::new("message", [("sender", text(&from))]));
}
