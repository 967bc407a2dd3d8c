//! One HTTP connection that stays open, as a client under load has it: what is measured is the node, not this.
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// No answer of a node takes as long.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer of these calls has a few kilobytes.
const BODY_MAX: usize = 16 << 20;

/// A connection to CometBFT's RPC.
#[derive(Debug)]
pub(super) struct Http {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Http {
    /// Connects to `host`, such as `127.0.0.1:26657`.
    pub(super) fn connect(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host).with_context(|| format!("connect to {host}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
            host: host.into(),
        })
    }

    /// Asks for `path`, such as `/status`, and gives the answer's `result`.
    pub(super) fn get(&mut self, path: &str) -> Result<Value> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let body = self.body()?;
        let mut answer: Value = serde_json::from_slice(&body).context("the answer is no JSON")?;
        if !answer["error"].is_null() {
            bail!("{path}: {}", answer["error"]);
        }
        Ok(answer["result"].take())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("{} closed the connection", self.host);
        }
        Ok(line.trim_end().to_owned())
    }

    fn body(&mut self) -> Result<Vec<u8>> {
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value
                    .trim()
                    .parse()
                    .with_context(|| format!("content length {value:?}"))?;
            }
            chunked |= line == "transfer-encoding: chunked";
        }
        let mut body = Vec::new();
        if !chunked {
            self.take(length, &mut body)?;
            return Ok(body);
        }
        loop {
            let size = self.line()?;
            let size = usize::from_str_radix(&size, 16).with_context(|| format!("chunk size {size:?}"))?;
            self.take(size, &mut body)?;
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn take(&mut self, length: usize, body: &mut Vec<u8>) -> Result<()> {
        if body.len() + length > BODY_MAX {
            bail!(
                "an answer of {} bytes: at most {BODY_MAX} make sense",
                body.len() + length
            );
        }
        let from = body.len();
        body.resize(from + length, 0);
        Ok(self.stream.read_exact(&mut body[from..])?)
    }
}
