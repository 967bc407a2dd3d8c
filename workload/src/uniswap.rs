//! Uniswap V3 with its real bytecode, as npm has it.
use crate::contracts::{input, word};
use crate::loads::{DEPLOYER, Maker, map_slot};
use std::path::Path;
use types::{Address, Bytes, U256};

/// Gas limit of a swap.
const SWAP_GAS: u64 = 300_000;
/// The pool's fee, in millionths.
const FEE: u64 = 3000;
/// Liquidity stands between minus and plus this tick.
const TICK: i64 = 60_000;

/// The contracts that all pools share.
#[derive(Debug)]
pub(crate) struct Uniswap {
    router: Address,
    positions: Address,
}

/// Two tokens that a pool trades, in order.
#[derive(Debug)]
pub(crate) struct Pool([Address; 2]);

fn creation_code(artifacts: &Path, file: &str) -> Result<Vec<u8>, String> {
    let path = artifacts.join(file);
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("{}: {e}; run `npm ci` in clients/", path.display()))?;
    let (_, rest) = text
        .split_once("\"bytecode\": \"0x")
        .ok_or("no bytecode in the artifact")?;
    let (hex, _) = rest.split_once('"').ok_or("bytecode without an end")?;
    hex::decode(hex).map_err(|e| format!("{file}: {e}"))
}

impl Uniswap {
    /// Deploys factory, router and position manager. `artifacts` is npm's folder of `@uniswap`.
    pub(crate) fn deploy(make: &mut Maker, artifacts: &Path) -> Result<Self, String> {
        let mut put = |file: &str, args: &[Address]| {
            let mut code = creation_code(artifacts, file)?;
            args.iter()
                .for_each(|arg| code.extend_from_slice(&word(arg).to_be_bytes::<32>()));
            make.deploy(code.into())
        };
        let factory = put(
            "v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json",
            &[],
        )?;
        // Nobody wraps ether here, nor asks for a position's picture.
        let none = Address::repeat_byte(0xee);
        let router = put(
            "v3-periphery/artifacts/contracts/SwapRouter.sol/SwapRouter.json",
            &[factory, none],
        )?;
        let positions = put(
            "v3-periphery/artifacts/contracts/NonfungiblePositionManager.sol/NonfungiblePositionManager.json",
            &[factory, none, none],
        )?;
        Ok(Self { router, positions })
    }
    /// A pool of two new tokens, at price 1, in which `traders` may trade.
    pub(crate) fn pool(&self, make: &mut Maker, traders: &[Address]) -> Result<Pool, String> {
        let mut pair = [make.token(traders)?, make.token(traders)?];
        pair.sort_unstable();
        for token in pair {
            for trader in traders {
                // allowance[trader][router]
                let own = map_slot(word(trader), U256::from(2));
                let inner = map_slot(word(&self.router), own);
                make.store(token, inner, U256::from(1u128 << 100));
            }
            make.prepare(
                Some(token),
                input("approve(address,uint256)", &[word(&self.positions), U256::MAX]),
            )?;
        }
        let [a, b] = pair.map(|token| word(&token));
        let price = U256::from(1) << 96;
        let create = "createAndInitializePoolIfNecessary(address,address,uint24,uint160)";
        make.prepare(
            Some(self.positions),
            input(create, &[a, b, U256::from(FEE), price]),
        )?;
        let amount = U256::from(10u64).pow(U256::from(24));
        let low = U256::ZERO.wrapping_sub(U256::from(TICK.unsigned_abs()));
        let mint =
            "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))";
        let args = [
            a,
            b,
            U256::from(FEE),
            low,
            U256::from(TICK.unsigned_abs()),
            amount,
            amount,
            U256::ZERO,
            U256::ZERO,
            word(&DEPLOYER),
            U256::from(u64::MAX),
        ];
        make.prepare(Some(self.positions), input(mint, &args))?;
        Ok(Pool(pair))
    }
    /// Adds a swap to the block, of the first token for the second if `forward`.
    pub(crate) fn swap(&self, make: &mut Maker, pool: &Pool, from: Address, forward: bool) {
        let [mut give, mut take] = pool.0;
        if !forward {
            std::mem::swap(&mut give, &mut take);
        }
        let call = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))";
        let args = [
            word(&give),
            word(&take),
            U256::from(FEE),
            word(&from),
            U256::from(u64::MAX),
            U256::from(10u64).pow(U256::from(15)),
            U256::ZERO,
            U256::ZERO,
        ];
        let data: Bytes = input(call, &args);
        make.send(from, self.router, 0, data, SWAP_GAS);
    }
}
