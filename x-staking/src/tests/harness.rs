//! A chain with nothing but bank balances and staking. Every message is run over a recorder, and every block ends
//! with the module's invariants checked, so each test is also a test of those.
use crate::{GenesisValidator, NoHooks, Params, Staking, Status, keys, pool};
use cosmrs::proto::cosmos::{base::v1beta1::Coin as ProtoCoin, staking::v1beta1 as proto};
use module::{
    BlockContext, Error, GenesisContext, HookContext, Module, QueryContext, Response, Result, TxContext,
    ValidatorUpdate,
};
use prost::Message as _;
use state::{
    Control, Key, MemoryState, Overlay, Recorder, StateScan, WriteSet, apply_deferrals, merge, normalise,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Address, ChainConfig, Coin, Dec, Event, Timestamp, U256, bech32_address};

/// One unit of power, in base units.
pub(super) const ONE: u64 = 1_000_000_000_000_000_000;
/// The unbonding time of the test chain.
pub(super) const UNBONDING_S: i64 = 1_000;

pub(super) struct Chain {
    pub(super) state: MemoryState,
    pub(super) staking: Staking,
    pub(super) block: BlockContext,
}

#[derive(Debug)]
pub(super) struct Done {
    pub(super) results: Vec<Result<(Response, Vec<Event>)>>,
    pub(super) events: Vec<Event>,
    pub(super) updates: Vec<ValidatorUpdate>,
}

/// A message: its type and encoding.
pub(super) type Msg = (&'static str, Vec<u8>);

pub(super) fn user(n: u8) -> Address {
    Address::repeat_byte(n)
}
pub(super) fn units(n: u64) -> U256 {
    U256::from(n) * U256::from(ONE)
}
pub(super) fn config() -> Arc<ChainConfig> {
    Arc::new(ChainConfig::braid())
}
pub(super) fn acc(who: &Address) -> String {
    bech32_address("braid", who)
}
pub(super) fn val(who: &Address) -> String {
    bech32_address("braidvaloper", who)
}
pub(super) fn coin(amount: U256) -> Option<ProtoCoin> {
    Some(ProtoCoin {
        denom: "abraid".into(),
        amount: amount.to_string(),
    })
}
pub(super) fn delegate(who: u8, to: u8, amount: U256) -> Msg {
    let m = proto::MsgDelegate {
        delegator_address: acc(&user(who)),
        validator_address: val(&user(to)),
        amount: coin(amount),
    };
    ("/cosmos.staking.v1beta1.MsgDelegate", m.encode_to_vec())
}
pub(super) fn undelegate(who: u8, from: u8, amount: U256) -> Msg {
    let m = proto::MsgUndelegate {
        delegator_address: acc(&user(who)),
        validator_address: val(&user(from)),
        amount: coin(amount),
    };
    ("/cosmos.staking.v1beta1.MsgUndelegate", m.encode_to_vec())
}
pub(super) fn redelegate(who: u8, from: u8, to: u8, amount: U256) -> Msg {
    let m = proto::MsgBeginRedelegate {
        delegator_address: acc(&user(who)),
        validator_src_address: val(&user(from)),
        validator_dst_address: val(&user(to)),
        amount: coin(amount),
    };
    ("/cosmos.staking.v1beta1.MsgBeginRedelegate", m.encode_to_vec())
}
pub(super) fn cancel(who: u8, from: u8, amount: U256, height: i64) -> Msg {
    let m = proto::MsgCancelUnbondingDelegation {
        delegator_address: acc(&user(who)),
        validator_address: val(&user(from)),
        amount: coin(amount),
        creation_height: height,
    };
    (
        "/cosmos.staking.v1beta1.MsgCancelUnbondingDelegation",
        m.encode_to_vec(),
    )
}
pub(super) fn creation(who: u8, amount: U256) -> proto::MsgCreateValidator {
    let percent = |n: u64| (n * 10_000_000_000_000_000).to_string();
    #[allow(deprecated, reason = "the field is in the SDK's message still")]
    proto::MsgCreateValidator {
        description: Some(proto::Description {
            moniker: format!("v{who}"),
            ..Default::default()
        }),
        commission: Some(proto::CommissionRates {
            rate: percent(10),
            max_rate: percent(20),
            max_change_rate: percent(1),
        }),
        min_self_delegation: ONE.to_string(),
        delegator_address: String::new(),
        validator_address: val(&user(who)),
        pubkey: Some(crate::pubkey_any(&[who; 32])),
        value: coin(amount),
    }
}
pub(super) fn create(who: u8, amount: U256) -> Msg {
    (
        "/cosmos.staking.v1beta1.MsgCreateValidator",
        creation(who, amount).encode_to_vec(),
    )
}
pub(super) fn edit(who: u8, moniker: &str, rate: &str, least: &str) -> Msg {
    let m = proto::MsgEditValidator {
        description: Some(proto::Description {
            moniker: moniker.into(),
            ..Default::default()
        }),
        validator_address: val(&user(who)),
        commission_rate: rate.into(),
        min_self_delegation: least.into(),
    };
    ("/cosmos.staking.v1beta1.MsgEditValidator", m.encode_to_vec())
}

pub(super) fn code<T: std::fmt::Debug>(result: &Result<T>) -> (&'static str, u32) {
    match result {
        Err(Error::Rejected { codespace, code, .. }) => (codespace, *code),
        other => panic!("not rejected: {other:?}"),
    }
}

/// An attribute of the first event of `kind`.
pub(super) fn attribute<'a>(events: &'a [Event], kind: &str, key: &str) -> &'a str {
    let event = events
        .iter()
        .find(|e| e.kind == kind)
        .unwrap_or_else(|| panic!("no {kind} in {events:?}"));
    &event
        .attributes
        .iter()
        .find(|(k, _)| k == key)
        .unwrap_or_else(|| panic!("no {key} in {event:?}"))
        .1
}

impl Chain {
    /// Validators 1 to n with the given units of power, and ten users (11 to 20) with 1000 units each.
    pub(super) fn new(powers: &[u64]) -> Self {
        let params = Params {
            unbonding_time: crate::Span {
                seconds: UNBONDING_S,
                nanos: 0,
            },
            max_entries: 3,
            historical_entries: 5,
            ..Params::new("abraid")
        };
        Self::with(powers, &params)
    }
    pub(super) fn with(powers: &[u64], params: &Params) -> Self {
        let validators: Vec<_> = (1..)
            .zip(powers)
            .map(|(n, p)| GenesisValidator::new(user(n), &format!("v{n}"), [n; 32], units(*p)))
            .collect();
        let stake = crate::bonded_validators_with(&validators, &config(), params).unwrap();
        let time = Timestamp {
            seconds: 1_700_000_000,
            nanos: 123,
        };
        let mut chain = Self {
            state: MemoryState::default(),
            staking: Staking::new(Arc::new(NoHooks)),
            block: BlockContext::plain(config(), "braid-test-1", 0, time),
        };
        let mut bank = Overlay::new(&state::EmptyState);
        for (who, coin) in &stake.balances {
            x_bank::mint(&mut bank, who, coin);
        }
        for n in 11..=20 {
            x_bank::mint(&mut bank, &user(n), &Coin::new(units(1000), "abraid"));
        }
        let writes = bank.settle().unwrap();
        chain.commit(writes);
        chain.init(&stake.section).unwrap();
        chain.check();
        chain
    }
    pub(super) fn init(&mut self, section: &serde_json::Value) -> Result<Vec<ValidatorUpdate>> {
        let mut updates = Vec::new();
        let mut overlay = Overlay::new(&self.state);
        let mut ctx = GenesisContext {
            block: &self.block,
            state: &mut overlay,
            validators: &[],
            validator_updates: &mut updates,
        };
        self.staking.init_genesis(section, &mut ctx)?;
        let writes = overlay.settle()?;
        self.commit(writes);
        Ok(updates)
    }
    pub(super) fn commit(&mut self, writes: WriteSet) {
        for (key, value) in normalise(&self.state, writes).unwrap() {
            match value {
                Some(v) => self.state.0.insert(key, v),
                None => self.state.0.remove(&key),
            };
        }
    }
    /// Lets `change` at the state between blocks: what slashing will do, or governance.
    pub(super) fn surgery(&mut self, change: impl FnOnce(&mut TxContext<'_>)) {
        let mut overlay = Overlay::new(&self.state);
        let mut events = Vec::new();
        change(&mut TxContext {
            block: &self.block,
            state: &mut overlay,
            events: &mut events,
        });
        let writes = overlay.settle().unwrap();
        self.commit(writes);
    }
    fn hook(
        &self,
        writes: WriteSet,
        done: &mut Done,
        run: impl FnOnce(&mut HookContext<'_>) -> Result<()>,
    ) -> WriteSet {
        let mut overlay = Overlay::with_writes(&self.state, writes);
        run(&mut HookContext {
            block: &self.block,
            state: &mut overlay,
            events: &mut done.events,
            validator_updates: &mut done.updates,
        })
        .unwrap();
        overlay.settle().unwrap()
    }
    /// Runs one message over `writes`, checking that what it declared at block start covers what it does.
    fn message(&self, writes: &mut WriteSet, (url, bytes): &Msg) -> Result<(Response, Vec<Event>)> {
        let msg = self.staking.decode(url, bytes).expect("staking's")?;
        msg.validate(&self.block.config)?;
        let access = msg.access(&self.block, &self.state);
        let view = Overlay::with_writes(&self.state, writes.clone());
        let recorder = Recorder::new(&view);
        let mut overlay = Overlay::new(&recorder);
        let mut events = Vec::new();
        let mut ctx = TxContext {
            block: &self.block,
            state: &mut overlay,
            events: &mut events,
        };
        let response = msg.execute(&mut ctx);
        let buffered = overlay.finish()?;
        if access.complete {
            assert_eq!(
                recorder.undeclared(&access, &buffered),
                Vec::<String>::new(),
                "{url}"
            );
        }
        let response = response?;
        for d in &buffered.deferred {
            let key = d.key();
            let known = crate::deferred_prefixes();
            assert!(
                known
                    .iter()
                    .any(|(s, p)| *s == key.store() && key.bytes().starts_with(p)),
                "{key:?}"
            );
        }
        for (key, op) in buffered.writes {
            merge(writes, key, op)?;
        }
        apply_deferrals(&self.state, writes, buffered.deferred)?;
        Ok((response, events))
    }
    /// The next block, `seconds` later.
    pub(super) fn block(&mut self, seconds: i64, messages: &[Msg]) -> Done {
        self.block.height += 1;
        self.block.time = self.block.time.plus_seconds(seconds);
        let mut done = Done {
            results: Vec::new(),
            events: Vec::new(),
            updates: Vec::new(),
        };
        let mut writes = self.hook(WriteSet::new(), &mut done, |ctx| self.staking.begin_block(ctx));
        for message in messages {
            done.results.push(self.message(&mut writes, message));
        }
        let writes = self.hook(writes, &mut done, |ctx| self.staking.end_block(ctx));
        self.commit(writes);
        self.check();
        done
    }
    /// A block whose messages all succeed.
    pub(super) fn good(&mut self, seconds: i64, messages: &[Msg]) -> Done {
        let done = self.block(seconds, messages);
        for result in &done.results {
            assert!(result.is_ok(), "{result:?}");
        }
        done
    }
    /// How one message is refused.
    pub(super) fn refused(&mut self, message: Msg) -> (&'static str, u32) {
        let before = self.state.clone();
        let done = self.block(0, &[message]);
        let staking =
            |s: &MemoryState| -> Vec<Key> { s.0.keys().filter(|k| k.bytes()[0] != 0x50).cloned().collect() };
        assert_eq!(
            staking(&before),
            staking(&self.state),
            "a refused message leaves no trace"
        );
        code(&done.results[0])
    }
    pub(super) fn query<A: prost::Message + Default>(
        &self,
        method: &str,
        q: &impl prost::Message,
    ) -> Result<A> {
        let ctx = QueryContext {
            block: &self.block,
            state: &self.state,
        };
        let path = format!("/cosmos.staking.v1beta1.Query/{method}");
        let bytes = self
            .staking
            .query(&path, &q.encode_to_vec(), &ctx)
            .expect("staking's")?;
        Ok(A::decode(bytes.as_slice()).unwrap())
    }
    pub(super) fn export(&self) -> serde_json::Value {
        self.staking
            .export_genesis(&QueryContext {
                block: &self.block,
                state: &self.state,
            })
            .unwrap()
    }
    pub(super) fn balance(&self, who: &Address) -> U256 {
        x_bank::balance(&self.state, who, "abraid").unwrap()
    }
    pub(super) fn validator(&self, n: u8) -> crate::Validator {
        crate::validator(&self.state, &user(n)).unwrap().unwrap()
    }
    pub(super) fn unbonding(&self, who: u8, from: u8) -> Vec<crate::UnbondingEntry> {
        crate::unbonding(&self.state, &user(who), &user(from))
            .unwrap()
            .map_or(vec![], |u| u.entries)
    }
    pub(super) fn keys(&self, prefix: u8) -> Vec<Key> {
        let mut keys = Vec::new();
        let range = state::KeyRange::prefix(keys::STORE, &[prefix]);
        self.state
            .scan(&range, &mut |k, _| {
                keys.push(k.clone());
                Control::Continue(())
            })
            .unwrap();
        keys
    }

    /// The module's invariants.
    fn check(&self) {
        let (mut bonded, mut loose) = (U256::ZERO, U256::ZERO);
        let mut shares: BTreeMap<Address, Dec> = BTreeMap::new();
        let mut index = Vec::new();
        let validators = crate::validators(&self.state).unwrap();
        for v in &validators {
            *(if v.is_bonded() { &mut bonded } else { &mut loose }) += v.tokens;
            shares.insert(v.operator, v.shares);
            assert_eq!(
                crate::validator_by_cons_addr(&self.state, &v.consensus()).unwrap(),
                Some(v.operator)
            );
            assert!(v.status != Status::Unbonding || !v.unbonding_ids.is_empty());
            if !v.jailed {
                index.push(keys::by_power(v.potential_power(&self.block.config), &v.operator));
            }
            let last = self.state.0.contains_key(&keys::last_power(&v.operator));
            assert_eq!(last, v.is_bonded(), "last powers are those of the bonded");
        }
        index.sort();
        assert_eq!(self.keys(0x23), index, "the power index is that of the records");
        let delegations: Vec<crate::Delegation> =
            crate::scan(&self.state, &keys::delegations(), crate::records::decode).unwrap();
        for d in &delegations {
            let left = shares.get_mut(&d.operator).expect("a delegation has a validator");
            *left = left
                .checked_sub(d.shares)
                .expect("no more shares than the validator gave");
            assert!(
                self.state
                    .0
                    .contains_key(&keys::delegation_by_validator(&d.operator, &d.delegator))
            );
        }
        assert!(shares.values().all(|s| s.is_zero()), "all shares are delegations");
        assert_eq!(self.keys(0x71).len(), delegations.len());
        let unbondings: Vec<crate::Unbonding> =
            crate::scan(&self.state, &keys::unbondings(), crate::records::decode).unwrap();
        for u in &unbondings {
            for e in &u.entries {
                loose += e.balance;
                assert_ne!(e.id, 0, "every entry has its id after the block");
                let index = self
                    .state
                    .0
                    .get(&keys::unbonding_index(e.id))
                    .expect("ids are indexed");
                assert_eq!(index, keys::unbonding(&u.delegator, &u.operator).bytes());
                assert!(self.state.0.contains_key(&keys::unbonding_queue(e.completion)));
            }
        }
        assert_eq!(self.keys(0x33).len(), unbondings.len());
        assert_eq!(self.balance(&pool(Status::Bonded)), bonded, "bonded pool");
        assert_eq!(self.balance(&pool(Status::Unbonded)), loose, "not-bonded pool");
        assert!(
            self.keys(0xf0).is_empty() && self.keys(0xf1).is_empty(),
            "our queues do not outlive a block"
        );
    }
}
