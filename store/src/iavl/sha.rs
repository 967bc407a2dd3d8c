//! SHA-256 of many short messages: two at a time where the processor can (`machine.rs`), else one by one.
use super::machine::{SHA256_START, compress};
use sha2::{Digest, Sha256};

/// A message is at most so long: what all but a few keys and values need.
pub(super) const MAX_MESSAGE: usize = BLOCKS * 64 - 9;
const BLOCKS: usize = 4;

/// A short message, with room for SHA-256's padding.
pub(super) struct Message {
    blocks: [[u8; 64]; BLOCKS],
    len: usize,
}

impl Message {
    pub(super) const fn new() -> Self {
        Self {
            blocks: [[0; 64]; BLOCKS],
            len: 0,
        }
    }
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }
    /// Bytes to be written, following what is there.
    ///
    /// # Panics
    /// Beyond [`MAX_MESSAGE`] bytes in all.
    pub(super) fn more(&mut self, len: usize) -> &mut [u8] {
        let from = self.len;
        self.len += len;
        assert!(self.len <= MAX_MESSAGE, "callers look at lengths first");
        &mut self.blocks.as_flattened_mut()[from..from + len]
    }
    pub(super) fn push(&mut self, byte: u8) {
        self.more(1)[0] = byte;
    }
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.more(bytes.len()).copy_from_slice(bytes);
    }
    /// `varint` of a number that is not negative, as Go's `PutVarint` has it: zig-zag, then LEB128.
    pub(super) fn push_varint(&mut self, n: u64) {
        self.push_uvarint(n << 1);
    }
    /// LEB128.
    pub(super) fn push_uvarint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.push(n as u8);
    }
    /// What was written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.blocks.as_flattened()[..self.len]
    }
    /// The blocks with padding (FIPS 180-4, section 5.1.1).
    fn pad(&mut self) -> &[[u8; 64]] {
        let blocks = (self.len + 9).div_ceil(64);
        let bytes = self.blocks[..blocks].as_flattened_mut();
        let (whole, end) = (bytes.len(), self.len);
        bytes[end] = 0x80;
        bytes[end + 1..whole - 8].fill(0);
        bytes[whole - 8..].copy_from_slice(&(end as u64 * 8).to_be_bytes());
        &self.blocks[..blocks]
    }
}

/// The hashes of both.
pub(super) fn digests(messages: &mut [Message; 2]) -> [[u8; 32]; 2] {
    let mut states = [SHA256_START; 2];
    let [a, b] = messages.each_mut().map(Message::pad);
    let both = a.len().min(b.len());
    let ((a, more_a), (b, more_b)) = (a.split_at(both), b.split_at(both));
    if !compress(&mut states, [a, b]) {
        return messages
            .each_ref()
            .map(|message| Sha256::digest(message.bytes()).into());
    }
    for (state, more) in states.iter_mut().zip([more_a, more_b]) {
        if !more.is_empty() {
            let mut one = [*state];
            compress(&mut one, [more]);
            [*state] = one;
        }
    }
    states.map(bytes)
}

/// The hash of one.
pub(super) fn digest(message: &mut Message) -> [u8; 32] {
    let mut state = [SHA256_START];
    if !compress(&mut state, [message.pad()]) {
        return Sha256::digest(message.bytes()).into();
    }
    bytes(state[0])
}

fn bytes(state: [u32; 8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, word) in out.chunks_exact_mut(4).zip(state) {
        to.copy_from_slice(&word.to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_length_hash_as_sha2_says_alone_and_in_pairs() {
        let text: Vec<u8> = (0..MAX_MESSAGE).map(|i| (i * 7 + i / 3) as u8).collect();
        let mut messages = [Message::new(), Message::new()];
        for len in 0..=MAX_MESSAGE {
            for other in [len, MAX_MESSAGE - len, len / 2, 55, 56, 119, 120] {
                let want: [[u8; 32]; 2] = [len, other].map(|len| Sha256::digest(&text[..len]).into());
                for (message, len) in messages.iter_mut().zip([len, other]) {
                    message.clear();
                    message.extend(&text[..len]);
                }
                assert_eq!(digests(&mut messages), want, "{len} and {other} bytes");
                assert_eq!(digest(&mut messages[0]), want[0], "{len} bytes");
            }
        }
    }

    #[test]
    fn varints_are_those_of_go() {
        let mut message = Message::new();
        for n in [0, 1, 63, 64, 300, u64::from(u32::MAX)] {
            message.push_varint(n);
        }
        message.push_uvarint(300);
        let want = "00".to_owned() + "02" + "7e" + "8001" + "d804" + "feffffff1f" + "ac02";
        assert_eq!(hex::encode(message.bytes()), want);
    }
}
