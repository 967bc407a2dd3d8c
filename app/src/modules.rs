//! The modules and their order: explicit wiring, in one place.
use module::Module;
use state::StoreId;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::Address;

/// Module accounts with their permissions (SDK `maccPerms`). None of them may be sent coins.
pub(crate) const MODULE_ACCOUNTS: &[(&str, &[&str])] = &[
    (x_bank::FEE_COLLECTOR, &[]),
    ("bonded_tokens_pool", &["burner", "staking"]),
    ("not_bonded_tokens_pool", &["burner", "staking"]),
];

/// The modules, in the order of genesis and of the block hooks.
#[derive(Debug)]
pub(crate) struct Modules {
    list: Vec<Box<dyn Module>>,
    /// Who may not be sent value.
    pub(crate) blocked: Arc<BTreeSet<Address>>,
}

impl Modules {
    pub(crate) fn new() -> Self {
        let blocked: Arc<BTreeSet<Address>> = Arc::new(
            MODULE_ACCOUNTS
                .iter()
                .map(|(name, _)| x_auth::module_address(name))
                .collect(),
        );
        let list: Vec<Box<dyn Module>> = vec![
            Box::new(x_auth::Auth::new(MODULE_ACCOUNTS.iter().copied())),
            Box::new(x_bank::Bank::new(blocked.iter().copied())),
            Box::new(x_staking::Staking::new(Arc::new(x_staking::NoHooks))),
            Box::new(x_evm::Evm::new(blocked.iter().copied())),
        ];
        Self { list, blocked }
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Module> {
        self.list.iter().map(|m| &**m)
    }
}

/// Every store of the chain: what the commit store is opened with.
pub fn stores() -> Vec<StoreId> {
    let modules = Modules::new();
    let mut stores: Vec<StoreId> = modules.iter().flat_map(|m| m.stores().iter().copied()).collect();
    stores.push(crate::chain::STORE);
    stores.sort_unstable();
    stores
}

impl<S: state::CommitStore> crate::App<S> {
    /// Who may not be sent value: module accounts. Simulations need it as blocks do.
    pub fn blocked(&self) -> Arc<BTreeSet<Address>> {
        self.modules.blocked.clone()
    }
}
