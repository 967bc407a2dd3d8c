//! The listener through real sockets: order, partial reads, garbage, panics, stopping.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use abci::{Address, Failing, Failure, OnFatal, ReadBuffer, Server, write_frame};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    Request, RequestCommit, RequestEcho, RequestFlush, RequestInfo, RequestQuery, Response, ResponseCommit,
    ResponseInfo, ResponseQuery, request::Value as Ask, response::Value as Answer,
};

/// Says what it was asked; fails or panics on request.
#[derive(Clone, Default)]
struct Mirror(RefCell<Option<Failure>>);

impl Application for Mirror {
    fn info(&self, r: RequestInfo) -> ResponseInfo {
        ResponseInfo {
            data: r.version,
            last_block_height: 7,
            ..Default::default()
        }
    }
    fn query(&self, r: RequestQuery) -> ResponseQuery {
        match r.path.as_str() {
            "panic" => panic!("on request"),
            "refuse" => {
                *self.0.borrow_mut() = Some(Failure {
                    message: "height -1".into(),
                    fatal: false,
                });
            }
            _ => {}
        }
        ResponseQuery {
            value: r.data,
            ..Default::default()
        }
    }
    fn commit(&self) -> ResponseCommit {
        *self.0.borrow_mut() = Some(Failure {
            message: "disk full".into(),
            fatal: true,
        });
        ResponseCommit::default()
    }
}
impl Failing for Mirror {
    fn take_failure(&self) -> Option<Failure> {
        self.0.borrow_mut().take()
    }
}

fn ask(value: Ask) -> Request {
    Request { value: Some(value) }
}
fn echo(message: &str) -> Request {
    ask(Ask::Echo(RequestEcho {
        message: message.into(),
    }))
}
fn wire(requests: &[Request]) -> Vec<u8> {
    let mut out = Vec::new();
    requests.iter().for_each(|r| write_frame(r, &mut out));
    out
}

/// Reads `n` answers, or as many as come before the stream ends.
fn answers(stream: &mut impl Read, n: usize) -> Vec<Answer> {
    let (mut buffer, mut found) = (ReadBuffer::default(), Vec::new());
    while found.len() < n {
        match buffer.next::<Response>().unwrap() {
            Some(response) => found.push(response.value.unwrap()),
            None if buffer.fill(stream).unwrap() => {}
            None => break,
        }
    }
    found
}

struct Running {
    server: Server,
    fatal: mpsc::Receiver<String>,
    path: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abci.sock");
        let (tell, fatal) = mpsc::channel();
        let on_fatal: OnFatal = Arc::new(move |why| tell.send(why).unwrap());
        let server = Server::start(&Address::Unix(path.clone()), Mirror::default(), on_fatal).unwrap();
        Self {
            server,
            fatal,
            path,
            _dir: dir,
        }
    }
    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }
}

#[test]
fn echo_flush_and_info_are_answered_in_the_order_asked() {
    let running = Running::start();
    let mut stream = running.connect();
    let mut requests: Vec<_> = (0..2_000).map(|i| echo(&i.to_string())).collect();
    requests.push(ask(Ask::Info(RequestInfo {
        version: "0.38".into(),
        ..Default::default()
    })));
    requests.push(ask(Ask::Flush(RequestFlush {})));
    let bytes = wire(&requests);
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    let found = answers(&mut stream, requests.len());
    writing.join().unwrap();
    for (i, answer) in found[..2_000].iter().enumerate() {
        assert!(
            matches!(answer, Answer::Echo(e) if e.message == i.to_string()),
            "{i}: {answer:?}"
        );
    }
    assert!(matches!(&found[2_000], Answer::Info(i) if i.data == "0.38" && i.last_block_height == 7));
    assert!(matches!(&found[2_001], Answer::Flush(_)));
}

#[test]
fn a_frame_that_comes_byte_by_byte_is_answered() {
    let running = Running::start();
    let mut stream = running.connect();
    for byte in wire(&[echo("slow"), echo("er")]) {
        stream.write_all(&[byte]).unwrap();
    }
    let found = answers(&mut stream, 2);
    assert!(matches!(&found[0], Answer::Echo(e) if e.message == "slow"));
    assert!(matches!(&found[1], Answer::Echo(e) if e.message == "er"));
}

#[test]
fn a_large_frame_goes_both_ways() {
    let running = Running::start();
    let mut stream = running.connect();
    let data = types::Bytes::from(vec![5; 9 << 20]);
    let bytes = wire(&[
        ask(Ask::Query(RequestQuery {
            data: data.clone(),
            ..Default::default()
        })),
        echo("after"),
    ]);
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    let found = answers(&mut stream, 2);
    writing.join().unwrap();
    assert!(matches!(&found[0], Answer::Query(q) if q.value == data));
    assert!(matches!(&found[1], Answer::Echo(_)));
}

/// Sends garbage: the peer is told why and left, and the server goes on.
fn check_garbage(garbage: &[u8], why: &str) {
    let running = Running::start();
    let mut stream = running.connect();
    let mut bytes = wire(&[echo("before")]);
    bytes.extend_from_slice(garbage);
    stream.write_all(&bytes).unwrap();
    let found = answers(&mut stream, 9);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(matches!(&found[0], Answer::Echo(_)));
    assert!(
        matches!(&found[1], Answer::Exception(e) if e.error.contains(why)),
        "{:?}",
        found[1]
    );
    let mut next = running.connect();
    next.write_all(&wire(&[echo("next")])).unwrap();
    assert_eq!(answers(&mut next, 1).len(), 1);
    assert!(
        running.fatal.try_recv().is_err(),
        "garbage must not stop the node"
    );
}

#[test]
fn garbage_ends_the_connection_and_not_the_server() {
    check_garbage(&[0xff; 10], "not a varint");
    check_garbage(&[4, 0xde, 0xad, 0xbe, 0xef], "does not decode");
    check_garbage(&[0x81, 0x80, 0x80, 0x40], "frame of 134217729 bytes");
    check_garbage(b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f", "frame");
}

#[test]
fn an_empty_request_and_a_refused_one_get_an_exception_and_the_next_an_answer() {
    let running = Running::start();
    let mut stream = running.connect();
    let refuse = ask(Ask::Query(RequestQuery {
        path: "refuse".into(),
        ..Default::default()
    }));
    stream
        .write_all(&wire(&[Request { value: None }, refuse, echo("on")]))
        .unwrap();
    let found = answers(&mut stream, 3);
    assert!(matches!(&found[0], Answer::Exception(e) if e.error.contains("without a value")));
    assert!(matches!(&found[1], Answer::Exception(e) if e.error == "Query: height -1"));
    assert!(matches!(&found[2], Answer::Echo(_)));
}

fn check_fatal(request: Request, why: &str) {
    let running = Running::start();
    let mut stream = running.connect();
    stream.write_all(&wire(&[request, echo("never")])).unwrap();
    let found = answers(&mut stream, 9);
    assert_eq!(
        found.len(),
        1,
        "nothing is answered after a fatal failure: {found:?}"
    );
    assert!(
        matches!(&found[0], Answer::Exception(e) if e.error == why),
        "{:?}",
        found[0]
    );
    assert_eq!(running.fatal.recv_timeout(Duration::from_secs(10)).unwrap(), why);
}

#[test]
fn a_fatal_failure_and_a_panic_stop_the_node_with_the_reason() {
    check_fatal(ask(Ask::Commit(RequestCommit {})), "Commit: disk full");
    let panic = RequestQuery {
        path: "panic".into(),
        ..Default::default()
    };
    check_fatal(ask(Ask::Query(panic)), "Query panicked: on request");
}

#[test]
fn stopping_ends_open_connections_and_frees_the_address() {
    let running = Running::start();
    let mut stream = running.connect();
    stream.write_all(&wire(&[echo("hi")])).unwrap();
    assert_eq!(answers(&mut stream, 1).len(), 1);
    running.server.stop();
    assert!(answers(&mut stream, 1).is_empty());
    assert!(!running.path.exists());
}

#[test]
fn an_address_in_use_is_an_error_and_a_dead_socket_file_is_not() {
    let running = Running::start();
    let ignore: OnFatal = Arc::new(|_| {});
    let address = running.server.address().clone();
    assert!(Server::start(&address, Mirror::default(), ignore.clone()).is_err());
    let left = running.path.with_file_name("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    Server::start(&Address::Unix(left), Mirror::default(), ignore.clone())
        .unwrap()
        .stop();
    let file = running.path.with_file_name("file");
    std::fs::write(&file, "mine").unwrap();
    assert!(Server::start(&Address::Unix(file.clone()), Mirror::default(), ignore).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn tcp_answers_too() {
    let ignore: OnFatal = Arc::new(|_| {});
    let server = Server::start(&"tcp://127.0.0.1:0".parse().unwrap(), Mirror::default(), ignore).unwrap();
    let Address::Tcp(address) = server.address() else {
        panic!("{:?}", server.address())
    };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&wire(&[echo("tcp")])).unwrap();
    assert!(matches!(&answers(&mut stream, 1)[0], Answer::Echo(e) if e.message == "tcp"));
}
