//! The base fee of the next block (EIP-1559), with a floor.
use types::U256;

/// Blocks aim at this part of their gas limit.
const ELASTICITY: u64 = 2;
/// A full block raises the base fee by one eighth.
const CHANGE_DENOMINATOR: u64 = 8;

/// The base fee after a block that used `gas_used` of `gas_limit` at `base_fee`, and not below `floor` (the chain's
/// `min_gas_price`, in wei a gas). Any client can recompute it from the parent's header.
pub fn next_base_fee(gas_used: u64, gas_limit: u64, base_fee: U256, floor: U256) -> U256 {
    let target = gas_limit / ELASTICITY;
    if target == 0 {
        return base_fee.max(floor);
    }
    let step = |gas: u64| {
        let by = base_fee.saturating_mul(U256::from(gas)) / U256::from(target);
        by / U256::from(CHANGE_DENOMINATOR)
    };
    let next = match gas_used.cmp(&target) {
        std::cmp::Ordering::Equal => base_fee,
        std::cmp::Ordering::Greater => base_fee.saturating_add(step(gas_used - target).max(U256::from(1))),
        std::cmp::Ordering::Less => base_fee.saturating_sub(step(target - gas_used)),
    };
    // revm and clients count it in 64 bits.
    next.max(floor).min(U256::from(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_eip_and_stops_at_the_floor() {
        let u = |v: u64| U256::from(v);
        let gwei = 1_000_000_000;
        // From the EIP's reference tests (geth consensus/misc/eip1559 TestCalcBaseFee).
        for (used, want) in [
            (10_000_000, gwei),
            (9_000_000, 987_500_000),
            (11_000_000, 1_012_500_000),
        ] {
            assert_eq!(
                next_base_fee(used, 20_000_000, u(gwei), U256::ZERO),
                u(want),
                "{used}"
            );
        }
        assert_eq!(next_base_fee(0, 20_000_000, u(gwei), u(gwei)), u(gwei));
        assert_eq!(next_base_fee(20_000_000, 20_000_000, u(1), U256::ZERO), u(2));
        assert_eq!(next_base_fee(5, 0, u(7), u(9)), u(9));
        assert_eq!(next_base_fee(2, 2, U256::MAX, U256::ZERO), u(u64::MAX));
    }
}
