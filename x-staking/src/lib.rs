//! Bond coins to validators and tell consensus who they are.
