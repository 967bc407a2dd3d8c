//! `dev` over its JSON-RPC: the chain in one process, as Ethereum tools see it.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;

use common::{ask, chain, pay};
use node::{DatabaseKind, DevOptions, Endpoints, NodeError, Stop, dev};
use serde_json::json;
use types::Address;

fn options() -> DevOptions {
    let mut options = DevOptions::new(chain("braid-local-1"));
    options.json_rpc.set_port(0);
    options.comet_rpc = Some(([127, 0, 0, 1], 0).into());
    options
}

async fn running<W: Future<Output = ()>>(
    options: DevOptions,
    work: impl FnOnce(Endpoints) -> W,
) -> Result<(), NodeError> {
    let (stop, (tell, told)) = (Stop::new(), tokio::sync::oneshot::channel());
    let node = tokio::spawn(dev(options, stop.clone(), move |e| tell.send(e.clone()).unwrap()));
    if let Ok(endpoints) = told.await {
        work(endpoints).await;
    }
    stop.ask();
    node.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_sent_over_json_rpc_is_included_and_the_temporary_home_goes() {
    let mut home = None;
    running(options(), async |at| {
        home = Some(at.home.clone());
        assert!(at.home.join("config/genesis.json").exists());
        let url = format!("http://{}", at.json_rpc.unwrap());
        assert_eq!(ask(&url, "eth_chainId", json!([])).await, "0x1fb6");
        let to = Address::repeat_byte(9);
        let receipt = pay(&url, 0, to, 77).await;
        assert_eq!(
            (&receipt["status"], &receipt["gasUsed"]),
            (&json!("0x1"), &json!("0x5208"))
        );
        assert_eq!(ask(&url, "eth_getBalance", json!([to, "latest"])).await, "0x4d");
        let comet = format!("http://{}", at.comet_rpc.unwrap());
        let status = ask(&comet, "status", json!({})).await;
        assert_eq!(status["node_info"]["network"], "braid-local-1");
    })
    .await
    .unwrap();
    let home = home.expect("it was ready");
    assert!(!home.exists(), "{}", home.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_home_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let kept = DevOptions {
        home: Some(dir.path().join("home")),
        ..options()
    };
    let to = Address::repeat_byte(8);
    for nonce in 0..2 {
        running(kept.clone(), async |at| {
            let url = format!("http://{}", at.json_rpc.unwrap());
            assert_eq!(pay(&url, nonce, to, 5).await["status"], "0x1");
        })
        .await
        .unwrap();
    }
    running(kept, async |at| {
        let url = format!("http://{}", at.json_rpc.unwrap());
        assert_eq!(ask(&url, "eth_getBalance", json!([to, "latest"])).await, "0xa");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_made_on_redb_goes_on_with_it_and_with_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let on = |database| DevOptions {
        home: Some(dir.path().join("home")),
        database,
        ..options()
    };
    let to = Address::repeat_byte(8);
    // The second time the home's app.toml says so.
    for (nonce, database) in [(0, Some(DatabaseKind::Redb)), (1, None)] {
        running(on(database), async |at| {
            let url = format!("http://{}", at.json_rpc.unwrap());
            assert_eq!(pay(&url, nonce, to, 5).await["status"], "0x1");
            let has = ask(&url, "eth_getBalance", json!([to, "latest"])).await;
            assert_eq!(has, format!("{:#x}", 5 * (nonce + 1)));
        })
        .await
        .unwrap();
    }
    assert!(dir.path().join("home/data/application.db/journal.redb").exists());
    let refused = running(on(Some(DatabaseKind::Sled)), async |_| panic!("it started"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("is a journal in redb, opened with sled"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_a_home_in_use_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut busy = options();
    busy.json_rpc = taken.local_addr().unwrap();
    let err = running(busy, async |_| panic!("it started"))
        .await
        .unwrap_err()
        .to_string();
    assert!(err.contains(&taken.local_addr().unwrap().to_string()), "{err}");

    let dir = tempfile::tempdir().unwrap();
    let kept = DevOptions {
        home: Some(dir.path().into()),
        ..options()
    };
    running(kept.clone(), async |_| {
        let err = running(kept.clone(), async |_| panic!("it started"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            err.contains("in use") && err.contains(&dir.path().display().to_string()),
            "{err}"
        );
    })
    .await
    .unwrap();
}
