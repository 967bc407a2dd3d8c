//! Start, load, break and check a network of real nodes from a TOML manifest.
