//! Pages of a key range, as the SDK's queries ask for them (types/query/pagination.go).
use crate::{Error, Result};
use cosmrs::proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};
use state::{Control, Key, KeyRange, StateScan, StoreId, Value};

/// Entries in one answer at most: clients that want more follow `next_key`. Ten times what explorers ask for.
pub const PAGE_LIMIT: u64 = 1000;
/// Entries that one query walks at most, when it skips (`offset`) or counts (`count_total`).
pub const WALK_LIMIT: u64 = 1_000_000;

/// Calls `visit` for the entries under `prefix` that `request` asks for, with the key's bytes after the prefix.
/// `visit` says whether the entry counts (filtered pages); an answer without a request has 100 entries and a total.
pub fn paginate(
    state: &dyn StateScan,
    store: StoreId,
    prefix: &[u8],
    request: Option<&PageRequest>,
    mut visit: impl FnMut(&[u8], &Value) -> Result<bool>,
) -> Result<PageResponse> {
    let empty = PageRequest::default();
    let request = request.unwrap_or(&empty);
    if request.offset > 0 && !request.key.is_empty() {
        return Err(Error::invalid_argument(
            "invalid request, either offset or key is expected, got both",
        ));
    }
    let by_key = !request.key.is_empty();
    let limit = if request.limit == 0 {
        100
    } else {
        request.limit.min(PAGE_LIMIT)
    };
    let count_total = !by_key && (request.count_total || request.limit == 0);
    let mut range = KeyRange::prefix(store, prefix);
    if by_key {
        let from = [prefix, &request.key].concat();
        if request.reverse {
            range.end = Some([from.as_slice(), &[0]].concat());
        } else {
            range.start = from;
        }
    }
    if request.reverse {
        range = range.descending();
    }
    let last = request.offset.saturating_add(limit);
    let (mut seen, mut walked) = (0u64, 0u64);
    let mut next_key = Vec::new();
    let mut failed = None;
    state.scan(&range, &mut |key: &Key, value| {
        walked += 1;
        if walked > WALK_LIMIT {
            failed = Some(Error::invalid_argument(format!(
                "more than {WALK_LIMIT} entries: page by key, without count_total"
            )));
            return Control::Break(());
        }
        let rest = &key.bytes()[prefix.len()..];
        if seen >= last {
            if next_key.is_empty() {
                next_key = rest.to_vec();
            }
            if !count_total {
                return Control::Break(());
            }
            seen += 1;
            return Control::Continue(());
        }
        if seen < request.offset {
            seen += 1;
            return Control::Continue(());
        }
        match visit(rest, value) {
            Ok(true) => seen += 1,
            Ok(false) => {}
            Err(e) => {
                failed = Some(e);
                return Control::Break(());
            }
        }
        Control::Continue(())
    })?;
    match failed {
        Some(e) => Err(e),
        None => Ok(PageResponse {
            next_key,
            total: if count_total { seen } else { 0 },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::MemoryState;

    fn page(request: PageRequest) -> (Vec<u8>, PageResponse) {
        let store = StoreId::new("t");
        let state = MemoryState(
            (0..10u8)
                .map(|b| (Key::new(store, &[&[7, b]]), Value::from(vec![b])))
                .collect(),
        );
        let mut out = Vec::new();
        let response = paginate(&state, store, &[7], Some(&request), |rest, value| {
            assert_eq!(rest, &value[..]);
            out.push(rest[0]);
            Ok(true)
        });
        (out, response.unwrap())
    }

    #[test]
    fn pages_follow_one_another() {
        let base = PageRequest {
            limit: 4,
            ..PageRequest::default()
        };
        let (first, r) = page(base.clone());
        assert_eq!(
            (first, r.next_key.as_slice(), r.total),
            (vec![0, 1, 2, 3], &[4u8][..], 0)
        );
        let (second, _) = page(PageRequest {
            key: r.next_key,
            ..base.clone()
        });
        assert_eq!(second, [4, 5, 6, 7]);
        let (last, r) = page(PageRequest {
            offset: 8,
            count_total: true,
            ..base.clone()
        });
        assert_eq!((last, r.next_key.is_empty(), r.total), (vec![8, 9], true, 10));
        let (back, r) = page(PageRequest {
            reverse: true,
            ..base.clone()
        });
        assert_eq!(back, [9, 8, 7, 6]);
        assert_eq!(
            page(PageRequest {
                reverse: true,
                key: r.next_key,
                ..base
            })
            .0,
            [5, 4, 3, 2]
        );
        assert_eq!(page(PageRequest::default()).1.total, 10);
    }
}
