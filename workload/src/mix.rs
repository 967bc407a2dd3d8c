//! Blocks in which transactions meet: hot keys, chains, runs of one sender, failures, creations, destructions, bank and
//! staking messages between EVM calls.
use crate::contracts::{self, input, word};
use crate::{Account, Chain, EthCall, Random};
use types::{Address, Bytes, U256};

/// How often each kind of transaction comes, relative to the others.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// Payments to random accounts.
    pub pay: u64,
    /// Payments to one account.
    pub hot: u64,
    /// ERC-20 transfers.
    pub token: u64,
    /// Calls of the probe: counters, creations, destructions, failures.
    pub probe: u64,
    /// Bank sends.
    pub bank: u64,
    /// Delegations and undelegations.
    pub stake: u64,
    /// Transactions that cannot run: nonce gaps and repeats, no funds, too little gas, garbage.
    pub invalid: u64,
    /// Creations: of tokens, of code that fails, ends itself or is called by others in the same block.
    pub create: u64,
    /// What is rare and hard: delegated code, payments to oneself and to the proposer, empty purses (see `odd.rs`).
    pub odd: u64,
}

impl Weights {
    /// A bit of everything.
    pub const ALL: Self = Self {
        pay: 5,
        hot: 3,
        token: 4,
        probe: 6,
        bank: 4,
        stake: 2,
        invalid: 2,
        create: 0,
        odd: 0,
    };
    /// Everything, and more of what meets than of what passes by.
    pub const FUZZ: Self = Self {
        pay: 3,
        hot: 3,
        token: 4,
        probe: 6,
        bank: 3,
        stake: 3,
        invalid: 2,
        create: 3,
        odd: 6,
    };
    /// Few keys that all want: calls of one contract, payments to one account.
    pub const HOT: Self = Self {
        pay: 0,
        hot: 2,
        token: 1,
        probe: 12,
        bank: 0,
        stake: 0,
        invalid: 0,
        create: 0,
        odd: 1,
    };
    /// Bank and staking messages, a few payments between them.
    pub const NATIVE: Self = Self {
        pay: 1,
        hot: 1,
        token: 0,
        probe: 1,
        bank: 6,
        stake: 8,
        invalid: 1,
        create: 0,
        odd: 1,
    };
    /// Mostly what cannot run, between what can.
    pub const BAD: Self = Self {
        pay: 1,
        hot: 1,
        token: 1,
        probe: 1,
        bank: 1,
        stake: 1,
        invalid: 8,
        create: 1,
        odd: 3,
    };
    /// What a network is loaded with: nothing that is refused for certain.
    pub const LOAD: Self = Self {
        pay: 6,
        hot: 2,
        token: 5,
        probe: 2,
        bank: 4,
        stake: 0,
        invalid: 0,
        create: 0,
        odd: 0,
    };
}

/// A source of blocks.
#[derive(Debug)]
pub struct Mix {
    /// Who sends.
    pub accounts: Vec<Account>,
    /// What is signed for.
    pub chain: Chain,
    /// The token, once created.
    pub token: Address,
    /// The probe, once created.
    pub probe: Address,
    /// Validators' operators.
    pub validators: Vec<Address>,
    pub(crate) random: Random,
    pub(crate) salt: u64,
    /// Contracts that were made lately, or will be if their creation succeeds.
    pub(crate) made: Vec<Address>,
}

impl Mix {
    /// A source over `accounts`, of which the first creates the contracts (see [`Mix::setup`]).
    pub fn new(chain: Chain, accounts: Vec<Account>, validators: Vec<Address>, seed: u64) -> Self {
        let creator = accounts[0].address;
        let first = accounts[0].sequence;
        Self {
            token: creator.create(first),
            probe: creator.create(first + 1),
            accounts,
            chain,
            validators,
            random: Random::new(seed),
            salt: 0,
            made: Vec::new(),
        }
    }

    /// The first block: creates the contracts, funds the probe, and gives everyone tokens.
    pub fn setup(&mut self) -> Vec<Bytes> {
        let chain = self.chain.clone();
        let (token, probe) = (self.token, self.probe);
        let owners: Vec<Address> = self.accounts.iter().map(|a| a.address).collect();
        let creator = &mut self.accounts[0];
        let mut txs = vec![
            creator.eth(&chain, &EthCall::create(contracts::token(1 << 100), 1_000_000)),
            creator.eth(&chain, &EthCall::create(contracts::probe(), 2_000_000)),
            creator.eth(
                &chain,
                &EthCall {
                    gas: 50_000,
                    ..EthCall::pay(probe, 1_000_000_000)
                },
            ),
        ];
        for owner in owners {
            let drip = input("drip(address,uint256)", &[word(&owner), U256::from(1_000_000)]);
            txs.push(creator.eth(&chain, &EthCall::call(token, drip, 100_000)));
        }
        txs
    }

    /// A block of `count` transactions.
    pub fn block(&mut self, count: usize, weights: &Weights) -> Vec<Bytes> {
        (0..count).map(|_| self.transaction(weights).1).collect()
    }

    /// The next transaction, and which of the accounts sends it.
    pub fn transaction(&mut self, w: &Weights) -> (usize, Bytes) {
        let total = w.pay + w.hot + w.token + w.probe + w.bank + w.stake + w.invalid + w.create + w.odd;
        let mut pick = self.random.next() % total;
        // A few senders send often, so that runs of one sender come up.
        let from = if self.random.chance(1, 3) {
            self.random.below(3)
        } else {
            self.random.below(self.accounts.len())
        };
        let from = from.min(self.accounts.len() - 1);
        let mut below = |part: u64| {
            let hit = pick < part;
            pick = pick.saturating_sub(part);
            hit
        };
        let tx = if below(w.pay) {
            self.pay(from)
        } else if below(w.hot) {
            let value = self.random.next() % 1000;
            let hot = self.accounts[self.accounts.len() - 1].address;
            self.accounts[from].eth(&self.chain, &EthCall::pay(hot, value))
        } else if below(w.token) {
            let to = self.someone();
            // One in eight asks for more than there is, and reverts.
            let value = if self.random.chance(1, 8) {
                u64::MAX
            } else {
                self.random.next() % 100
            };
            let call = EthCall::call(self.token, contracts::transfer(&to, value), 100_000);
            self.accounts[from].eth(&self.chain, &call)
        } else if below(w.probe) {
            self.probe(from)
        } else if below(w.bank) {
            self.bank(from)
        } else if below(w.stake) {
            self.stake(from)
        } else if below(w.invalid) {
            self.invalid(from)
        } else if below(w.create) {
            self.create(from)
        } else {
            return self.odd();
        };
        (from, tx)
    }

    pub(crate) fn someone(&mut self) -> Address {
        match self.random.below(5) {
            // Someone new.
            0 => Address::from_word(types::keccak256(self.random.next().to_be_bytes())),
            _ => {
                let i = self.random.below(self.accounts.len());
                self.accounts[i].address
            }
        }
    }

    fn pay(&mut self, from: usize) -> Bytes {
        let to = self.someone();
        let value = self.random.next() % 10_000;
        let call = EthCall {
            gas: 30_000,
            ..EthCall::pay(to, value)
        };
        if self.random.chance(1, 4) {
            let account = &mut self.accounts[from];
            let tx = account.legacy_at(&self.chain, account.sequence, &call);
            account.sequence += 1;
            return x_evm::wrap(&tx, &self.chain.config);
        }
        self.accounts[from].eth(&self.chain, &call)
    }

    fn probe(&mut self, from: usize) -> Bytes {
        let n = |v: u64| U256::from(v);
        self.salt += 1;
        let salt = n(self.salt);
        let who = word(&self.someone());
        let small = self.random.next() % 20;
        let (data, value, gas) = match self.random.below(11) {
            0 | 1 => (input("increment()", &[]), 0, 100_000),
            2 => (input("hop(uint256)", &[n(small % 7)]), 0, 150_000),
            3 => (input("pay(address,uint256)", &[who, n(small)]), small, 150_000),
            4 => (input("balances(address)", &[who]), 0, 100_000),
            5 => (input("coinbase()", &[]), 0, 100_000),
            6 => (input("fail(uint256)", &[n(small % 3)]), 0, 120_000),
            7 => (input("spawn(bytes32)", &[salt]), small, 500_000),
            8 => (input("flash(bytes32,address)", &[salt, who]), small, 500_000),
            9 => (input("kill(address)", &[who]), 0, 150_000),
            _ => (input("environment()", &[]), 0, 120_000),
        };
        let call = EthCall {
            to: Some(self.probe),
            value: n(value),
            data,
            gas,
        };
        self.accounts[from].eth(&self.chain, &call)
    }

    fn bank(&mut self, from: usize) -> Bytes {
        let to = self.someone();
        // One in eight sends more than it has: the message fails, fee and sequence stay.
        let amount = if self.random.chance(1, 8) {
            u64::MAX
        } else {
            1 + self.random.next() % 1000
        };
        let chain = self.chain.clone();
        let account = &mut self.accounts[from];
        let mut messages = vec![account.send(&chain, &to, amount)];
        if amount % 3 == 0 {
            // To itself, too.
            messages.push(account.send(&chain, &account.address, 1));
        }
        account.native(&chain, messages, 300_000)
    }

    fn stake(&mut self, from: usize) -> Bytes {
        let chain = self.chain.clone();
        let validator = self.validators[self.random.below(self.validators.len())];
        let amount = 1 + self.random.next() % 1_000_000;
        let back = self.random.chance(1, 3);
        let account = &mut self.accounts[from];
        let message = if back {
            account.undelegate(&chain, &validator, amount)
        } else {
            account.delegate(&chain, &validator, amount)
        };
        account.native(&chain, vec![message], 600_000)
    }

    fn invalid(&mut self, from: usize) -> Bytes {
        let chain = self.chain.clone();
        let to = self.someone();
        let account = &self.accounts[from];
        let next = account.sequence;
        let pay = EthCall::pay(to, 1);
        let wrap = |tx| x_evm::wrap(&tx, &chain.config);
        match self.random.below(8) {
            0 => wrap(account.eth_at(&chain, next + 1, &pay)),
            1 => wrap(account.eth_at(&chain, next.saturating_sub(1), &pay)),
            2 => wrap(account.eth_at(
                &chain,
                next,
                &EthCall {
                    value: U256::MAX >> 1,
                    ..pay
                },
            )),
            3 => wrap(account.eth_at(&chain, next, &EthCall { gas: 20_000, ..pay })),
            4 => wrap(account.eth_at(
                &Chain {
                    fee_cap: 1,
                    tip: 0,
                    ..chain.clone()
                },
                next,
                &pay,
            )),
            5 => account.native_at(&chain, next + 2, vec![account.send(&chain, &to, 1)], 200_000),
            6 => account.native_at(
                &Chain {
                    id: "other-1".into(),
                    ..chain.clone()
                },
                next,
                vec![account.send(&chain, &to, 1)],
                200_000,
            ),
            _ => Bytes::from(self.random.next().to_be_bytes().to_vec()),
        }
    }
}
