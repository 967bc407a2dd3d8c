//! chain.md's "Rules that keep every node equal", each by a test that fails when the rule is broken.
//!
//! | rule | test |
//! |---|---|
//! | 1 written | `state.rs`: what_ends_where_it_began_is_not_written; state's `write_set.rs` |
//! | 2 heights | `restart.rs`: a_restart_goes_on_after_the_last_commit |
//! | 3 native gas | `transactions.rs`: native_gas_does_not_depend_on_state; x-bank's `native.rs`, x-staking's `access.rs` |
//! | 4 empty values | x-bank's `fold.rs`, store's `vectors.rs`; what proofs beside them say waits for the modules that store more of them |
//! | 5 account numbers | `state.rs`: account_numbers_follow_phases_then_transactions_then_addresses, a_signer_made_in_this_block_has_no_number_yet |
//! | 6 cells | `state.rs`: payments_to_one_new_address_do_not_conflict, the_reverse_index_is_there_if_and_only_if_there_is_a_balance |
//! | 7 total | `blocks.rs`: a_block_of_anything_is_executed |
//! | 8 environment | `blocks.rs`: code_sees_what_the_header_says, an_ethereum_header_is_recomputed_by_any_client |
//! | 9 beneficiary | `chain.rs`: a_contract_reads_the_collectors_balance_exactly |
//! | 12 solo | node's `solo/tests.rs` |
//! | 13 block gas | `blocks.rs`: what_has_no_room_is_not_run, a_proposal_of_refunded_gas_is_accepted, proposals_beyond_bytes_or_gas_are_refused; `chain.rs`: a_block_beyond_its_gas_refuses_the_rest |
//! | 14 receipts | `transactions.rs`: what_cannot_run_leaves_no_trace_at_all, what_fails_after_it_was_charged_has_a_receipt, bytes_that_come_again_do_not_hide_where_they_ran |
//! | 15 Ethereum's block | `blocks.rs`: native_transactions_are_not_in_the_ethereum_block |
//! | 16 envelope | `transactions.rs`: another_envelope_is_refused_everywhere |
//! | 17 supply | `transactions.rs`: what_is_burnt_leaves_the_supply, nobody_sends_value_to_a_blocked_address |
//! | 18 caches | `transactions.rs`: a_check_that_passed_is_not_remembered, what_waits_is_checked_again_on_the_new_state |
//! | 19 queues | `state.rs`: unbonding_ids_follow_the_order_of_the_block |
//! | 20 pool, 21 index, 22 hints | wait for their parts |
//! | 23 genesis | `state.rs`: genesis_is_committed_with_the_first_block |
//! | 24 existence | `state.rs`: an_account_with_a_bare_record_does_not_exist_for_code |
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
#[path = "../common/mod.rs"]
mod common;

mod blocks;
mod proofs;
mod restart;
mod state;
mod transactions;
