//! The auth module as the app lists it.
use crate::{Account, STORE, account, genesis, module_address, numbers, query};
use module::{Error, GenesisContext, Message, Module, QueryContext, Result, codes};
use state::{StateWrite, StoreId};
use types::{Address, ChainConfig};

/// A module's account: its name and what it may do (`minter`, `burner`, `staking`).
pub type ModuleAccountSpec = (&'static str, &'static [&'static str]);

/// The auth module.
#[derive(Clone, Debug)]
pub struct Auth {
    module_accounts: Vec<ModuleAccountSpec>,
}

impl Auth {
    /// The module, which makes `module_accounts` at genesis, in this order, after the genesis accounts.
    pub fn new(module_accounts: impl IntoIterator<Item = ModuleAccountSpec>) -> Self {
        Self {
            module_accounts: module_accounts.into_iter().collect(),
        }
    }
}

/// Makes the accounts of modules that have none yet, with numbers in the order given. Refuses an ordinary account at
/// a module's address.
pub fn ensure_module_accounts(
    state: &mut dyn StateWrite,
    config: &ChainConfig,
    specs: &[ModuleAccountSpec],
) -> Result<()> {
    for (name, permissions) in specs {
        let address = module_address(name);
        match account(state.as_scan(), &address)? {
            Some(Account { module: Some(_), .. }) => continue,
            Some(_) => {
                let why = format!("account {address} of module {name} is not a module account");
                return Err(Error::sdk(codes::LOGIC, why));
            }
            None => {}
        }
        let number = numbers::next_number(state.as_scan())?;
        let module = Some((
            (*name).to_owned(),
            permissions.iter().map(|p| (*p).to_owned()).collect(),
        ));
        numbers::put_numbered(
            state,
            config,
            &Account {
                number,
                module,
                ..Account::new(address)
            },
        );
        numbers::put_next_number(state, number + 1);
    }
    Ok(())
}

impl Module for Auth {
    fn name(&self) -> &'static str {
        "auth"
    }
    fn stores(&self) -> &'static [StoreId] {
        &[STORE]
    }
    fn key_name(&self, key: &state::Key) -> Option<module::KeyName> {
        let (kind, body) = key.bytes().split_first()?;
        let who = Address::try_from(body).ok()?;
        (*kind == 1).then(|| module::KeyName::of("account", who, "sequence and public key"))
    }
    fn decode(&self, _type_url: &str, _value: &[u8]) -> Option<Result<Box<dyn Message>>> {
        // MsgUpdateParams is governance's: there is nobody who could sign it.
        None
    }
    fn init_genesis(&self, section: &serde_json::Value, ctx: &mut GenesisContext<'_>) -> Result<()> {
        genesis::init(section, ctx.state, &ctx.block.config)?;
        ensure_module_accounts(ctx.state, &ctx.block.config, &self.module_accounts)
    }
    fn query(&self, path: &str, data: &[u8], ctx: &QueryContext<'_>) -> Option<Result<Vec<u8>>> {
        query::answer(path.strip_prefix("/cosmos.auth.v1beta1.Query/")?, data, ctx)
    }
    fn export_genesis(&self, ctx: &QueryContext<'_>) -> Result<serde_json::Value> {
        genesis::export(ctx)
    }
}
