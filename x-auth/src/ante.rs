//! What is checked before a native transaction's messages run: signatures, sequence, fee.
//!
//! Three steps, so that the dear one needs no state of the block: [`prepare`] looks at the transaction alone;
//! [`verify`] checks the signatures against account numbers and keys as of block start, in parallel if one likes; and
//! [`run`] does the rest inside the transaction's job, through recorded reads.
use crate::{
    PublicKey, account,
    params::Params,
    put_account,
    signature::{Verdict, signature_gas},
    tx::DecodedTx,
};
use module::{Error, Message, Result, TxContext, codes, from_proto_coins};
use state::Access;
use types::{Address, ChainConfig, Coin, Event, U256, bech32_address, format_coins, parse_address};

pub use crate::signature::{Signer, VerifyAt, verify};

/// What a transaction is prepared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be checked and run.
    Execute,
    /// To estimate its gas: no signatures, no gas limit, any fee.
    Simulate,
    /// To be run at genesis (`gen_txs`): signed for account number 0, and free.
    Genesis,
}

/// Takes the fee from its payer: the bank's part, passed in because the bank stands above this crate.
pub type PayFee = fn(&mut TxContext<'_>, &Address, &Coin) -> Result<()>;

/// A native transaction whose own bytes are in order.
#[derive(Debug)]
pub struct NativeTx {
    /// As decoded.
    pub tx: DecodedTx,
    /// Its messages.
    pub messages: Vec<Box<dyn Message>>,
    /// Its signers: the messages' in order, then the fee payer.
    pub signers: Vec<Signer>,
    /// The whole fee, in the base denomination.
    pub fee: Coin,
    /// Who pays it.
    pub fee_payer: Address,
    /// Gas at most: `gas_wanted`.
    pub gas_limit: u64,
    /// The parameters it was prepared with: those of block start.
    pub params: Params,
    /// Whether it is run for real.
    pub purpose: Purpose,
}

impl NativeTx {
    /// Gas of the bytes, before signatures.
    pub fn size_gas(&self) -> u64 {
        self.params
            .tx_size_cost_per_byte
            .saturating_mul(self.tx.bytes.len() as u64)
    }
    /// Gas of bytes, stated keys' signatures and all messages: what it takes at least. Static (chain.md rule 3).
    pub fn intrinsic_gas(&self) -> u64 {
        let signatures = self
            .signers
            .iter()
            .map(|s| signature_gas(s, s.key.as_ref(), &self.params));
        let messages = self.messages.iter().map(|m| m.gas());
        signatures
            .chain(messages)
            .fold(self.size_gas(), u64::saturating_add)
    }
    /// What [`run`] and the messages are expected to touch. The fee's part is the bank's.
    pub fn access(&self, block: &module::BlockContext, state: &dyn state::StateRead) -> Access {
        let mut access = Access {
            complete: true,
            ..Access::default()
        };
        access
            .writes
            .extend(self.signers.iter().map(|s| crate::account_key(&s.address)));
        for message in &self.messages {
            access.extend(message.access(block, state));
        }
        access
    }
}

/// Checks a transaction on its own: messages, memo, fee, signers, keys. Needs no state but the parameters.
pub fn prepare(
    tx: DecodedTx,
    messages: Vec<Box<dyn Message>>,
    config: &ChainConfig,
    params: &Params,
    purpose: Purpose,
) -> Result<NativeTx> {
    let invalid = |why: String| Error::sdk(codes::INVALID_REQUEST, format!("{why}: invalid request"));
    if let Some(option) = tx.extension_options().first() {
        let why = format!("{}: unknown extension options", option.type_url);
        return Err(Error::sdk(codes::UNKNOWN_EXTENSION, why));
    }
    if messages.is_empty() {
        return Err(invalid("must contain at least one message".into()));
    }
    if tx.fee.gas_limit > i64::MAX as u64 {
        return Err(invalid(format!(
            "invalid gas supplied; {} > {}",
            tx.fee.gas_limit,
            i64::MAX
        )));
    }
    if !tx.fee.granter.is_empty() {
        return Err(invalid("fee grants are not enabled".into()));
    }
    // Bytes, though the SDK's text says characters.
    let memo = tx.body.memo.len() as u64;
    if memo > params.max_memo_characters {
        let why = format!(
            "maximum number of characters is {} but received {memo} characters: memo too large",
            params.max_memo_characters
        );
        return Err(Error::sdk(codes::MEMO_TOO_LARGE, why));
    }
    let mut addresses: Vec<Address> = Vec::new();
    for message in &messages {
        message.validate(config)?;
        for signer in message.signers(config)? {
            if !addresses.contains(&signer) {
                addresses.push(signer);
            }
        }
        // Bounds the search above; the parameter's own check on keys comes with the signatures.
        too_many(addresses.len() as u64, params)?;
    }
    let first = addresses
        .first()
        .copied()
        .ok_or_else(|| invalid("no signers".into()))?;
    let fee_payer = match tx.fee.payer.as_str() {
        "" => first,
        payer => parse_address(&config.bech32_prefix, payer)
            .map_err(|e| Error::sdk(codes::INVALID_ADDRESS, format!("fee payer: {e}: invalid address")))?,
    };
    if !addresses.contains(&fee_payer) {
        addresses.push(fee_payer);
    }
    let fee = fee_of(&tx, config, purpose)?;
    let signers = signers(&tx, &addresses, config, purpose)?;
    too_many(
        signers
            .iter()
            .map(|s| s.key.as_ref().map_or(1, key_count))
            .fold(0, u64::saturating_add),
        params,
    )?;
    let gas_limit = match purpose {
        Purpose::Execute | Purpose::Genesis => tx.fee.gas_limit,
        Purpose::Simulate => i64::MAX as u64,
    };
    Ok(NativeTx {
        tx,
        messages,
        signers,
        fee,
        fee_payer,
        gas_limit,
        params: params.clone(),
        purpose,
    })
}

fn key_count(key: &PublicKey) -> u64 {
    if let PublicKey::Multisig { keys, .. } = key {
        keys.len() as u64
    } else {
        1
    }
}

fn too_many(keys: u64, params: &Params) -> Result<()> {
    if keys <= params.tx_sig_limit {
        return Ok(());
    }
    let why = format!(
        "signatures: {keys}, limit: {}: maximum number of signatures exceeded",
        params.tx_sig_limit
    );
    Err(Error::sdk(codes::TOO_MANY_SIGNATURES, why))
}

/// The fee, which may name no coin but the base one.
fn fee_of(tx: &DecodedTx, config: &ChainConfig, purpose: Purpose) -> Result<Coin> {
    let coins = from_proto_coins(&tx.fee.amount)?;
    let refused = |what: &str| {
        let got = format_coins(&coins);
        Error::sdk(
            codes::INSUFFICIENT_FEE,
            format!("{what}: {got}: insufficient fee"),
        )
    };
    match coins.as_slice() {
        [] => Ok(Coin::new(U256::ZERO, &config.base_denom)),
        [coin] if coin.denom == config.base_denom => Ok(coin.clone()),
        _ if purpose == Purpose::Simulate => Ok(Coin::new(U256::ZERO, &config.base_denom)),
        _ => Err(refused(&format!(
            "fees are paid in {} only; got",
            config.base_denom
        ))),
    }
}

/// Pairs addresses with signer infos and signatures.
fn signers(
    tx: &DecodedTx,
    addresses: &[Address],
    config: &ChainConfig,
    purpose: Purpose,
) -> Result<Vec<Signer>> {
    if tx.signatures.is_empty() {
        return Err(Error::sdk(codes::NO_SIGNATURES, "no signatures supplied"));
    }
    if tx.signatures.len() != addresses.len() {
        let (want, have) = (addresses.len(), tx.signatures.len());
        let why = format!("wrong number of signers; expected {want}, got {have}: unauthorized");
        return Err(Error::sdk(codes::UNAUTHORIZED, why));
    }
    let mut signers = Vec::with_capacity(addresses.len());
    for (i, (address, info)) in addresses.iter().zip(&tx.auth_info.signer_infos).enumerate() {
        let mut key = info.public_key.as_ref().map(PublicKey::from_any).transpose()?;
        if purpose == Purpose::Simulate {
            key = key.and_then(|k| meant(k, address));
        }
        if key.as_ref().is_some_and(|k| k.address() != *address) {
            let who = bech32_address(&config.bech32_prefix, address);
            let why =
                format!("pubKey does not match signer address {who} with signer index: {i}: invalid pubkey");
            return Err(Error::sdk(codes::INVALID_PUBKEY, why));
        }
        signers.push(Signer::new(*address, key, info, &tx.signatures[i])?);
    }
    Ok(signers)
}

/// The key that a simulated transaction means. CosmJS names every key a Cosmos one when it asks for gas, and the SDK does
/// not compare keys with addresses then (x/auth/ante/sigverify.go, SetPubKeyDecorator). `None`, as if no key were
/// stated, where it is `address`'s in neither form.
fn meant(key: PublicKey, address: &Address) -> Option<PublicKey> {
    if key.address() == *address {
        return Some(key);
    }
    let twin = match key {
        PublicKey::Secp256k1(point) => PublicKey::EthSecp256k1(point),
        PublicKey::EthSecp256k1(point) => PublicKey::Secp256k1(point),
        PublicKey::Multisig { .. } => return None,
    };
    (twin.address() == *address).then_some(twin)
}

/// The refusal of a transaction that needs more gas than it states.
pub(crate) fn out_of_gas(location: &str, wanted: u64, used: u64) -> Error {
    let why = format!("out of gas in location: {location}; gasWanted: {wanted}, gasUsed: {used}: out of gas");
    Error::sdk(codes::OUT_OF_GAS, why)
}

/// Pays the fee, checks sequences and signatures, and counts the sequences up. Either all of it or nothing: a refused
/// transaction leaves no trace. Yields the gas used so far.
pub fn run(tx: &NativeTx, verdict: &Verdict, ctx: &mut TxContext<'_>, pay: PayFee) -> Result<u64> {
    ctx.attempt(|ctx| {
        let (height, timeout) = (ctx.block.height, tx.tx.body.timeout_height);
        if timeout != 0 && height > timeout {
            let why = format!("block height: {height}, timeout height: {timeout}: tx timeout height");
            return Err(Error::sdk(codes::TX_TIMEOUT_HEIGHT, why));
        }
        let mut gas = tx.size_gas();
        if gas > tx.gas_limit {
            return Err(out_of_gas("txSize", tx.gas_limit, gas));
        }
        pay_fee(tx, ctx, pay)?;
        for (i, signer) in tx.signers.iter().enumerate() {
            gas = gas.saturating_add(signature_gas(signer, verdict.key(i), &tx.params));
            if gas > tx.gas_limit {
                return Err(out_of_gas("ante verify: secp256k1", tx.gas_limit, gas));
            }
        }
        for (i, signer) in tx.signers.iter().enumerate() {
            authorise(signer, i, verdict, ctx)?;
        }
        Ok(gas)
    })
}

fn pay_fee(tx: &NativeTx, ctx: &mut TxContext<'_>, pay: PayFee) -> Result<()> {
    let config = &ctx.block.config;
    let fee = if tx.fee.amount.is_zero() {
        String::new()
    } else {
        tx.fee.to_string()
    };
    if tx.purpose == Purpose::Execute {
        let required = ctx.block.base_fee.saturating_mul(U256::from(tx.gas_limit));
        if tx.fee.amount < required {
            let why = format!(
                "insufficient fees; got: {fee} required: {required}{}: insufficient fee",
                config.base_denom
            );
            return Err(Error::sdk(codes::INSUFFICIENT_FEE, why));
        }
    }
    let payer = bech32_address(&config.bech32_prefix, &tx.fee_payer);
    if account(ctx.state.as_scan(), &tx.fee_payer)?.is_none() {
        return Err(unknown_account(&payer));
    }
    if !tx.fee.amount.is_zero() {
        pay(ctx, &tx.fee_payer, &tx.fee)?;
    }
    ctx.events
        .push(Event::new("tx", [("fee", fee), ("fee_payer", payer)]));
    Ok(())
}

pub(crate) fn unknown_account(address: &str) -> Error {
    Error::sdk(
        codes::UNKNOWN_ADDRESS,
        format!("account {address} does not exist: unknown address"),
    )
}

/// Checks one signer's sequence and signature, keeps its key, counts its sequence up.
fn authorise(signer: &Signer, i: usize, verdict: &Verdict, ctx: &mut TxContext<'_>) -> Result<()> {
    let config = ctx.block.config.clone();
    let who = bech32_address(&config.bech32_prefix, &signer.address);
    let mut account = account(ctx.state.as_scan(), &signer.address)?.ok_or_else(|| unknown_account(&who))?;
    if signer.sequence != account.sequence {
        let why = format!(
            "account sequence mismatch, expected {}, got {}: incorrect account sequence",
            account.sequence, signer.sequence
        );
        return Err(Error::sdk(codes::WRONG_SEQUENCE, why));
    }
    let key = verdict.outcome(i)?;
    if account.pub_key.is_none() {
        account.pub_key = key.map(PublicKey::to_any);
    }
    account.sequence = signer.sequence.checked_add(1).ok_or_else(|| {
        Error::sdk(
            codes::INVALID_SEQUENCE,
            format!("sequence {}: invalid sequence", signer.sequence),
        )
    })?;
    ctx.events.push(Event::new(
        "tx",
        [("acc_seq", format!("{who}/{}", signer.sequence))],
    ));
    for signature in signer.signatures() {
        ctx.events
            .push(Event::new("tx", [("signature", crate::base64(signature))]));
    }
    put_account(ctx.state, &config, &account);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_takes_a_key_in_either_form_and_no_other() {
        // The generator: a point that both kinds of key may be.
        let x = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
            .parse::<types::B256>()
            .unwrap();
        let mut point = [2; 33];
        point[1..].copy_from_slice(x.as_slice());
        let (cosmos, eth) = (PublicKey::Secp256k1(point), PublicKey::EthSecp256k1(point));
        assert_eq!(meant(cosmos.clone(), &eth.address()), Some(eth.clone()));
        assert_eq!(meant(eth.clone(), &cosmos.address()), Some(cosmos.clone()));
        assert_eq!(meant(eth.clone(), &eth.address()), Some(eth));
        assert_eq!(meant(cosmos, &Address::repeat_byte(1)), None);
    }
}
