//! Store queries with proofs, verified as a light client does: against the next header's app hash.
use crate::common::{Node, accounts, chain, genesis};
use app::Query;
use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, HostFunctionsManager as Host, iavl_spec, tendermint_spec};
use prost::Message;
use types::{Address, Bytes};
use workload::EthCall;

#[test]
fn a_proof_verifies_against_the_app_hash_of_its_height() {
    let mut accounts = accounts(2);
    let mut node = Node::start(&genesis(&accounts, 1, 60_000_000), 2);
    let mut roots = vec![[0; 32]];
    for _ in 0..4 {
        let tx = accounts[0].eth(&chain(), &EthCall::pay(Address::repeat_byte(9), 5));
        roots.push(node.run(vec![tx]).0.app_hash);
    }
    let key = x_bank::balance_key(&Address::repeat_byte(9), "abraid");
    let none = x_bank::balance_key(&Address::repeat_byte(8), "abraid");
    for (height, value) in [(2, "10"), (3, "15"), (0, "15")] {
        let ask = |key: &state::Key| {
            let data = Bytes::copy_from_slice(key.bytes());
            node.app.query(&Query {
                path: "/store/bank/key".into(),
                data,
                height,
                prove: true,
            })
        };
        let answer = ask(&key);
        assert_eq!(
            (answer.code, &answer.value[..]),
            (0, value.as_bytes()),
            "{}",
            answer.log
        );
        // What is asked for without a height is proven one below the newest, whose header exists.
        assert_eq!(answer.height, if height == 0 { 3 } else { height as u64 });
        let root = roots[answer.height as usize].to_vec();
        let parts: Vec<_> = answer
            .proof
            .iter()
            .map(|op| CommitmentProof::decode(&op.data[..]).unwrap())
            .collect();
        let Some(Proof::Exist(store)) = &parts[1].proof else {
            panic!("a store's root is there")
        };
        assert!(ics23::verify_membership::<Host>(
            &parts[1],
            &tendermint_spec(),
            &root,
            b"bank",
            &store.value
        ));
        let (tree, name) = (store.value.clone(), key.bytes());
        assert!(ics23::verify_membership::<Host>(
            &parts[0],
            &iavl_spec(),
            &tree,
            name,
            value.as_bytes()
        ));
        assert!(!ics23::verify_membership::<Host>(
            &parts[0],
            &iavl_spec(),
            &tree,
            name,
            b"11"
        ));
        let absent = ask(&none);
        assert!(absent.value.is_empty());
        let proof = CommitmentProof::decode(&absent.proof[0].data[..]).unwrap();
        assert!(ics23::verify_non_membership::<Host>(
            &proof,
            &iavl_spec(),
            &tree,
            none.bytes()
        ));
    }
    let future = Query {
        path: "/store/bank/key".into(),
        height: 9,
        ..Query::default()
    };
    assert_ne!(node.app.query(&future).code, 0);
    let wrong = Query {
        path: "/store/nobody/key".into(),
        ..Query::default()
    };
    assert_eq!(node.app.query(&wrong).code, 6);
}
