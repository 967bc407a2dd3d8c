//! Pages of a range, by key or by offset (SDK types/query/pagination.go).
use cosmrs::proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};
use module::{Error, Result};
use state::{Control, Key, KeyRange, StateError, StateScan, Value};

/// Items a page has where the request does not say.
const DEFAULT_LIMIT: u64 = 100;
/// Most items a page has: bounds one answer's size.
const MAX_LIMIT: u64 = 1_000;
/// Where counting stops: bounds the work of one request.
const MAX_COUNT: u64 = 100_000;

/// What a request without a page asks for.
const FIRST_PAGE: PageRequest = PageRequest {
    key: Vec::new(),
    offset: 0,
    limit: 0,
    count_total: false,
    reverse: false,
};

/// A page, and how to get the next.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) response: PageResponse,
}

/// Reads one page of `range` (a prefix). `pick` decodes an entry, or passes over it. Keys in requests and answers are
/// what follows the prefix.
pub(super) fn paginate<T>(
    state: &dyn StateScan,
    range: &KeyRange,
    request: Option<PageRequest>,
    pick: impl Fn(&Key, &Value) -> Result<Option<T>, StateError>,
) -> Result<Page<T>> {
    let request = request.unwrap_or(FIRST_PAGE);
    if !request.key.is_empty() && request.offset > 0 {
        return Err(Error::invalid_argument(
            "invalid request, either offset or key is expected, got both",
        ));
    }
    let limit = if request.limit == 0 {
        DEFAULT_LIMIT
    } else {
        request.limit.min(MAX_LIMIT)
    };
    // As in the SDK: whoever asks for a default page by offset also gets the total.
    let count = request.key.is_empty() && (request.count_total || request.limit == 0);
    let mut items = Vec::new();
    let mut next_key = Vec::new();
    let (mut hits, mut failed) = (0u64, None);
    state.scan(&from_key(range, &request), &mut |key, value| {
        let item = match pick(key, value) {
            Ok(Some(item)) => item,
            Ok(None) => return Control::Continue(()),
            Err(e) => {
                failed = Some(e);
                return Control::Break(());
            }
        };
        hits += 1;
        if hits <= request.offset {
            return Control::Continue(());
        }
        if (items.len() as u64) < limit {
            items.push(item);
        } else if next_key.is_empty() {
            next_key = key.bytes()[range.start.len()..].to_vec();
        }
        let full = !next_key.is_empty() && !count;
        if full || hits >= MAX_COUNT {
            Control::Break(())
        } else {
            Control::Continue(())
        }
    })?;
    if let Some(e) = failed {
        return Err(e.into());
    }
    Ok(Page {
        items,
        response: PageResponse {
            next_key,
            total: if count { hits } else { 0 },
        },
    })
}

fn from_key(range: &KeyRange, request: &PageRequest) -> KeyRange {
    let mut range = range.clone();
    if !request.key.is_empty() {
        let key = [range.start.as_slice(), &request.key].concat();
        if request.reverse {
            // Up to and with the key itself.
            range.end = Some([key.as_slice(), &[0]].concat());
        } else {
            range.start = key;
        }
    }
    if request.reverse {
        range.descending()
    } else {
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::{MemoryState, StoreId};

    fn page(request: PageRequest) -> (Vec<u8>, Vec<u8>, u64) {
        let store = StoreId::new("t");
        let pair = |b: u8| (Key::new(store, &[&[7, b]]), Value::new());
        let state = MemoryState(
            (1..=5)
                .map(pair)
                .chain([(Key::new(store, &[&[8, 1]]), Value::new())])
                .collect(),
        );
        let p = paginate(&state, &KeyRange::prefix(store, &[7]), Some(request), |k, _| {
            // An entry that is passed over.
            Ok(Some(k.bytes()[1]).filter(|b| *b != 2))
        })
        .unwrap();
        (p.items, p.response.next_key, p.response.total)
    }

    #[test]
    fn pages_join_without_gaps() {
        let limit = |limit| PageRequest {
            limit,
            ..PageRequest::default()
        };
        assert_eq!(page(PageRequest::default()), (vec![1, 3, 4, 5], vec![], 4));
        assert_eq!(page(limit(2)), (vec![1, 3], vec![4], 0));
        assert_eq!(
            page(PageRequest {
                key: vec![4],
                ..limit(2)
            }),
            (vec![4, 5], vec![], 0)
        );
        assert_eq!(
            page(PageRequest {
                offset: 1,
                count_total: true,
                ..limit(2)
            }),
            (vec![3, 4], vec![5], 4)
        );
        let back = PageRequest {
            reverse: true,
            ..limit(2)
        };
        assert_eq!(page(back.clone()), (vec![5, 4], vec![3], 0));
        assert_eq!(
            page(PageRequest { key: vec![3], ..back }),
            (vec![3, 1], vec![], 0)
        );
    }

    #[test]
    fn a_key_and_an_offset_contradict_each_other() {
        let both = PageRequest {
            key: vec![1],
            offset: 1,
            ..PageRequest::default()
        };
        let range = KeyRange::prefix(StoreId::new("t"), &[7]);
        assert!(paginate(&state::EmptyState, &range, Some(both), |_, _| Ok(Some(()))).is_err());
    }
}
