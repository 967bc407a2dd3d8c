//! Turn blocks into state: decode, check, execute, hash, commit.
