//! Frames on the wire: an unsigned varint length, then that many bytes of protobuf (CometBFT abci/types/messages.go,
//! libs/protoio).
use prost::Message;
use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};
use std::io::{self, Read};

/// Bytes of a message, at most. CometBFT's blocks have at most 100 MiB; a quarter more leaves room for votes and
/// evidence. A length beyond it is not a frame.
pub const FRAME_MAX: usize = 128 << 20;

/// Bytes of an answer, at most: CometBFT's reader refuses more (abci/types/messages.go `maxMsgSize`).
pub(crate) const ANSWER_MAX: usize = 104_857_600;

/// What an idle connection's buffer holds. One system call fetches a burst of CheckTx.
const BUFFER: usize = 64 << 10;
/// A buffer that a large block blew up beyond this is given back.
const BUFFER_KEPT: usize = 4 << 20;
/// Bytes of a varint, at most: 64 bits, seven a byte.
const VARINT_MAX: usize = 10;

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Ten bytes and no end of the length.
    #[error("frame length is not a varint: {0:02x?}")]
    Length(Vec<u8>),
    /// Longer than [`FRAME_MAX`].
    #[error("frame of {0} bytes: want at most {FRAME_MAX}")]
    TooLong(u64),
    /// Not the protobuf expected.
    #[error("frame of {len} bytes does not decode: {why}")]
    Decode {
        /// Bytes of the frame.
        len: usize,
        /// What prost says.
        why: prost::DecodeError,
    },
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer left in the middle of a frame.
    #[error("connection closed {0} bytes into a frame")]
    Cut(usize),
}

/// One buffer a connection: bytes come in at the end, whole frames go out at the start.
pub struct ReadBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl std::fmt::Debug for ReadBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadBuffer")
            .field("waiting", &(self.end - self.start))
            .finish_non_exhaustive()
    }
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self {
            bytes: vec![0; BUFFER],
            start: 0,
            end: 0,
        }
    }
}

impl ReadBuffer {
    /// Reads what there is, waiting for at least one byte. False at the end of the stream.
    pub fn fill(&mut self, from: &mut impl Read) -> Result<bool, FrameError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > BUFFER_KEPT {
                self.bytes = vec![0; BUFFER];
            }
        } else if self.end == self.bytes.len() {
            // Move the partial frame to the front, or grow: doubling as bytes really come, so that a length alone
            // allocates nothing, and each byte is moved a constant number of times.
            if self.start >= self.bytes.len() / 2 {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.bytes.resize(self.bytes.len() * 2, 0);
            }
        }
        let n = loop {
            match from.read(&mut self.bytes[self.end..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += n;
        if n == 0 && self.start < self.end {
            return Err(FrameError::Cut(self.end - self.start));
        }
        Ok(n > 0)
    }

    /// The next whole message, or `None` while it is not all there.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator could not be told the type, nor fail"
    )]
    pub fn next<M: Message + Default>(&mut self) -> Result<Option<M>, FrameError> {
        let waiting = &self.bytes[self.start..self.end];
        let head = &waiting[..waiting.len().min(VARINT_MAX)];
        let Some(last) = head.iter().position(|b| b & 0x80 == 0) else {
            if head.len() == VARINT_MAX {
                return Err(FrameError::Length(head.to_vec()));
            }
            return Ok(None);
        };
        let len = decode_varint(&mut &head[..]).map_err(|_| FrameError::Length(head.to_vec()))?;
        let size = usize::try_from(len)
            .ok()
            .filter(|l| *l <= FRAME_MAX)
            .ok_or(FrameError::TooLong(len))?;
        let body = last + 1;
        let Some(frame) = waiting.get(body..body + size) else {
            return Ok(None);
        };
        // From a slice: each field is copied once, so that a small transaction kept in the mempool does not keep
        // the whole buffer.
        let message = M::decode(frame).map_err(|why| FrameError::Decode { len: size, why })?;
        self.start += body + size;
        Ok(Some(message))
    }
}

/// Appends one frame.
pub fn write_frame<M: Message>(message: &M, out: &mut Vec<u8>) {
    let len = message.encoded_len();
    out.reserve(len + encoded_len_varint(len as u64));
    encode_varint(len as u64, out);
    message.encode(out).expect("a vector grows");
}

#[cfg(test)]
mod tests {
    use super::*;
    use tendermint_proto::v0_38::abci::{Request, RequestEcho, request};

    fn echo(text: &str) -> Request {
        Request {
            value: Some(request::Value::Echo(RequestEcho { message: text.into() })),
        }
    }

    /// Gives out a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);
    impl Read for Trickle<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(to.len());
            to[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn read_all(bytes: &[u8], step: usize) -> Result<Vec<Request>, FrameError> {
        let (mut from, mut buffer, mut found) = (Trickle(bytes, step), ReadBuffer::default(), Vec::new());
        while buffer.fill(&mut from)? {
            while let Some(message) = buffer.next()? {
                found.push(message);
            }
        }
        Ok(found)
    }

    #[test]
    fn frames_are_found_however_the_bytes_arrive() {
        let sent: Vec<_> = ["a", "", &"b".repeat(200), &"c".repeat(300_000), "d"]
            .map(echo)
            .into();
        let mut wire = Vec::new();
        sent.iter().for_each(|m| write_frame(m, &mut wire));
        for step in [1, 2, 3, 127, 4096, 65_536, 1 << 20] {
            assert_eq!(read_all(&wire, step).unwrap(), sent, "{step} bytes a read");
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_come() {
        let mut wire = Vec::new();
        encode_varint(FRAME_MAX as u64 + 1, &mut wire);
        let err = read_all(&wire, 64).unwrap_err();
        assert!(
            matches!(err, FrameError::TooLong(n) if n == FRAME_MAX as u64 + 1),
            "{err}"
        );
        let mut buffer = ReadBuffer::default();
        let mut wire = Vec::new();
        encode_varint(FRAME_MAX as u64, &mut wire);
        buffer.fill(&mut Trickle(&wire, 64)).unwrap();
        assert!(buffer.next::<Request>().unwrap().is_none());
        assert_eq!(buffer.bytes.len(), BUFFER, "a promise of bytes allocates nothing");
    }

    #[test]
    fn garbage_is_named() {
        assert!(matches!(read_all(&[0xff; 12], 64), Err(FrameError::Length(_))));
        assert!(matches!(
            read_all(&[3, 0xff, 0xff, 0xff], 64),
            Err(FrameError::Decode { len: 3, .. })
        ));
        assert!(matches!(read_all(&[3, 1], 64), Err(FrameError::Cut(2))));
        assert!(read_all(&[], 64).unwrap().is_empty());
    }
}
