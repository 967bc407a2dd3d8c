//! What is written of a height: three sections, and the meta record that vouches for them and for the height before.
//!
//! ```text
//! changes  per store: name | count | (0 key | 1 key value)...      lengths and counts are LEB128
//! body     as given
//! index    (key value)...
//! meta     format | kind | height | app hash | hash of the meta before | 3 x (length, blake3) | CommitInfo | blake3 of this
//! ```
use crate::codec::{Reader, put_bytes};
use crate::iavl::put_uvarint;
use state::{AppHash, Bytes, ChangeSet, IndexEntry, Key, StoreError, StoreId, Value};

/// The layout written; any other is refused.
const FORMAT: u8 = 2;

/// Why there is a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A block was committed.
    Block = 0,
    /// The journal starts from a checkpoint: the record before the first is that one's, named as predecessor.
    Seed = 1,
}

/// A blake3 hash.
pub(crate) type Digest = [u8; 32];

/// Parts of a record, each hashed and read by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Changes = 0,
    Body = 1,
    Index = 2,
}

impl Part {
    pub(crate) const ALL: [Self; 3] = [Self::Changes, Self::Body, Self::Index];
}

/// Length and hash of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) len: u64,
    pub(crate) digest: Digest,
}

impl Section {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            len: bytes.len() as u64,
            digest: blake3::hash(bytes).into(),
        }
    }
}

/// What a record says of its height, before its sections are hashed.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) height: u64,
    pub(crate) root: AppHash,
    /// The hash of the record before; zeros for the first.
    pub(crate) previous: Digest,
    /// Protobuf, as the SDK stores it.
    pub(crate) commit_info: Vec<u8>,
}

/// The record of a height, without its sections' content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) kind: Kind,
    pub(crate) height: u64,
    pub(crate) root: AppHash,
    /// The hash of the record before; zeros for the first.
    pub(crate) previous: Digest,
    /// In the order of [`Part`].
    pub(crate) sections: [Section; 3],
    /// Protobuf, as the SDK stores it.
    pub(crate) commit_info: Vec<u8>,
}

impl Meta {
    /// Its bytes; the last 32 are its hash.
    pub(crate) fn encode(&self) -> (Vec<u8>, Digest) {
        let mut out = vec![FORMAT, self.kind as u8];
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.root);
        out.extend_from_slice(&self.previous);
        for section in self.sections {
            out.extend_from_slice(&section.len.to_be_bytes());
            out.extend_from_slice(&section.digest);
        }
        put_bytes(&mut out, &self.commit_info);
        let hash = Digest::from(blake3::hash(&out));
        out.extend_from_slice(&hash);
        (out, hash)
    }
    /// The record kept under `height`, and its hash.
    pub(crate) fn decode(bytes: &[u8], height: u64) -> Result<(Self, Digest), StoreError> {
        let what = format!("record of height {height}");
        let corrupt = |why: &str| StoreError::Corrupt(format!("{what}: {why}"));
        let (content, hash) = bytes
            .split_last_chunk::<32>()
            .ok_or_else(|| corrupt("cut short"))?;
        if blake3::hash(content) != *hash {
            return Err(corrupt("its hash does not match its bytes"));
        }
        let mut reader = Reader::new(content, &what);
        let format = reader.u8()?;
        if format != FORMAT {
            let why = format!("{what}: format {format}, this program reads {FORMAT}");
            return Err(StoreError::Incompatible(why));
        }
        let kind = match reader.u8()? {
            0 => Kind::Block,
            1 => Kind::Seed,
            kind => return Err(corrupt(&format!("kind {kind}, this program knows 0 and 1"))),
        };
        let kept = reader.u64()?;
        if kept != height {
            return Err(corrupt(&format!("it is of height {kept}")));
        }
        let (root, previous) = (reader.array()?, reader.array()?);
        let mut sections = [Section {
            len: 0,
            digest: [0; 32],
        }; 3];
        for section in &mut sections {
            *section = Section {
                len: reader.u64()?,
                digest: reader.array()?,
            };
        }
        let commit_info = reader.bytes()?.to_vec();
        reader.finish()?;
        Ok((
            Self {
                kind,
                height,
                root,
                previous,
                sections,
                commit_info,
            },
            *hash,
        ))
    }
}

pub(crate) fn encode_changes(changes: &ChangeSet) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = changes.iter().peekable();
    while let Some(&(first, _)) = rest.peek() {
        let store = first.store();
        let (mut list, mut count) = (Vec::new(), 0);
        while let Some((key, value)) = rest.next_if(|(key, _)| key.store() == store) {
            list.push(u8::from(value.is_some()));
            put_bytes(&mut list, key.bytes());
            if let Some(value) = value {
                put_bytes(&mut list, value);
            }
            count += 1;
        }
        put_bytes(&mut out, store.name().as_bytes());
        put_uvarint(&mut out, count);
        out.extend_from_slice(&list);
    }
    out
}

pub(crate) fn decode_changes(bytes: &[u8], height: u64) -> Result<ChangeSet, StoreError> {
    let mut changes = ChangeSet::new();
    each_change(bytes, height, &mut |store, key, value| {
        changes.insert(Key::new(store, &[key]), value.map(Value::copy_from_slice));
    })?;
    Ok(changes)
}

/// Visits a change: its store, key, and value, if it is one.
pub(crate) type VisitChange<'a> = dyn FnMut(StoreId, &[u8], Option<&[u8]>) + 'a;

/// Calls `visit` with each change, in their order; `None` removes.
pub(crate) fn each_change(bytes: &[u8], height: u64, visit: &mut VisitChange<'_>) -> Result<(), StoreError> {
    let what = format!("changes of height {height}");
    let mut reader = Reader::new(bytes, &what);
    while !reader.is_empty() {
        let name = std::str::from_utf8(reader.bytes()?).ok();
        let store = name
            .and_then(StoreId::parse)
            .ok_or_else(|| reader.corrupt("bad store name"))?;
        // Each change takes at least two bytes, so a false count ends in `cut short`.
        for _ in 0..reader.uvarint()? {
            let put = match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(reader.corrupt("bad tag")),
            };
            let key = reader.bytes()?;
            let value = if put { Some(reader.bytes()?) } else { None };
            visit(store, key, value);
        }
    }
    Ok(())
}

pub(crate) fn encode_index(index: &[IndexEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in index {
        put_bytes(&mut out, &entry.key);
        put_bytes(&mut out, &entry.value);
    }
    out
}

pub(crate) fn decode_index(bytes: &[u8], height: u64) -> Result<Vec<IndexEntry>, StoreError> {
    let what = format!("index of height {height}");
    let mut reader = Reader::new(bytes, &what);
    let mut index = Vec::new();
    while !reader.is_empty() {
        let (key, value) = (reader.bytes()?, reader.bytes()?);
        index.push(IndexEntry {
            key: Bytes::copy_from_slice(key),
            value: Bytes::copy_from_slice(value),
        });
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        let section = Section::of(b"abc");
        Meta {
            kind: Kind::Block,
            height: 7,
            root: [1; 32],
            previous: [2; 32],
            sections: [section; 3],
            commit_info: vec![3; 5],
        }
    }

    #[test]
    fn a_record_reads_back_and_any_flipped_bit_is_noticed() {
        let (bytes, hash) = meta().encode();
        assert_eq!(Meta::decode(&bytes, 7), Ok((meta(), hash)));
        assert!(
            Meta::decode(&bytes, 8)
                .unwrap_err()
                .to_string()
                .contains("it is of height 7")
        );
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(Meta::decode(&bad, 7).is_err(), "bit {at}");
        }
    }

    #[test]
    fn the_layout_of_a_record_is_pinned() {
        let (bytes, hash) = meta().encode();
        assert_eq!(bytes.len(), 2 + 8 + 64 + 120 + 6 + 32);
        assert_eq!(hex::encode(&hash[..8]), GOLDEN_META);
        let (a, b) = (StoreId::new("a"), StoreId::new("b"));
        let changes: ChangeSet = [
            (Key::new(a, &[b"k"]), Some(Value::from("v"))),
            (Key::new(b, &[b"x"]), None),
        ]
        .into();
        let bytes = encode_changes(&changes);
        assert_eq!(
            hex::encode(&bytes),
            "0161010101".to_owned() + "6b0176" + "0162010001" + "78"
        );
        assert_eq!(decode_changes(&bytes, 1), Ok(changes));
        for len in 1..bytes.len() {
            // A cut between two stores is a whole change set: the section's hash notices that one.
            assert!(
                len == 8 || decode_changes(&bytes[..len], 1).is_err(),
                "cut at {len}"
            );
        }
        let index = vec![IndexEntry {
            key: "k".into(),
            value: Bytes::new(),
        }];
        assert_eq!(decode_index(&encode_index(&index), 1), Ok(index));
    }

    const GOLDEN_META: &str = "89b2e148b1ab1a57";
}
