//! The bank's events, in the SDK's words (x/bank/types/events.go).
use types::{Address, ChainConfig, Coin, Event, bech32_address, format_coins};

/// Coins left `spender`.
pub fn coin_spent(config: &ChainConfig, spender: &Address, coins: &[Coin]) -> Event {
    let who = bech32_address(&config.bech32_prefix, spender);
    Event::new("coin_spent", [("spender", who), ("amount", format_coins(coins))])
}

/// Coins reached `receiver`.
pub fn coin_received(config: &ChainConfig, receiver: &Address, coins: &[Coin]) -> Event {
    let who = bech32_address(&config.bech32_prefix, receiver);
    Event::new(
        "coin_received",
        [("receiver", who), ("amount", format_coins(coins))],
    )
}

/// Coins went from `sender` to `recipient`.
pub fn transferred(config: &ChainConfig, sender: &Address, recipient: &Address, coins: &[Coin]) -> Event {
    let of = |a| bech32_address(&config.bech32_prefix, a);
    let amount = format_coins(coins);
    Event::new(
        "transfer",
        [
            ("recipient", of(recipient)),
            ("sender", of(sender)),
            ("amount", amount),
        ],
    )
}

/// Who a message was from.
pub fn message_sender(config: &ChainConfig, sender: &Address) -> Event {
    Event::new(
        "message",
        [("sender", bech32_address(&config.bech32_prefix, sender))],
    )
}

/// All four events of a payment, in the SDK's order.
pub fn payment(config: &ChainConfig, sender: &Address, recipient: &Address, coins: &[Coin]) -> [Event; 4] {
    [
        coin_spent(config, sender, coins),
        coin_received(config, recipient, coins),
        transferred(config, sender, recipient, coins),
        message_sender(config, sender),
    ]
}
