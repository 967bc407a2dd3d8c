//! Put the parts together: under CometBFT, or with the embedded solo engine.
