//! Where ABCI is served: `unix:///path/abci.sock` or `tcp://127.0.0.1:26658`.
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// Bytes of a unix socket's path, at most: `sun_path` has 108 on Linux and 104 on macOS, one of them for the NUL.
pub const SOCKET_PATH_MAX: usize = 103;

/// A place to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket file: no network stack, and the file's permissions say who may connect.
    Unix(PathBuf),
    /// TCP, for a CometBFT elsewhere.
    Tcp(SocketAddr),
}

impl std::str::FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            if path.is_empty() || path.len() > SOCKET_PATH_MAX {
                let len = path.len();
                return Err(format!(
                    "ABCI address {text:?}: path of {len} bytes, want 1 to {SOCKET_PATH_MAX}"
                ));
            }
            return Ok(Self::Unix(path.into()));
        }
        let host = text.strip_prefix("tcp://").unwrap_or(text);
        let mut found = host
            .to_socket_addrs()
            .map_err(|e| format!("ABCI address {text:?}: want unix:///path or tcp://host:port ({e})"))?;
        found
            .next()
            .map(Self::Tcp)
            .ok_or_else(|| format!("ABCI address {text:?}: no such host"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(addr) => write!(f, "tcp://{addr}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_written() {
        for text in ["unix:///tmp/a.sock", "tcp://127.0.0.1:26658"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!(
            "127.0.0.1:1".parse::<Address>().unwrap().to_string(),
            "tcp://127.0.0.1:1"
        );
        for bad in [
            "",
            "unix://",
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:99999",
            "http://x",
        ] {
            assert!(bad.parse::<Address>().unwrap_err().contains(bad), "{bad}");
        }
        assert!(format!("unix:///{}", "a".repeat(110)).parse::<Address>().is_err());
    }
}
