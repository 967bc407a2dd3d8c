//! What blocks have rarely and executors get wrong: creations that others use at once, delegated code, payments to
//! oneself, to precompiles, to blocked addresses and to a proposer who sends too, accounts emptied to the last wei,
//! storage announced and not used.
use crate::contracts::{self, input, word};
use crate::{Chain, EthCall, Mix};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use types::{Address, B256, Bytes, U256};

/// Contracts remembered to be called.
const MADE_MAX: usize = 8;

/// Adds one to its slot 0.
const COUNTER: &[u8] = &[0x60, 0, 0x54, 0x60, 1, 0x01, 0x60, 0, 0x55, 0x00];
/// Destroys itself in favour of the caller.
const ENDS: &[u8] = &[0x33, 0xff];
/// Stores what it knows of the caller: balance and code hash.
const LOOKS: &[u8] = &[0x33, 0x31, 0x60, 1, 0x55, 0x33, 0x3f, 0x60, 2, 0x55, 0x00];

/// Creation code whose contract has the code `runtime`.
fn creation(runtime: &[u8]) -> Vec<u8> {
    let size = u8::try_from(runtime.len()).expect("the constants above are short");
    let copy = [0x60, size, 0x60, 12, 0x60, 0, 0x39, 0x60, size, 0x60, 0, 0xf3];
    [&copy[..], runtime].concat()
}

impl Mix {
    /// A creation, or a call of what another creation of the same block has made.
    pub(crate) fn create(&mut self, from: usize) -> Bytes {
        let chain = self.chain.clone();
        let small = self.random.next() % 50;
        if !self.made.is_empty() && self.random.chance(1, 2) {
            let to = self.made[self.random.below(self.made.len())];
            let call = EthCall {
                to: Some(to),
                value: U256::from(small / 25),
                data: Bytes::new(),
                gas: 120_000,
            };
            return self.accounts[from].eth(&chain, &call);
        }
        let code: Bytes = match self.random.below(9) {
            0 => contracts::token(u128::from(small)),
            // Nothing, a failure that keeps gas, one that takes it, an end in the constructor, forbidden code.
            1 => Bytes::new(),
            2 => vec![0x60, 0, 0x60, 0, 0xfd].into(),
            3 => vec![0xfe].into(),
            4 => ENDS.to_vec().into(),
            5 => creation(&[0xef, 0]).into(),
            6 => creation(ENDS).into(),
            7 => creation(LOOKS).into(),
            _ => creation(COUNTER).into(),
        };
        let call = EthCall {
            value: U256::from(small),
            ..EthCall::create(code, 700_000)
        };
        let account = &mut self.accounts[from];
        let made = account.address.create(account.sequence);
        let tx = account.eth(&chain, &call);
        if self.made.len() == MADE_MAX {
            self.made.remove(0);
        }
        self.made.push(made);
        tx
    }

    /// The next odd transaction, and which of the accounts sends it. The first account sends often: where it operates
    /// the proposing validator, sender and COINBASE are the same.
    pub fn odd(&mut self) -> (usize, Bytes) {
        let count = self.accounts.len();
        let from = if self.random.chance(1, 4) {
            0
        } else {
            self.random.below(count)
        };
        (from, self.odd_from(from))
    }

    fn odd_from(&mut self, from: usize) -> Bytes {
        let chain = self.chain.clone();
        let (own, other) = (
            self.accounts[from].address,
            self.random.below(self.accounts.len()),
        );
        let pay = |to: Address, value: u64| EthCall {
            gas: 60_000,
            ..EthCall::pay(to, value)
        };
        let small = self.random.next() % 100;
        let precompile = Address::with_last_byte((1 + self.random.below(10)) as u8);
        let module = x_auth::module_address(["fee_collector", "bonded_tokens_pool"][self.random.below(2)]);
        let call = match self.random.below(14) {
            0 => pay(own, small),
            1 => pay(precompile, small),
            2 => pay(module, small),
            3 => pay(self.accounts[0].address, small),
            4 => EthCall::call(module, Bytes::new(), 60_000),
            5 => {
                // To itself over the bank, with another message that may fail.
                let to = if self.random.chance(1, 3) { module } else { own };
                let account = &mut self.accounts[from];
                let messages = vec![account.send(&chain, &own, 1), account.send(&chain, &to, 1)];
                return account.native(&chain, messages, 400_000);
            }
            6 => {
                // All but the fee, or a bit more or less: a race for the last wei.
                let value = U256::from(10u64.pow(18)) * U256::from(999) + U256::from(small);
                let call = EthCall {
                    value,
                    ..EthCall::pay(self.accounts[other].address, 0)
                };
                return self.accounts[from].eth(&Chain { tip: 0, ..chain }, &call);
            }
            7 | 8 => self.same_salt(small),
            9 => return self.listing(from),
            _ => return self.delegating(from, small),
        };
        self.accounts[from].eth(&chain, &call)
    }

    /// Children at few addresses: made, destroyed and made again in one block.
    fn same_salt(&mut self, small: u64) -> EthCall {
        let salt = U256::MAX - U256::from(small % 3);
        let heir = word(&self.someone());
        let data = if self.random.chance(1, 4) {
            input("spawn(bytes32)", &[salt])
        } else {
            input("flash(bytes32,address)", &[salt, heir])
        };
        EthCall {
            to: Some(self.probe),
            value: U256::from(small),
            data,
            gas: 500_000,
        }
    }

    /// EIP-2930: announces slots, most of which it does not touch.
    fn listing(&mut self, from: usize) -> Bytes {
        let chain = self.chain.clone();
        let slots = (0..self.random.below(4)).map(|_| B256::with_last_byte((self.random.next() % 4) as u8));
        let list = AccessList(vec![AccessListItem {
            address: self.probe,
            storage_keys: slots.collect(),
        }]);
        let call = EthCall::call(self.probe, input("increment()", &[]), 150_000);
        let account = &mut self.accounts[from];
        let tx = account.listing_at(&chain, account.sequence, &call, list);
        account.sequence += 1;
        x_evm::wrap(&tx, &chain.config)
    }

    /// EIP-7702: to the probe's code, to nothing, or to an account; one's own or another's authority.
    fn delegating(&mut self, from: usize, value: u64) -> Bytes {
        let chain = self.chain.clone();
        let count = self.accounts.len();
        let other = self.random.below(count);
        let code = [self.probe, Address::ZERO, self.accounts[other].address][self.random.below(3)];
        let mut authorizations = Vec::new();
        for _ in 0..=self.random.below(3) {
            let who = self.random.below(count);
            let wrong = u64::from(self.random.chance(1, 5));
            let next = self.accounts[who].sequence + u64::from(who == from) + wrong;
            authorizations.push(self.accounts[who].authorize(&chain, code, next));
            if who != from {
                self.accounts[who].sequence = next + 1;
            }
        }
        let call = EthCall {
            to: Some(self.accounts[self.random.below(count)].address),
            value: U256::from(value),
            data: input("increment()", &[]),
            gas: 300_000,
        };
        let account = &mut self.accounts[from];
        let tx = account.delegating_at(&chain, account.sequence, &call, authorizations);
        account.sequence += 1;
        x_evm::wrap(&tx, &chain.config)
    }
}
