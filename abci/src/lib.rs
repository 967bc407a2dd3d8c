//! Speak ABCI 0.38 with CometBFT. The only crate that knows the ABCI protocol.
