//! Which transaction had better wait for which, by what they declare. A wrong declaration costs time, nothing else.
use crate::cell::Loc;
use crate::cells::Cells;
use crate::{BlockInput, Job};
use smallvec::SmallVec;
use state::{Access, Key, KeyRange, StoreId, TxIndex};
use std::collections::{BTreeMap, BTreeSet};

/// Declared keys looked at for one declared range. Ranges are of one record type of one validator or delegator, so few
/// blocks come near; what lies beyond is found out by running.
const KEYS_A_RANGE: usize = 256;
/// Ranges other than prefixes that are kept. They are rare, and each key is held against each of them.
const ODD_RANGES: usize = 32;

/// Lists of transactions: most have none to two entries.
pub(crate) type Indexes = SmallVec<[TxIndex; 2]>;

/// What the declarations say, by transaction.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    /// On how many others it waits.
    pub(crate) blockers: Vec<u32>,
    /// Who waits on it.
    pub(crate) followers: Vec<Indexes>,
    /// Whether it reads deferred keys, and so can run at the head only.
    pub(crate) head_only: Vec<bool>,
    /// How much work it is, in gas at most.
    pub(crate) weights: Vec<u64>,
    /// The locations where its writes are expected.
    pub(crate) expected: Vec<Vec<Loc<'a>>>,
}

impl<'a> Plan<'a> {
    /// Sweeps the block's declarations in order, and marks the expected writes in `cells`.
    pub(crate) fn new<J: Job>(input: &BlockInput<'_, J>, cells: &Cells<'a>) -> Self {
        let ranged = input.jobs.iter().any(|job| !job.access().ranges.is_empty());
        if ranged {
            cells.open_index();
        }
        let mut sweep = Sweep {
            cells,
            last: BTreeMap::new(),
            lanes: Lanes::new(input.jobs.len()),
            ordered: ranged.then(Ordered::default),
        };
        let mut plan = Self::default();
        for (index, job) in (0..).zip(input.jobs) {
            let access = job.access();
            let (mut blockers, expected) = if nothing(access) {
                Default::default()
            } else {
                sweep.step(index, access)
            };
            if let Some(lane) = job.lane() {
                blockers.extend(sweep.lanes.next(cells.hash(&lane), index));
            }
            blockers.sort_unstable();
            blockers.dedup();
            plan.blockers
                .push(u32::try_from(blockers.len()).expect("fewer than there are transactions"));
            plan.followers.push(Indexes::new());
            for blocker in blockers {
                plan.followers[blocker as usize].push(index);
            }
            plan.head_only.push(
                access.reads.iter().any(|key| cells.deferred.contains(key))
                    || access.ranges.iter().any(|range| cells.deferred.meets(range)),
            );
            plan.weights.push(job.weight());
            plan.expected.push(expected);
        }
        plan
    }
}

fn nothing(access: &Access) -> bool {
    let Access {
        reads,
        writes,
        adds,
        ranges,
        ..
    } = access;
    reads.is_empty() && writes.is_empty() && adds.is_empty() && ranges.is_empty()
}

/// The last of each lane, by hash alone: lanes that share one wait for each other in vain, and that is all.
struct Lanes(Vec<(u32, TxIndex)>);

impl Lanes {
    fn new(jobs: usize) -> Self {
        Self(vec![(0, TxIndex::MAX); (jobs * 2).next_power_of_two()])
    }
    /// Who came before `index` in its lane.
    fn next(&mut self, hash: u64, index: TxIndex) -> Option<TxIndex> {
        let at = hash as usize & (self.0.len() - 1);
        let tag = (hash >> 32) as u32;
        let (before, last) = std::mem::replace(&mut self.0[at], (tag, index));
        (before == tag && last != TxIndex::MAX).then_some(last)
    }
}

struct Sweep<'a, 'j, 's> {
    cells: &'s Cells<'a>,
    /// By location: the last to replace its value, and the last to add to it.
    last: BTreeMap<(u8, u32), [Option<TxIndex>; 2]>,
    lanes: Lanes,
    /// Where some transaction declares a range.
    ordered: Option<Ordered<'j>>,
}

impl<'a, 'j> Sweep<'a, 'j, '_> {
    fn last(&mut self, loc: &Loc<'_>) -> &mut [Option<TxIndex>; 2] {
        self.last.entry(loc.id()).or_default()
    }
    /// Gives the last declared writers of what `index` reads or replaces (adds need nobody's result), and the cells where
    /// it is expected to write, which it marks.
    fn step(&mut self, index: TxIndex, access: &'j Access) -> (Indexes, Vec<Loc<'a>>) {
        let mut blockers = Indexes::new();
        let mut written: SmallVec<[(&'j Key, Loc<'a>, usize); 8]> = SmallVec::new();
        let reads = access.reads.iter().map(|key| (key, false));
        for (key, writes) in reads.chain(access.writes.iter().map(|key| (key, true))) {
            let cell = self.cells.locate(key);
            blockers.extend(self.last(&cell).iter().flatten().copied());
            if let Some(ordered) = &self.ordered {
                ordered.around(key, &mut blockers);
            }
            if writes {
                written.push((key, cell, 0));
            }
        }
        written.extend(access.adds.iter().map(|key| (key, self.cells.locate(key), 1)));
        written.retain(|(_, cell, _)| !cell.deferred());
        for (_, cell, kind) in &written {
            self.last(cell)[*kind] = Some(index);
        }
        if let Some(ordered) = &mut self.ordered {
            access
                .ranges
                .iter()
                .for_each(|range| ordered.within(range, &mut blockers));
            ordered
                .keys
                .extend(written.iter().map(|(key, _, _)| (*key, index)));
            access.ranges.iter().for_each(|range| ordered.range(index, range));
        }
        let mut expected: Vec<_> = written.iter().map(|(_, cell, _)| *cell).collect();
        expected.sort_unstable_by_key(Loc::id);
        expected.dedup_by_key(|loc| loc.id());
        expected.iter().for_each(|loc| self.cells.declare(index, *loc));
        (blockers, expected)
    }
}

/// Declared writes and ranges in key order.
#[derive(Debug, Default)]
struct Ordered<'j> {
    /// The last to write or add to a key.
    keys: BTreeMap<&'j Key, TxIndex>,
    /// The last to declare a range that is a prefix.
    prefixes: BTreeMap<(StoreId, &'j [u8]), TxIndex>,
    /// How long a store's prefixes are.
    lengths: BTreeMap<StoreId, BTreeSet<usize>>,
    /// The other ranges, and the last to declare each.
    odd: Vec<(&'j KeyRange, TxIndex)>,
}

impl<'j> Ordered<'j> {
    fn range(&mut self, index: TxIndex, range: &'j KeyRange) {
        if KeyRange::prefix(range.store, &range.start).end == range.end {
            self.prefixes.insert((range.store, &range.start), index);
            self.lengths
                .entry(range.store)
                .or_default()
                .insert(range.start.len());
        } else if let Some(known) = self.odd.iter_mut().find(|(r, _)| *r == range) {
            known.1 = index;
        } else if self.odd.len() < ODD_RANGES {
            self.odd.push((range, index));
        }
    }
    /// The ranges that hold `key`.
    fn around(&self, key: &Key, found: &mut Indexes) {
        self.prefixes_of(key.store(), key.bytes(), found);
        found.extend(
            self.odd
                .iter()
                .filter(|(range, _)| range.contains(key))
                .map(|(_, index)| *index),
        );
    }
    fn prefixes_of(&self, store: StoreId, bytes: &[u8], found: &mut Indexes) {
        for len in self
            .lengths
            .get(&store)
            .into_iter()
            .flatten()
            .take_while(|len| **len <= bytes.len())
        {
            found.extend(self.prefixes.get(&(store, &bytes[..*len])).copied());
        }
    }
    /// The keys and ranges that meet `range`.
    fn within(&self, range: &KeyRange, found: &mut Indexes) {
        found.extend(
            self.keys
                .range::<Key, _>(range.bounds())
                .take(KEYS_A_RANGE)
                .map(|(_, index)| *index),
        );
        self.prefixes_of(range.store, &range.start, found);
        let inside = self.prefixes.range((range.store, range.start.as_slice())..);
        let inside = inside.take_while(|((store, start), _)| {
            *store == range.store && range.end.as_ref().is_none_or(|end| *start < end.as_slice())
        });
        found.extend(inside.take(KEYS_A_RANGE).map(|(_, index)| *index));
        let meets = |odd: &KeyRange| {
            let ends_after =
                |end: &Option<Vec<u8>>, start: &Vec<u8>| end.as_ref().is_none_or(|end| start < end);
            odd.store == range.store
                && ends_after(&odd.end, &range.start)
                && ends_after(&range.end, &odd.start)
        };
        found.extend(
            self.odd
                .iter()
                .filter(|(odd, _)| meets(odd))
                .map(|(_, index)| *index),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::Store;
    use crate::{DeferredKeys, Outcome, View};
    use state::{EmptyState, StateError};

    const STORE: StoreId = StoreId::new("t");

    struct Declared(Access);
    impl Job for Declared {
        type Output = ();
        type Scratch<'b> = ();
        fn access(&self) -> &Access {
            &self.0
        }
        fn run<'b>(&'b self, _: &'b dyn View, (): &mut ()) -> Result<Outcome<()>, StateError> {
            Ok(Outcome::default())
        }
    }

    fn key(text: &str) -> Key {
        Key::new(STORE, &[text.as_bytes()])
    }
    /// Lists of keys: `r` reads, `w` writes, `a` adds, `p` a prefix, `x-y` a range from x to y.
    fn access(list: &str) -> Declared {
        let mut access = Access::default();
        for item in list.split_whitespace() {
            let (kind, text) = item.split_at(1);
            match kind {
                "r" => access.reads.push(key(text)),
                "w" => access.writes.push(key(text)),
                "a" => access.adds.push(key(text)),
                "p" => access.ranges.push(KeyRange::prefix(STORE, text.as_bytes())),
                _ => {
                    let (start, end) = item.split_once('-').unwrap();
                    let end = Some(end.as_bytes().to_vec());
                    access.ranges.push(KeyRange {
                        store: STORE,
                        start: start.into(),
                        end,
                        descending: false,
                    });
                }
            }
        }
        Declared(access)
    }
    /// Who waits on whom.
    fn check(lists: &[&str], want: &[(TxIndex, TxIndex)]) {
        let jobs: Vec<_> = lists.iter().map(|list| access(list)).collect();
        let (store, deferred) = (
            Store::new(1),
            DeferredKeys {
                keys: vec![key("fee")],
                prefixes: Vec::new(),
            },
        );
        let cells = Cells::new(&store, &EmptyState, None, &deferred, jobs.len());
        let plan = Plan::new(
            &BlockInput {
                base: &EmptyState,
                jobs: &jobs,
                deferred: &deferred,
            },
            &cells,
        );
        let mut got = Vec::new();
        for (blocker, followers) in (0..).zip(&plan.followers) {
            got.extend(followers.iter().map(|follower| (*follower, blocker)));
        }
        got.sort_unstable();
        assert_eq!(got, want, "{lists:?}");
        for (index, count) in plan.blockers.iter().enumerate() {
            assert_eq!(
                *count as usize,
                want.iter().filter(|(i, _)| *i as usize == index).count()
            );
        }
        let late = |list: &&str| list.split_whitespace().any(|i| ["rfee", "pf", "p"].contains(&i));
        assert_eq!(plan.head_only, lists.iter().map(late).collect::<Vec<_>>());
    }

    #[test]
    fn a_transaction_waits_for_the_last_who_writes_what_it_needs() {
        check(&["wa", "wa", "ra rb", "wa", "wb"], &[(1, 0), (2, 1), (3, 1)]);
        check(&["aa", "aa", "aa", "ra", "wa", "aa"], &[(3, 2), (4, 2)]);
        check(&["wa wb", "rb ra", "ra"], &[(1, 0), (2, 0)]);
        check(&["ra", "wa", "wb"], &[]);
        check(&["afee wfee", "afee wfee", "rfee", "pf"], &[]);
    }

    #[test]
    fn ranges_order_with_keys_and_with_each_other() {
        check(
            &["wxa", "px", "wxb", "rxb", "rya"],
            &[(1, 0), (2, 1), (3, 1), (3, 2)],
        );
        check(&["px", "pxy", "p", "pz"], &[(1, 0), (2, 0), (2, 1), (3, 2)]);
        check(
            &["b-d", "rc", "wd", "wb", "c-f", "pa"],
            &[(1, 0), (3, 0), (4, 0), (4, 2)],
        );
        check(&["axa", "px", "axb"], &[(1, 0)]);
    }
}
