//! Private keys: where they come from, where they rest, and the commands that manage them.

mod derive;
mod ring;
mod seal;
mod dev;
mod show;
mod command;

pub(crate) use command::KeysCommand;
pub(crate) use derive::{KeyKind, Secret};
pub use dev::{DEV_MNEMONIC, DevAccount, dev_accounts};
pub(crate) use ring::{Keyring, KeyringArgs, Record};
pub(crate) use show::{Spelled, parse_account};
