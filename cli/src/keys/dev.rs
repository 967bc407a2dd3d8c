//! The ten accounts that every development chain funds.
use super::derive::{KeyKind, Secret, bip44};
use types::Address;

/// The mnemonic that all Ethereum development tools share. Everybody knows its keys.
pub const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// One of the ten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevAccount {
    /// `dev0` to `dev9`.
    pub name: String,
    /// Its address.
    pub address: Address,
    /// Its private key, which is no secret.
    pub private_key: [u8; 32],
}

/// The accounts of [`DEV_MNEMONIC`] at m/44'/60'/0'/0/0 to /9.
pub fn dev_accounts() -> Vec<DevAccount> {
    let account = |index| {
        let path = bip44(60, 0, index).expect("small numbers");
        let secret = Secret::from_mnemonic(KeyKind::Eth, DEV_MNEMONIC, &path).expect("a valid mnemonic");
        DevAccount {
            name: format!("dev{index}"),
            address: secret.address(),
            private_key: *secret.bytes(),
        }
    };
    (0..10).map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_accounts_are_those_of_every_ethereum_tool() {
        let accounts = dev_accounts();
        assert_eq!(accounts.len(), 10);
        // As anvil and hardhat print them.
        let want = [
            (0, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            (1, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            (2, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
            (9, "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
        ];
        for (i, address) in want {
            assert_eq!(accounts[i].address.to_string(), address);
            assert_eq!(accounts[i].name, format!("dev{i}"));
        }
    }
}
