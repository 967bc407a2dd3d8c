//! Checkpoints: a version's trees in one file, so that opening need not replay the journal from genesis.
//!
//! ```text
//! "braid-checkpoint" | format u32 | height u64 | app hash | hash of the height's journal record | stores u32
//! per store: name | nodes u64 | nodes in export order
//! node: height u8 | version | for a leaf: key value                         lengths and versions are LEB128
//! blake3 of all before
//! ```
//! Inner keys and hashes follow from the leaves and are not written: reading computes them, and the app hash that comes
//! out vouches for every byte.
use crate::Frozen;
use crate::iavl::{Importer, Tree, put_uvarint};
use crate::multistore::{Trees, app_hash};
use crate::points::{Point, Points};
use crate::record::Digest;
use state::{Control, Snapshot, StoreError, StoreId, Value, Version};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 16] = b"braid-checkpoint";
/// The layout written; any other is refused.
const FORMAT: u32 = 1;
/// More than any chain has; a false count must not be believed.
const MAX_STORES: u32 = 1024;
const BUFFER_BYTES: usize = 1 << 20;

/// The checkpoints in `folder`, by height.
pub(crate) fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| failed(folder, &e))? {
        let path = entry.map_err(|e| failed(folder, &e))?.path();
        let name = path.file_name().and_then(|n| n.to_str());
        if let Some(height) = name
            .and_then(|n| n.strip_prefix("ckpt-"))
            .and_then(|n| n.parse().ok())
        {
            found.push((height, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Drops what an interrupted [`write`] left.
pub(crate) fn drop_unfinished(folder: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(|e| failed(folder, &e))? {
        let path = entry.map_err(|e| failed(folder, &e))?.path();
        if path.extension().is_some_and(|e| e == "tmp") {
            fs::remove_file(&path).map_err(|e| failed(&path, &e))?;
        }
    }
    Ok(())
}

/// Writes `frozen` as a checkpoint, durably. Returns its size in bytes.
pub(crate) fn write(
    folder: &Path,
    frozen: &Frozen,
    record: Digest,
    points: &Points,
) -> Result<u64, StoreError> {
    let path = folder.join(format!("ckpt-{}", frozen.version().height));
    let temporary = path.with_extension("tmp");
    let result = write_file(&temporary, frozen, record, points)
        .inspect(|()| points.at(Point::CheckpointWritten))
        .and_then(|()| fs::rename(&temporary, &path))
        .and_then(|()| File::open(folder)?.sync_all())
        .and_then(|()| fs::metadata(&path));
    let size = result.map_err(|e| failed(&path, &e))?.len();
    points.at(Point::CheckpointNamed);
    Ok(size)
}

/// Reads a checkpoint: its version, and the hash of the journal record of its height.
pub(crate) fn read(path: &Path) -> Result<(Frozen, Digest), StoreError> {
    let corrupt = |why: &str| StoreError::Corrupt(format!("checkpoint {}: {why}", path.display()));
    let file = File::open(path).map_err(|e| failed(path, &e))?;
    let len = file.metadata().map_err(|e| failed(path, &e))?.len();
    let left = len.checked_sub(32).ok_or_else(|| corrupt("cut short"))?;
    let inner = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut source = Source {
        inner,
        hasher: blake3::Hasher::new(),
        left,
    };
    let (version, record, trees) = parse(&mut source).map_err(|e| corrupt(&e.to_string()))?;
    let mut footer = Digest::default();
    source
        .inner
        .read_exact(&mut footer)
        .map_err(|e| failed(path, &e))?;
    if source.left != 0 || source.hasher.finalize() != footer {
        return Err(corrupt("its hash does not match its bytes"));
    }
    if app_hash(&trees) != version.root {
        return Err(corrupt("its trees do not have the app hash it names"));
    }
    Ok((Frozen::new(version, trees), record))
}

fn failed(path: &Path, e: &io::Error) -> StoreError {
    StoreError::Database(format!("checkpoint {}: {e}", path.display()))
}

/// Hashes what passes through.
struct Sink {
    inner: BufWriter<File>,
    hasher: blake3::Hasher,
}

impl Sink {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }
}

fn write_file(path: &Path, frozen: &Frozen, record: Digest, points: &Points) -> io::Result<()> {
    let inner = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
    points.at(Point::CheckpointBegun);
    let mut sink = Sink {
        inner,
        hasher: blake3::Hasher::new(),
    };
    let Version { height, root } = frozen.version();
    sink.put(MAGIC)?;
    sink.put(&FORMAT.to_be_bytes())?;
    sink.put(&height.to_be_bytes())?;
    sink.put(&root)?;
    sink.put(&record)?;
    sink.put(
        &u32::try_from(frozen.trees().len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    )?;
    for (id, tree) in frozen.trees() {
        write_tree(&mut sink, *id, tree)?;
    }
    let footer = sink.hasher.finalize();
    sink.inner.write_all(footer.as_bytes())?;
    sink.inner
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

fn write_tree(sink: &mut Sink, id: StoreId, tree: &Tree) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(256);
    let name = id.name().as_bytes();
    put_uvarint(&mut bytes, name.len() as u64);
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&(tree.size() * 2).saturating_sub(1).to_be_bytes());
    sink.put(&bytes)?;
    let mut result = Ok(());
    let _ = tree.export(&mut |node| {
        bytes.clear();
        bytes.push(node.height);
        put_uvarint(&mut bytes, node.version);
        if let Some(value) = &node.value {
            put_uvarint(&mut bytes, node.key.len() as u64);
            bytes.extend_from_slice(&node.key);
            put_uvarint(&mut bytes, value.len() as u64);
            bytes.extend_from_slice(value);
        }
        result = sink.put(&bytes);
        if result.is_ok() {
            Control::Continue(())
        } else {
            Control::Break(())
        }
    });
    result
}

/// Reads no more than is there, and hashes it.
struct Source {
    inner: BufReader<File>,
    hasher: blake3::Hasher,
    /// Bytes before the footer.
    left: u64,
}

impl Source {
    fn fill(&mut self, to: &mut [u8]) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(to.len() as u64)
            .ok_or_else(|| io::Error::other("cut short"))?;
        self.inner.read_exact(to)?;
        self.hasher.update(to);
        Ok(())
    }
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut to = [0; N];
        self.fill(&mut to)?;
        Ok(to)
    }
    fn uvarint(&mut self) -> io::Result<u64> {
        let mut n = 0;
        for shift in (0..63).step_by(7) {
            let [byte] = self.array()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(io::Error::other("number beyond 63 bits"))
    }
    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let len = self.uvarint()?;
        if len > self.left {
            return Err(io::Error::other("a length passes the end"));
        }
        let mut to = vec![0; len as usize];
        self.fill(&mut to)?;
        Ok(to)
    }
}

fn parse(source: &mut Source) -> io::Result<(Version, Digest, Trees)> {
    if &source.array::<16>()? != MAGIC {
        return Err(io::Error::other("no checkpoint"));
    }
    let format = u32::from_be_bytes(source.array()?);
    if format != FORMAT {
        return Err(io::Error::other(format!(
            "format {format}, this program reads {FORMAT}"
        )));
    }
    let version = Version {
        height: u64::from_be_bytes(source.array()?),
        root: source.array()?,
    };
    let record = source.array()?;
    let stores = u32::from_be_bytes(source.array()?);
    if stores > MAX_STORES {
        return Err(io::Error::other(format!("{stores} stores, at most {MAX_STORES}")));
    }
    let mut trees = Trees::new();
    for _ in 0..stores {
        let name = String::from_utf8(source.bytes()?).ok();
        let id = name
            .as_deref()
            .and_then(StoreId::parse)
            .ok_or_else(|| io::Error::other("bad store name"))?;
        trees.insert(id, parse_tree(source)?);
    }
    Ok((version, record, trees))
}

fn parse_tree(source: &mut Source) -> io::Result<Tree> {
    let mut importer = Importer::default();
    for _ in 0..u64::from_be_bytes(source.array()?) {
        let ([height], version) = (source.array()?, source.uvarint()?);
        if height == 0 {
            let (key, value) = (source.bytes()?, source.bytes()?);
            importer
                .leaf(key.into(), Value::from(value), version)
                .map_err(io::Error::other)?;
        } else {
            importer.inner(height, version).map_err(io::Error::other)?;
        }
    }
    importer.finish().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_a_checkpoint_is_pinned() {
        let mut bank = Tree::new();
        bank.apply(&[(b"a", Some(Value::from("1"))), (b"b", Some(Value::new()))], 3);
        let trees: Trees = [(StoreId::new("bank"), bank), (StoreId::new("evm"), Tree::new())].into();
        let version = Version {
            height: 300,
            root: app_hash(&trees),
        };
        let folder = tempfile::tempdir().unwrap();
        let size = write(
            folder.path(),
            &Frozen::new(version, trees),
            [9; 32],
            &Points::default(),
        )
        .unwrap();
        let [(height, path)] = &list(folder.path()).unwrap()[..] else {
            panic!("one checkpoint")
        };
        let bytes = fs::read(path).unwrap();
        assert_eq!((*height, size), (300, bytes.len() as u64));
        let nodes = "00030161".to_owned() + "0131" + "00030162" + "00" + "0103";
        let trees = "0462616e6b".to_owned() + "0000000000000003" + &nodes + "0365766d" + "0000000000000000";
        let head = hex::encode(MAGIC)
            + "00000001"
            + "000000000000012c"
            + &hex::encode(version.root)
            + &"09".repeat(32);
        let want = head + "00000002" + &trees;
        assert_eq!(hex::encode(&bytes[..bytes.len() - 32]), want);
        assert_eq!(
            bytes[bytes.len() - 32..],
            *blake3::hash(&bytes[..bytes.len() - 32]).as_bytes()
        );
        fs::write(folder.path().join("ckpt-7.tmp"), "half").unwrap();
        drop_unfinished(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let (frozen, record) = read(path).unwrap();
        assert_eq!((frozen.version(), record), (version, [9; 32]));
    }
}
