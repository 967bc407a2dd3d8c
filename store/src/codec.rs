//! Byte strings with lengths, read back with every length checked against what is there.
use crate::iavl::put_uvarint;
use state::StoreError;

/// Appends a length and the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from the front of a byte string.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Names the whole in errors.
    what: &'a str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'a str) -> Self {
        Self { rest: bytes, what }
    }
    pub(crate) fn corrupt(&self, why: &str) -> StoreError {
        StoreError::Corrupt(format!(
            "{}: {why}, {} bytes before its end",
            self.what,
            self.rest.len()
        ))
    }
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], StoreError> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.corrupt("cut short"))?;
        self.rest = rest;
        Ok(head)
    }
    /// All that is left.
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        Ok(self.take(N)?.try_into().expect("as long as asked"))
    }
    pub(crate) fn u8(&mut self) -> Result<u8, StoreError> {
        Ok(self.array::<1>()?[0])
    }
    pub(crate) fn u64(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_be_bytes(self.array()?))
    }
    /// Unsigned LEB128, at most 64 bits.
    pub(crate) fn uvarint(&mut self) -> Result<u64, StoreError> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            n |= part << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(self.corrupt("number beyond 64 bits"))
    }
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let len = self.uvarint()?;
        self.take(usize::try_from(len).map_err(|_| self.corrupt("length beyond memory"))?)
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.corrupt("bytes left over"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_survive_and_bad_ones_are_refused() {
        let mut out = Vec::new();
        let numbers = [0, 127, 128, 1 << 35, u64::MAX];
        for n in numbers {
            put_uvarint(&mut out, n);
        }
        put_bytes(&mut out, b"key");
        let mut reader = Reader::new(&out, "test");
        for n in numbers {
            assert_eq!(reader.uvarint(), Ok(n));
        }
        assert_eq!(reader.bytes(), Ok(&b"key"[..]));
        reader.finish().unwrap();
        assert!(Reader::new(&[0xff; 10], "test").uvarint().is_err());
        assert!(Reader::new(&[5, 1, 2], "test").bytes().is_err());
        assert!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "test")
                .bytes()
                .is_err()
        );
        assert!(Reader::new(&[1], "test").finish().is_err());
    }
}
