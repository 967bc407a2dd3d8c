//! Where staking keeps what: the SDK's keys byte for byte (x/staking/types/keys.go), and two queues of our own that
//! never outlive a block.
use state::{Key, KeyRange, StoreId};
use types::{Address, Timestamp};

/// The staking module's store, by the SDK's name.
pub const STORE: StoreId = StoreId::new("staking");

/// Length prefix of every address.
const LEN: &[u8] = &[20];

const LAST_POWER: u8 = 0x11;
const LAST_TOTAL_POWER: u8 = 0x12;
const VALIDATOR: u8 = 0x21;
const BY_CONSENSUS: u8 = 0x22;
const BY_POWER: u8 = 0x23;
const DELEGATION: u8 = 0x31;
const UNBONDING: u8 = 0x32;
const UNBONDING_BY_VALIDATOR: u8 = 0x33;
const REDELEGATION: u8 = 0x34;
const REDELEGATION_BY_SOURCE: u8 = 0x35;
const REDELEGATION_BY_TARGET: u8 = 0x36;
const UNBONDING_ID: u8 = 0x37;
const UNBONDING_INDEX: u8 = 0x38;
const UNBONDING_TYPE: u8 = 0x39;
const UNBONDING_QUEUE: u8 = 0x41;
const REDELEGATION_QUEUE: u8 = 0x42;
const VALIDATOR_QUEUE: u8 = 0x43;
const HISTORICAL: u8 = 0x50;
const PARAMS: u8 = 0x51;
const UPDATES: u8 = 0x61;
const DELEGATION_BY_VALIDATOR: u8 = 0x71;
/// Ours: validators whose power-index entry is out of date. Read and deleted at end block.
const TOUCHED: u8 = 0xf0;
/// Ours: unbonding entries that wait for their id. Read and deleted at end block.
const FRESH: u8 = 0xf1;

/// What a key of the store holds, for people. Of keys with addresses the first one is named; others follow in the detail.
pub(crate) fn key_name(key: &Key) -> Option<module::KeyName> {
    let (tag, body) = key.bytes().split_first()?;
    let kind = match *tag {
        LAST_POWER => "last power",
        LAST_TOTAL_POWER => "last total power",
        VALIDATOR => "validator",
        BY_CONSENSUS => "validator by consensus address",
        BY_POWER => "validator by power",
        DELEGATION => "delegation",
        UNBONDING => "unbonding",
        UNBONDING_BY_VALIDATOR => "unbonding by validator",
        REDELEGATION => "redelegation",
        REDELEGATION_BY_SOURCE => "redelegation by source",
        REDELEGATION_BY_TARGET => "redelegation by target",
        UNBONDING_ID => "unbonding id",
        UNBONDING_INDEX => "unbonding by id",
        UNBONDING_TYPE => "unbonding type",
        UNBONDING_QUEUE => "unbonding queue",
        REDELEGATION_QUEUE => "redelegation queue",
        VALIDATOR_QUEUE => "validator queue",
        HISTORICAL => "historical info",
        PARAMS => "parameters",
        UPDATES => "validator updates",
        DELEGATION_BY_VALIDATOR => "delegation by validator",
        TOUCHED => "touched validators",
        FRESH => "fresh unbondings",
        _ => return None,
    };
    let mut who = Vec::new();
    let mut rest = body;
    while let Some((20, tail)) = rest.split_first()
        && let Some((address, tail)) = tail.split_at_checked(20)
    {
        who.push(Address::from_slice(address));
        rest = tail;
    }
    let others = who
        .iter()
        .skip(1)
        .map(Address::to_string)
        .collect::<Vec<_>>()
        .join(" ");
    Some(match who.first() {
        Some(first) => module::KeyName::of(kind, *first, others),
        None => module::KeyName::shared(kind, ""),
    })
}

fn key(parts: &[&[u8]]) -> Key {
    Key::new(STORE, parts)
}
fn range(prefix: &[&[u8]]) -> KeyRange {
    KeyRange::prefix(STORE, &prefix.concat())
}

/// The prefixes whose changes are deferred: queue appends settle in block order and never make two transactions
/// conflict.
pub fn deferred_prefixes() -> Vec<(StoreId, Vec<u8>)> {
    [UNBONDING_QUEUE, REDELEGATION_QUEUE, TOUCHED, FRESH]
        .map(|p| (STORE, vec![p]))
        .into()
}

/// Power a bonded validator had at the last end block.
pub fn last_power(operator: &Address) -> Key {
    key(&[&[LAST_POWER], LEN, operator.as_slice()])
}
/// All of them.
pub fn last_powers() -> KeyRange {
    range(&[&[LAST_POWER]])
}
/// Their sum.
pub fn last_total_power() -> Key {
    key(&[&[LAST_TOTAL_POWER]])
}
/// A validator's record.
pub fn validator(operator: &Address) -> Key {
    key(&[&[VALIDATOR], LEN, operator.as_slice()])
}
/// All validators.
pub fn validators() -> KeyRange {
    range(&[&[VALIDATOR]])
}
/// Operator by consensus address.
pub fn by_consensus(consensus: &Address) -> Key {
    key(&[&[BY_CONSENSUS], LEN, consensus.as_slice()])
}
/// Power index: greatest power last, ties by descending operator address.
pub fn by_power(power: u64, operator: &Address) -> Key {
    let inverted: Vec<u8> = operator.iter().map(|b| !b).collect();
    key(&[&[BY_POWER], &power.to_be_bytes(), LEN, &inverted])
}
/// The whole power index.
pub fn powers() -> KeyRange {
    range(&[&[BY_POWER]])
}
/// A delegation.
pub fn delegation(delegator: &Address, operator: &Address) -> Key {
    key(&[&[DELEGATION], LEN, delegator.as_slice(), LEN, operator.as_slice()])
}
/// All delegations.
pub fn delegations() -> KeyRange {
    range(&[&[DELEGATION]])
}
/// A delegator's delegations.
pub fn delegations_of(delegator: &Address) -> KeyRange {
    range(&[&[DELEGATION], LEN, delegator.as_slice()])
}
/// Index of delegations by validator; the delegator carries no length.
pub fn delegation_by_validator(operator: &Address, delegator: &Address) -> Key {
    key(&[
        &[DELEGATION_BY_VALIDATOR],
        LEN,
        operator.as_slice(),
        delegator.as_slice(),
    ])
}
/// A validator's delegators.
pub fn delegators_of(operator: &Address) -> KeyRange {
    range(&[&[DELEGATION_BY_VALIDATOR], LEN, operator.as_slice()])
}
/// An unbonding delegation.
pub fn unbonding(delegator: &Address, operator: &Address) -> Key {
    key(&[&[UNBONDING], LEN, delegator.as_slice(), LEN, operator.as_slice()])
}
/// All unbonding delegations.
pub fn unbondings() -> KeyRange {
    range(&[&[UNBONDING]])
}
/// A delegator's unbonding delegations.
pub fn unbondings_of(delegator: &Address) -> KeyRange {
    range(&[&[UNBONDING], LEN, delegator.as_slice()])
}
/// Index of unbonding delegations by validator.
pub fn unbonding_by_validator(operator: &Address, delegator: &Address) -> Key {
    key(&[
        &[UNBONDING_BY_VALIDATOR],
        LEN,
        operator.as_slice(),
        LEN,
        delegator.as_slice(),
    ])
}
/// Index entries of one validator's unbonding delegations.
pub fn unbondings_from(operator: &Address) -> KeyRange {
    range(&[&[UNBONDING_BY_VALIDATOR], LEN, operator.as_slice()])
}
/// A redelegation.
pub fn redelegation(delegator: &Address, source: &Address, target: &Address) -> Key {
    key(&[
        &[REDELEGATION],
        LEN,
        delegator.as_slice(),
        LEN,
        source.as_slice(),
        LEN,
        target.as_slice(),
    ])
}
/// All redelegations.
pub fn redelegations() -> KeyRange {
    range(&[&[REDELEGATION]])
}
/// A delegator's redelegations.
pub fn redelegations_of(delegator: &Address) -> KeyRange {
    range(&[&[REDELEGATION], LEN, delegator.as_slice()])
}
/// Index of redelegations by source.
pub fn redelegation_by_source(delegator: &Address, source: &Address, target: &Address) -> Key {
    key(&[
        &[REDELEGATION_BY_SOURCE],
        LEN,
        source.as_slice(),
        LEN,
        delegator.as_slice(),
        LEN,
        target.as_slice(),
    ])
}
/// Index of redelegations by target.
pub fn redelegation_by_target(delegator: &Address, source: &Address, target: &Address) -> Key {
    key(&[
        &[REDELEGATION_BY_TARGET],
        LEN,
        target.as_slice(),
        LEN,
        delegator.as_slice(),
        LEN,
        source.as_slice(),
    ])
}
/// What a delegator has coming in to one validator.
pub fn redelegations_into(delegator: &Address, target: &Address) -> KeyRange {
    range(&[
        &[REDELEGATION_BY_TARGET],
        LEN,
        target.as_slice(),
        LEN,
        delegator.as_slice(),
    ])
}
/// The last unbonding id given out, 8 bytes big-endian.
pub fn unbonding_id() -> Key {
    key(&[&[UNBONDING_ID]])
}
/// The record an unbonding id belongs to, by that record's key.
pub fn unbonding_index(id: u64) -> Key {
    key(&[&[UNBONDING_INDEX], &id.to_be_bytes()])
}
/// What kind of record that is.
pub fn unbonding_type(id: u64) -> Key {
    key(&[&[UNBONDING_TYPE], &id.to_be_bytes()])
}
/// Unbonding delegations with an entry that completes at `time`.
pub fn unbonding_queue(time: Timestamp) -> Key {
    key(&[&[UNBONDING_QUEUE], time.sortable().as_bytes()])
}
/// Redelegations with an entry that completes at `time`.
pub fn redelegation_queue(time: Timestamp) -> Key {
    key(&[&[REDELEGATION_QUEUE], time.sortable().as_bytes()])
}
/// The unbonding queue up to `time`, included.
pub fn unbondings_until(time: Timestamp) -> KeyRange {
    until(UNBONDING_QUEUE, time)
}
/// The redelegation queue up to `time`, included.
pub fn redelegations_until(time: Timestamp) -> KeyRange {
    until(REDELEGATION_QUEUE, time)
}
fn until(prefix: u8, time: Timestamp) -> KeyRange {
    // Times have a fixed width, so the first key after `time` is `time` with one more byte.
    let end = [&[prefix], time.sortable().as_bytes(), &[0]].concat();
    KeyRange {
        store: STORE,
        start: vec![prefix],
        end: Some(end),
        descending: false,
    }
}
/// Validators that finish unbonding at `time` and `height`.
pub fn validator_queue(time: Timestamp, height: i64) -> Key {
    let time = time.sortable();
    let len = (time.len() as u64).to_be_bytes();
    key(&[&[VALIDATOR_QUEUE], &len, time.as_bytes(), &height.to_be_bytes()])
}
/// The validator queue up to `time` and any height.
pub fn validators_until(time: Timestamp) -> KeyRange {
    let time = time.sortable();
    let len = (time.len() as u64).to_be_bytes();
    let end = [&[VALIDATOR_QUEUE][..], &len, time.as_bytes(), &[0xff; 8]].concat();
    KeyRange {
        store: STORE,
        start: vec![VALIDATOR_QUEUE],
        end: Some(end),
        descending: false,
    }
}
/// What the chain knew of a past block.
pub fn historical(height: u64) -> Key {
    key(&[&[HISTORICAL], &height.to_be_bytes()])
}
/// The module's parameters.
pub fn params() -> Key {
    key(&[&[PARAMS]])
}
/// The last end block's validator updates.
pub fn updates() -> Key {
    key(&[&[UPDATES]])
}
/// Validators changed by this block's messages.
pub fn touched() -> Key {
    key(&[&[TOUCHED]])
}
/// Unbonding entries made by this block's messages.
pub fn fresh() -> Key {
    key(&[&[FRESH]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_sdks() {
        let hex = |k: Key| k.bytes().iter().map(|b| format!("{b:02x}")).collect::<String>();
        let (a, b) = (Address::repeat_byte(0xaa), Address::repeat_byte(0xbb));
        let (aa, bb) = ("aa".repeat(20), "bb".repeat(20));
        assert_eq!(hex(validator(&b)), format!("2114{bb}"));
        assert_eq!(hex(by_consensus(&b)), format!("2214{bb}"));
        assert_eq!(
            hex(by_power(258, &b)),
            format!("23000000000000010214{}", "44".repeat(20))
        );
        assert_eq!(hex(delegation(&a, &b)), format!("3114{aa}14{bb}"));
        assert_eq!(hex(unbonding(&a, &b)), format!("3214{aa}14{bb}"));
        assert_eq!(hex(unbonding_by_validator(&b, &a)), format!("3314{bb}14{aa}"));
        assert_eq!(hex(delegation_by_validator(&b, &a)), format!("7114{bb}{aa}"));
        assert_eq!(hex(last_power(&b)), format!("1114{bb}"));
        let t = Timestamp {
            seconds: 1_136_214_245,
            nanos: 5,
        };
        let text = "323030362d30312d30325431353a30343a30352e303030303030303035";
        assert_eq!(hex(unbonding_queue(t)), format!("41{text}"));
        assert_eq!(
            hex(validator_queue(t, 7)),
            format!("43000000000000001d{text}0000000000000007")
        );
        assert_eq!(hex(historical(1)), "500000000000000001");
    }

    #[test]
    fn a_queue_range_ends_with_its_time() {
        let at = |seconds| Timestamp { seconds, nanos: 0 };
        assert!(unbondings_until(at(9)).contains(&unbonding_queue(at(9))));
        assert!(!unbondings_until(at(9)).contains(&unbonding_queue(Timestamp { seconds: 9, nanos: 1 })));
        assert!(validators_until(at(9)).contains(&validator_queue(at(9), 1 << 40)));
        assert!(!validators_until(at(9)).contains(&validator_queue(at(10), 0)));
        assert!(!unbondings_until(at(9)).contains(&validator_queue(at(1), 0)));
    }
}
