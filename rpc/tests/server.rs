//! The JSON-RPC server as such: transports, limits, garbage.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;
use common::Node;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn browsers_of_any_origin_may_ask() {
    let client = Node::start().ethereum().await;
    let preflight = client
        .http
        .request(reqwest::Method::OPTIONS, &client.url)
        .header("origin", "https://example.org")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert_eq!(preflight.headers()["access-control-allow-headers"], "*");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
    let request = client
        .http
        .post(&client.url)
        .header("origin", "https://example.org");
    let reply = request
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(reply.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn garbage_is_answered_and_hurts_nobody() {
    let client = Node::start().ethereum().await;
    let code = |text: &str| {
        serde_json::from_str::<Value>(text).unwrap()["error"]["code"]
            .as_i64()
            .unwrap()
    };
    let nested = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","params":{}1{}}}"#,
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    for (body, want) in [
        ("{", -32700),
        ("", -32700),
        ("[]", -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":{"a":1}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x12"]}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[1]}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":[]}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x01",false]}"#,
            -32602,
        ),
        (&nested, -32602),
    ] {
        let (_, text) = client.post(body.to_owned()).await;
        assert_eq!(code(&text), want, "{}: {text}", &body[..body.len().min(90)]);
    }
    let plain = client
        .http
        .post(&client.url)
        .header("content-type", "text/plain")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(plain.status(), 415);
    assert_eq!(client.http.get(&client.url).send().await.unwrap().status(), 405);
    let (status, _) = client.post(vec![b' '; 6 * 1024 * 1024]).await;
    assert_eq!(status, 413);
    assert_eq!(client.ok("eth_chainId", json!([])).await, "0x1fb6");
}

#[tokio::test]
async fn batches_are_answered_in_order_and_bounded() {
    let client = Node::start().ethereum().await;
    let batch = |n: usize| {
        let one = |id| json!({"jsonrpc": "2.0", "id": id, "method": "eth_getBalance", "params": [common::hex([1; 20]), "latest"]});
        json!((0..n).map(one).collect::<Vec<_>>()).to_string()
    };
    let (_, text) = client.post(batch(100)).await;
    let replies: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(replies.len(), 100);
    assert!(
        replies
            .iter()
            .enumerate()
            .all(|(i, r)| r["id"] == i && r["result"] == "0x0")
    );
    let (_, text) = client.post(batch(1001)).await;
    let refused: Value = serde_json::from_str(&text).unwrap();
    assert!(refused["error"]["code"].is_i64(), "{refused}");
}

#[tokio::test]
async fn websockets_share_the_port() {
    let client = Node::start().ethereum().await;
    let mut socket = TcpStream::connect(client.server.addr()).await.unwrap();
    let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    // One text frame, masked with zeros.
    let text = br#"{"jsonrpc":"2.0","id":"a","method":"eth_chainId","params":[]}"#;
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(text);
    socket.write_all(&frame).await.unwrap();
    assert_eq!(socket.read_u8().await.unwrap(), 0x81);
    let len = socket.read_u8().await.unwrap();
    let mut reply = vec![0; len.into()];
    socket.read_exact(&mut reply).await.unwrap();
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert_eq!(reply, json!({"jsonrpc": "2.0", "id": "a", "result": "0x1fb6"}));
}

#[tokio::test]
async fn a_port_in_use_is_named_and_a_stopped_server_frees_it() {
    let node = Node::start();
    let client = node.ethereum().await;
    let addr = client.server.addr();
    let again = rpc::serve_json_rpc(
        addr,
        node.app.clone(),
        node.clone(),
        rpc::JsonRpcOptions::default(),
    )
    .await;
    let text = again.map(|_| ()).unwrap_err().to_string();
    assert!(
        text.contains(&addr.to_string()) && text.contains("JSON-RPC"),
        "{text}"
    );
    client.server.stop().await;
    assert!(TcpStream::connect(addr).await.is_err());
}
