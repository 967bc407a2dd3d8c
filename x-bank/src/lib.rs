//! Hold balances and move coins.
