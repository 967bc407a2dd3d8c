//! Run a native transaction: the checks, then its messages, all or none of them.
use crate::{
    ante::{self, NativeTx, PayFee, out_of_gas},
    signature::Verdict,
};
use module::{Error, Response, TxContext};
use state::StateError;
use types::bech32_address;

/// What became of a native transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// Whether fee and sequences were taken. If not, nothing was written and no gas counts.
    pub charged: bool,
    /// Gas used: at most the limit.
    pub gas_used: u64,
    /// One response a message, or why none of their writes were kept.
    pub result: Result<Vec<Response>, Error>,
}

/// Runs `tx` in `ctx`. A failed message keeps fee and sequences and drops the writes and events of all messages.
/// Fails only where state cannot be read.
pub fn deliver(
    tx: &NativeTx,
    verdict: &Verdict,
    ctx: &mut TxContext<'_>,
    pay: PayFee,
) -> Result<Delivered, StateError> {
    let mut gas = match ante::run(tx, verdict, ctx, pay) {
        Ok(gas) => gas,
        Err(Error::State(e)) => return Err(e),
        Err(e) => {
            return Ok(Delivered {
                charged: false,
                gas_used: 0,
                result: Err(e),
            });
        }
    };
    let result = ctx.attempt(|ctx| {
        let mut responses = Vec::with_capacity(tx.messages.len());
        for (i, message) in tx.messages.iter().enumerate() {
            gas = gas.saturating_add(message.gas());
            let response = if gas > tx.gas_limit {
                Err(out_of_gas(message.type_url(), tx.gas_limit, gas))
            } else {
                message_in(ctx, i, message.as_ref())
            };
            responses.push(response.map_err(|e| at_message(i, e))?);
        }
        Ok(responses)
    });
    match result {
        Err(Error::State(e)) => Err(e),
        result => Ok(Delivered {
            charged: true,
            gas_used: gas.min(tx.gas_limit),
            result,
        }),
    }
}

/// Runs one message, with the SDK's `message` event before its own and `msg_index` on all of them.
fn message_in(
    ctx: &mut TxContext<'_>,
    index: usize,
    message: &dyn module::Message,
) -> module::Result<Response> {
    let from = ctx.events.len();
    let config = ctx.block.config.clone();
    let mut event = types::Event::new("message", [("action", message.type_url().to_owned())]);
    if let Some(sender) = message.signers(&config)?.first() {
        event
            .attributes
            .push(("sender".into(), bech32_address(&config.bech32_prefix, sender)));
    }
    // "/cosmos.bank.v1beta1.MsgSend" is the module "bank".
    if let Some(module) = message.type_url().split('.').nth(1) {
        event.attributes.push(("module".into(), module.into()));
    }
    ctx.events.push(event);
    let response = message.execute(ctx)?;
    for event in &mut ctx.events[from..] {
        event.attributes.push(("msg_index".into(), index.to_string()));
    }
    Ok(response)
}

fn at_message(index: usize, error: Error) -> Error {
    match error {
        Error::Rejected {
            codespace,
            code,
            message,
        } => Error::Rejected {
            codespace,
            code,
            message: format!("failed to execute message; message index: {index}: {message}"),
        },
        state => state,
    }
}
