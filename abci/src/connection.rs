//! One connection: read what there is, answer every whole request in it, write once.
use crate::dispatch::{Failing, Failure, answer, exception};
use crate::frame::{ANSWER_MAX, FrameError, ReadBuffer, write_frame};
use prost::Message;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use tendermint_proto::v0_38::abci::Request;

/// Answers are written out early beyond this, so that a burst of queries does not pile up in memory.
const WRITE_AT: usize = 256 << 10;

/// Either kind of stream.
#[derive(Debug)]
pub(crate) enum Stream {
    /// A socket file's.
    Unix(UnixStream),
    /// TCP, without Nagle's delay.
    Tcp(TcpStream),
}

impl Stream {
    /// A second handle, to shut the connection from another thread.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(s) => s.try_clone().map(Self::Unix),
            Self::Tcp(s) => s.try_clone().map(Self::Tcp),
        }
    }
    /// Ends both directions: a reader wakes up with the end of the stream.
    pub(crate) fn shut(&self) {
        // It may be closed already, which is what is wanted.
        let _ = match self {
            Self::Unix(s) => s.shutdown(std::net::Shutdown::Both),
            Self::Tcp(s) => s.shutdown(std::net::Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => s.read(to),
            Self::Tcp(s) => s.read(to),
        }
    }
}
impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => s.write(from),
            Self::Tcp(s) => s.write(from),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Serves until the peer leaves (`None`), or a call fails fatally: then its exception has been sent.
pub(crate) fn serve<A: Failing>(stream: &mut Stream, app: &A) -> Result<Option<Failure>, FrameError> {
    let (mut buffer, mut out) = (ReadBuffer::default(), Vec::new());
    while buffer.fill(stream)? {
        loop {
            let request = match buffer.next::<Request>() {
                Ok(Some(request)) => request,
                Ok(None) => break,
                Err(bad) => {
                    // What came before is answered; then the peer is told what it sent, and left.
                    write_frame(
                        &exception(Failure {
                            message: bad.to_string(),
                            fatal: false,
                        })
                        .0,
                        &mut out,
                    );
                    stream.write_all(&out)?;
                    return Err(bad);
                }
            };
            let (mut response, mut failure) = answer(app, request);
            let len = response.encoded_len();
            if len > ANSWER_MAX {
                let message = format!("answer of {len} bytes: CometBFT reads at most {ANSWER_MAX}");
                (response, failure) = exception(Failure { message, fatal: true });
            }
            write_frame(&response, &mut out);
            if failure.as_ref().is_some_and(|f| f.fatal) {
                stream.write_all(&out)?;
                return Ok(failure);
            }
            if let Some(f) = failure {
                tracing::error!(error = f.message, "refused an ABCI request");
            }
            if out.len() >= WRITE_AT {
                stream.write_all(&out)?;
                out.clear();
            }
        }
        if !out.is_empty() {
            stream.write_all(&out)?;
            out.clear();
            // A large answer's room is given back.
            out.shrink_to(WRITE_AT * 2);
        }
    }
    Ok(None)
}
