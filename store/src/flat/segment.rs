//! A segment: what the heights of a range wrote, sorted, in an immutable file or, for the newest heights, in memory.
//!
//! ```text
//! file     "braid-history\0\0\0" | pages | trailer | length of the trailer u64 | blake3 of the trailer
//! trailer  format u32 | level u8 | complete u8 | first u64 | last u64 | rows u64 | keys u64 | pages u32
//!          | per page: length u32, blake3's first 16 bytes, its first row's key (length LEB128) and height u64
//!          | filter
//! ```
//! The trailer is read, checked and kept in RAM when a file is opened; a page is checked whenever it is read.
use super::cache::Cache;
use super::filter::{Filter, hash};
use super::page::{Found, Page, PageBuilder, Row};
use crate::codec::{Reader, put_bytes};
use crate::open::failed;
use state::{StoreError, Value};
use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

type Result<T> = std::result::Result<T, StoreError>;

const MAGIC: &[u8; 16] = b"braid-history\0\0\0";
/// The layout written; any other is refused.
const FORMAT: u32 = 1;
/// Magic, trailer length, hash.
const FIXED_BYTES: u64 = 16 + 8 + 32;
const BUFFER_BYTES: usize = 256 << 10;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// How many times its rows were merged; [`BASE`] is a state with no heights before it.
    pub(super) level: u8,
    /// What it does not have does not exist at any of its heights: nothing older need be asked.
    pub(super) complete: bool,
    /// The first height.
    pub(super) from: u64,
    /// The last height.
    pub(super) to: u64,
}

/// The level of a whole state.
pub(super) const BASE: u8 = u8::MAX;

/// Where a page lies, and with what it begins.
#[derive(Debug)]
struct Fence {
    key: Box<[u8]>,
    height: u64,
    offset: u64,
    len: u32,
    digest: [u8; 16],
}

#[derive(Debug)]
enum Data {
    Memory(Vec<Arc<Page>>),
    File { file: File, path: PathBuf },
}

/// An immutable run of rows.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its number; files are named by it.
    pub(super) id: u64,
    pub(super) head: Head,
    pub(super) rows: u64,
    /// Different keys.
    pub(super) keys: u64,
    /// Bytes of its file, or of memory.
    pub(super) bytes: u64,
    /// The trailer's hash; zeros in memory.
    pub(super) digest: [u8; 32],
    fences: Vec<Fence>,
    filter: Filter,
    data: Data,
    damage: OnceLock<StoreError>,
}

fn page_digest(bytes: &[u8]) -> [u8; 16] {
    *blake3::hash(bytes).as_bytes().first_chunk().expect("32 bytes")
}

impl Segment {
    pub(super) fn is_file(&self) -> bool {
        matches!(self.data, Data::File { .. })
    }
    /// Where its file lies.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.data {
            Data::File { path, .. } => Some(path),
            Data::Memory(_) => None,
        }
    }
    /// What was found wrong with it.
    pub(super) fn damage(&self) -> Option<&StoreError> {
        self.damage.get()
    }
    pub(super) fn pages(&self) -> usize {
        self.fences.len()
    }
    /// Bytes of memory, without cached pages.
    pub(super) fn memory(&self) -> u64 {
        let fences: usize = self.fences.iter().map(|f| size_of::<Fence>() + f.key.len()).sum();
        let pages = if self.is_file() { 0 } else { self.bytes };
        (fences + self.filter.size()) as u64 + pages
    }
    /// Opens a file and checks its trailer.
    pub(super) fn open(id: u64, path: PathBuf) -> Result<Self> {
        let corrupt = |why: &str| StoreError::Corrupt(format!("history {}: {why}", path.display()));
        let file = File::open(&path).map_err(|e| failed(&path, &e))?;
        let size = file.metadata().map_err(|e| failed(&path, &e))?.len();
        let read = |at: u64, len: u64| -> Result<Vec<u8>> {
            let mut to = vec![0; usize::try_from(len).map_err(|_| corrupt("a length beyond memory"))?];
            file.read_exact_at(&mut to, at).map_err(|e| failed(&path, &e))?;
            Ok(to)
        };
        let rest = size
            .checked_sub(FIXED_BYTES)
            .ok_or_else(|| corrupt("cut short"))?;
        if read(0, 16)? != MAGIC {
            return Err(corrupt("no history"));
        }
        let end = read(size - 40, 40)?;
        let (len, want) = end.split_first_chunk::<8>().expect("40 bytes");
        let len = u64::from_be_bytes(*len);
        let pages = rest
            .checked_sub(len)
            .ok_or_else(|| corrupt("its length passes its start"))?;
        let trailer = read(16 + pages, len)?;
        if blake3::hash(&trailer).as_bytes() != want {
            return Err(corrupt("its hash does not match its bytes"));
        }
        let digest = *blake3::hash(&trailer).as_bytes();
        let what = format!("history {}", path.display());
        let mut segment = decode_trailer(&trailer, &what)?;
        if segment.fences.last().map_or(16, |f| f.offset + u64::from(f.len)) != 16 + pages {
            return Err(corrupt("its pages are not as long as it says"));
        }
        (segment.id, segment.bytes, segment.digest) = (id, size, digest);
        segment.data = Data::File { file, path };
        Ok(segment)
    }
    /// Page `n`, checked.
    pub(super) fn page(&self, n: usize, cache: Option<&Cache>) -> Result<Arc<Page>> {
        let (file, path) = match &self.data {
            Data::Memory(pages) => return Ok(Arc::clone(&pages[n])),
            Data::File { file, path } => (file, path),
        };
        let id = (self.id, n as u32);
        if let Some(page) = cache.and_then(|cache| cache.get(id)) {
            return Ok(page);
        }
        let fence = &self.fences[n];
        let mut bytes = vec![0; fence.len as usize];
        let read = file
            .read_exact_at(&mut bytes, fence.offset)
            .map_err(|e| failed(path, &e));
        let checked = read.and_then(|()| {
            if page_digest(&bytes) == fence.digest {
                return Page::new(bytes);
            }
            let why = format!("history {}: page {n} does not match its hash", path.display());
            Err(StoreError::Corrupt(why))
        });
        let page = Arc::new(checked.inspect_err(|e| {
            let _ = self.damage.set(e.clone());
        })?);
        if let Some(cache) = cache {
            cache.put(id, &page);
        }
        Ok(page)
    }
    /// The last page that does not begin after `key` at `height`.
    fn place(&self, key: &[u8], height: u64) -> Option<usize> {
        let order = |fence: &Fence| fence.key[..].cmp(key).then(height.cmp(&fence.height));
        self.fences
            .partition_point(|fence| order(fence) != Ordering::Greater)
            .checked_sub(1)
    }
    /// The page in which the rows of keys from `key` on begin.
    pub(super) fn page_of(&self, key: &[u8]) -> usize {
        self.place(key, u64::MAX).unwrap_or(0)
    }
    /// The newest row of `key` up to `height`; its value is `None` where that height removed it.
    pub(super) fn find(
        &self,
        key: &[u8],
        hash: u64,
        height: u64,
        cache: &Cache,
    ) -> Result<Option<Option<Value>>> {
        let Some(age) = height.checked_sub(self.head.from) else {
            return Ok(None);
        };
        if !self.filter.may_have(hash) {
            return Ok(None);
        }
        let mut n = match self.place(key, height) {
            Some(n) => n,
            None if self.fences.first().is_some_and(|first| *first.key == *key) => 0,
            None => return Ok(None),
        };
        loop {
            match self.page(n, Some(cache))?.find(key, age)? {
                Found::Row(value) => return Ok(Some(value.map(Value::copy_from_slice))),
                Found::Nothing => return Ok(None),
                Found::Beyond => {}
            }
            n += 1;
            if self.fences.get(n).is_none_or(|fence| *fence.key != *key) {
                return Ok(None);
            }
        }
    }
}

fn decode_trailer(bytes: &[u8], what: &str) -> Result<Segment> {
    let mut reader = Reader::new(bytes, what);
    let format = u32::from_be_bytes(reader.array()?);
    if format != FORMAT {
        return Err(reader.corrupt(&format!("format {format}, this program reads {FORMAT}")));
    }
    let head = Head {
        level: reader.u8()?,
        complete: reader.u8()? == 1,
        from: reader.u64()?,
        to: reader.u64()?,
    };
    let (rows, keys) = (reader.u64()?, reader.u64()?);
    let count = u32::from_be_bytes(reader.array()?);
    let (mut fences, mut offset) = (Vec::new(), 16);
    // Each fence takes bytes, so a false count ends in `cut short`.
    for _ in 0..count {
        let (len, digest) = (u32::from_be_bytes(reader.array()?), reader.array()?);
        fences.push(Fence {
            key: reader.bytes()?.into(),
            height: reader.u64()?,
            offset,
            len,
            digest,
        });
        offset += u64::from(len);
    }
    let filter = Filter::decode(reader.take_rest());
    Ok(Segment {
        id: 0,
        head,
        rows,
        keys,
        bytes: 0,
        digest: [0; 32],
        fences,
        filter,
        data: Data::Memory(Vec::new()),
        damage: OnceLock::new(),
    })
}

enum Sink {
    Memory(Vec<Arc<Page>>),
    File(BufWriter<File>, PathBuf),
}

/// Writes a segment, row by row.
pub(super) struct Builder {
    head: Head,
    sink: Sink,
    page: PageBuilder,
    fences: Vec<Fence>,
    hashes: Vec<u64>,
    last: Vec<u8>,
    offset: u64,
    rows: u64,
}

impl Builder {
    /// A segment in memory.
    pub(super) fn memory(head: Head) -> Self {
        Self::new(head, Sink::Memory(Vec::new()))
    }
    /// A segment in the file `path`, which is replaced.
    pub(super) fn file(head: Head, path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|e| failed(path, &e))?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
        out.write_all(MAGIC).map_err(|e| failed(path, &e))?;
        Ok(Self::new(head, Sink::File(out, path.to_owned())))
    }
    fn new(head: Head, sink: Sink) -> Self {
        Self {
            head,
            sink,
            page: PageBuilder::default(),
            fences: Vec::new(),
            hashes: Vec::new(),
            last: Vec::new(),
            offset: 16,
            rows: 0,
        }
    }
    /// Appends the row that `height` wrote. Rows come in their order.
    pub(super) fn push(&mut self, key: &[u8], height: u64, value: Option<&[u8]>) -> Result<()> {
        let age = height
            .checked_sub(self.head.from)
            .filter(|_| height <= self.head.to)
            .ok_or_else(|| {
                StoreError::Corrupt(format!("history: a row of height {height} in {:?}", self.head))
            })?;
        let row = Row { key, age, value };
        if !self.page.is_empty() && self.page.is_full_for(&row) {
            self.flush()?;
        }
        if self.page.is_empty() {
            self.fences.push(Fence {
                key: key.into(),
                height,
                offset: self.offset,
                len: 0,
                digest: [0; 16],
            });
        }
        self.page.push(&row);
        if self.rows == 0 || self.last != key {
            self.hashes.push(hash(key));
            self.last.clear();
            self.last.extend_from_slice(key);
        }
        self.rows += 1;
        Ok(())
    }
    fn flush(&mut self) -> Result<()> {
        let bytes = self.page.take();
        let len = u32::try_from(bytes.len())
            .map_err(|_| StoreError::Corrupt("history: a value of 4 GiB".into()))?;
        let fence = self.fences.last_mut().expect("made with the page's first row");
        fence.len = len;
        self.offset += u64::from(len);
        match &mut self.sink {
            Sink::Memory(pages) => pages.push(Arc::new(Page::new(bytes)?)),
            Sink::File(out, path) => {
                fence.digest = page_digest(&bytes);
                out.write_all(&bytes).map_err(|e| failed(path, &e))?;
            }
        }
        Ok(())
    }
    /// Ends it; a file is synced, and gets its name by [`Segment::named`].
    pub(super) fn finish(mut self, id: u64) -> Result<Segment> {
        if !self.page.is_empty() {
            self.flush()?;
        }
        let filter = Filter::new(&self.hashes);
        let mut segment = Segment {
            id,
            head: self.head,
            rows: self.rows,
            keys: self.hashes.len() as u64,
            bytes: self.offset,
            digest: [0; 32],
            fences: self.fences,
            filter,
            data: Data::Memory(Vec::new()),
            damage: OnceLock::new(),
        };
        match self.sink {
            Sink::Memory(pages) => segment.data = Data::Memory(pages),
            Sink::File(mut out, path) => {
                let trailer = encode_trailer(&segment);
                segment.digest = *blake3::hash(&trailer).as_bytes();
                segment.bytes += trailer.len() as u64 + 40;
                let end = [
                    &trailer,
                    &(trailer.len() as u64).to_be_bytes()[..],
                    &segment.digest,
                ]
                .concat();
                let file = out
                    .write_all(&end)
                    .and_then(|()| out.into_inner().map_err(io::IntoInnerError::into_error))
                    .and_then(|file| file.sync_all())
                    // It was open for writing only.
                    .and_then(|()| File::open(&path))
                    .map_err(|e| failed(&path, &e))?;
                segment.data = Data::File { file, path };
            }
        }
        Ok(segment)
    }
}

fn encode_trailer(segment: &Segment) -> Vec<u8> {
    let head = segment.head;
    let mut out = FORMAT.to_be_bytes().to_vec();
    out.extend_from_slice(&[head.level, u8::from(head.complete)]);
    for number in [head.from, head.to, segment.rows, segment.keys] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&(segment.fences.len() as u32).to_be_bytes());
    for fence in &segment.fences {
        out.extend_from_slice(&fence.len.to_be_bytes());
        out.extend_from_slice(&fence.digest);
        put_bytes(&mut out, &fence.key);
        out.extend_from_slice(&fence.height.to_be_bytes());
    }
    segment.filter.encode(&mut out);
    out
}

impl Segment {
    /// Gives its finished file the name `path`, durably.
    pub(super) fn named(mut self, path: PathBuf) -> Result<Self> {
        if let Data::File { path: old, .. } = &mut self.data {
            let folder = path.parent().expect("a file lies in a folder");
            std::fs::rename(&*old, &path)
                .and_then(|()| File::open(folder)?.sync_all())
                .map_err(|e| failed(&path, &e))?;
            *old = path;
        }
        Ok(self)
    }
}
