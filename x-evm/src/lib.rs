//! Run Ethereum transactions and contracts on the chain's state with revm.
