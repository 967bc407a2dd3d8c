//! EIP-7610: a create onto storage without nonce or code is a collision.
use crate::db::Failed;
use crate::env::Fees;
use crate::keys;
use crate::machine::Machine;
use revm::context_interface::JournalTr as _;
use revm::context_interface::context::ContextError;
use revm::interpreter::CreateInputs;
use revm::primitives::KECCAK_EMPTY;
use revm::primitives::constants::CALL_STACK_LIMIT;
use types::Address;

impl Machine<'_> {
    /// The address that `create` would make, where it has storage and neither nonce nor code: a collision by EIP-7610,
    /// which revm does not check. On the chain no such account comes to be: genesis refuses storage without code, a
    /// created contract has nonce 1, and one that dies in its own transaction leaves no storage. In foreign
    /// pre-states it does.
    pub(crate) fn storage_collision(
        &mut self,
        depth: usize,
        create: &CreateInputs,
    ) -> Result<Option<Address>, ContextError<Failed>> {
        let journal = &mut self.0.ctx.journaled_state;
        let env = journal.database.env;
        if env.fees != Fees::Beneficiary || depth > CALL_STACK_LIMIT as usize {
            return Ok(None);
        }
        // Where the create fails before it looks at the address, it must not become warm.
        let Some(caller) = journal.inner.state.get(&create.caller()) else {
            return Ok(None);
        };
        if caller.info.balance < create.value() || caller.info.nonce == u64::MAX {
            return Ok(None);
        }
        let at = create.created_address(caller.info.nonce);
        let account = journal.load_account(at).map_err(ContextError::Db)?.data;
        if account.info.nonce != 0 || account.info.code_hash != KECCAK_EMPTY {
            return Ok(None);
        }
        let view = &mut journal.database;
        let epoch = view.epoch(&at).map_err(|e| ContextError::Db(e.into()))?;
        let has = keys::has_storage(&view.view, &at, epoch).map_err(|e| ContextError::Db(e.into()))?;
        Ok(has.then_some(at))
    }

    /// Sets the nonce of `at`, unrecorded: for as long as revm looks at it.
    pub(crate) fn set_nonce(&mut self, at: Option<Address>, nonce: u64) {
        if let Some(account) = at.and_then(|at| self.0.ctx.journaled_state.inner.state.get_mut(&at)) {
            account.info.nonce = nonce;
        }
    }
}
