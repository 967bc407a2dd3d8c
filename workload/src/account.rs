//! Accounts that sign both kinds of transactions.
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Signature, TxKind};
use cosmrs::proto::Any;
use cosmrs::proto::cosmos::bank::v1beta1::MsgSend;
use cosmrs::proto::cosmos::base::v1beta1::Coin as ProtoCoin;
use cosmrs::proto::cosmos::staking::v1beta1::{MsgDelegate, MsgUndelegate};
use prost::Message as _;
use std::sync::Arc;
use types::{Address, B256, Bytes, ChainConfig, Coin, U256, bech32_address, bech32_encode, keccak256};
use x_auth::{Draft, SignFor, SigningKey, sign_direct};
use x_evm::{Envelope, EvmTx};

/// What transactions are signed for.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Cosmos chain id.
    pub id: String,
    /// Names.
    pub config: Arc<ChainConfig>,
    /// Fee cap of every transaction, in wei a gas.
    pub fee_cap: u128,
    /// Tip cap, in wei a gas.
    pub tip: u128,
}

impl Chain {
    /// A chain with the default names, and fee caps far above a young chain's base fee.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            config: Arc::new(ChainConfig::braid()),
            fee_cap: 100_000_000_000,
            tip: 1_000_000_000,
        }
    }
}

/// Someone who sends: its key, and the sequence it will use next.
#[derive(Clone, Debug)]
pub struct Account {
    key: SigningKey,
    ecdsa: k256::ecdsa::SigningKey,
    /// Address.
    pub address: Address,
    /// Account number on the chain.
    pub number: u64,
    /// Next sequence.
    pub sequence: u64,
}

/// An Ethereum transaction to be signed.
#[derive(Clone, Debug)]
pub struct EthCall {
    /// Recipient; `None` creates.
    pub to: Option<Address>,
    /// Wei.
    pub value: U256,
    /// Input.
    pub data: Bytes,
    /// Gas limit.
    pub gas: u64,
}

impl EthCall {
    /// A plain payment.
    pub fn pay(to: Address, value: u64) -> Self {
        Self {
            to: Some(to),
            value: U256::from(value),
            data: Bytes::new(),
            gas: 21_000,
        }
    }
    /// A call without value.
    pub fn call(to: Address, data: impl Into<Bytes>, gas: u64) -> Self {
        Self {
            to: Some(to),
            value: U256::ZERO,
            data: data.into(),
            gas,
        }
    }
    /// A creation.
    pub fn create(code: impl Into<Bytes>, gas: u64) -> Self {
        Self {
            to: None,
            value: U256::ZERO,
            data: code.into(),
            gas,
        }
    }
}

impl Account {
    /// The account of a private key.
    ///
    /// # Panics
    /// Where `secret` is not a key.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let key = SigningKey::eth(&secret).expect("a private key");
        let ecdsa = k256::ecdsa::SigningKey::from_slice(&secret).expect("a private key");
        Self {
            address: key.public().address(),
            key,
            ecdsa,
            number: 0,
            sequence: 0,
        }
    }
    /// The `i`th account of a load: keccak("braid workload" ‖ i) is its key.
    pub fn nth(i: u64) -> Self {
        Self::from_secret(keccak256([&b"braid workload"[..], &i.to_be_bytes()].concat()).0)
    }
    /// `count` accounts.
    pub fn many(count: u64) -> Vec<Self> {
        (0..count).map(Self::nth).collect()
    }
    fn ecdsa(&self, hash: B256) -> Signature {
        let (signature, parity) = self
            .ecdsa
            .sign_prehash_recoverable(hash.as_slice())
            .expect("32 bytes can be signed");
        let bytes = signature.to_bytes();
        let (r, s) = bytes.split_at(32);
        Signature::new(U256::from_be_slice(r), U256::from_be_slice(s), parity.is_y_odd())
    }
    fn kind(to: Option<Address>) -> TxKind {
        to.map_or(TxKind::Create, TxKind::Call)
    }
    /// Signs an EIP-1559 transaction at `nonce`; gives it bare.
    pub fn eth_at(&self, chain: &Chain, nonce: u64, call: &EthCall) -> EvmTx {
        let tx = TxEip1559 {
            chain_id: chain.config.evm_chain_id,
            nonce,
            gas_limit: call.gas,
            max_fee_per_gas: chain.fee_cap,
            max_priority_fee_per_gas: chain.tip,
            to: Self::kind(call.to),
            value: call.value,
            access_list: AccessList::default(),
            input: call.data.clone().into(),
        };
        let signature = self.ecdsa(tx.signature_hash());
        EvmTx::new(Envelope::Eip1559(tx.into_signed(signature)), self.address)
    }
    /// Signs an EIP-155 transaction at `nonce`; gives it bare.
    pub fn legacy_at(&self, chain: &Chain, nonce: u64, call: &EthCall) -> EvmTx {
        let tx = TxLegacy {
            chain_id: Some(chain.config.evm_chain_id),
            nonce,
            gas_price: chain.fee_cap,
            gas_limit: call.gas,
            to: Self::kind(call.to),
            value: call.value,
            input: call.data.clone().into(),
        };
        let signature = self.ecdsa(tx.signature_hash());
        EvmTx::new(Envelope::Legacy(tx.into_signed(signature)), self.address)
    }
    /// Signs an EIP-2930 transaction at `nonce`, which announces `access_list`; gives it bare.
    pub fn listing_at(&self, chain: &Chain, nonce: u64, call: &EthCall, access_list: AccessList) -> EvmTx {
        let tx = TxEip2930 {
            chain_id: chain.config.evm_chain_id,
            nonce,
            gas_price: chain.fee_cap,
            gas_limit: call.gas,
            to: Self::kind(call.to),
            value: call.value,
            access_list,
            input: call.data.clone().into(),
        };
        let signature = self.ecdsa(tx.signature_hash());
        EvmTx::new(Envelope::Eip2930(tx.into_signed(signature)), self.address)
    }
    /// Signs an authorization to run `code`'s code as this account (EIP-7702).
    pub fn authorize(&self, chain: &Chain, code: Address, nonce: u64) -> SignedAuthorization {
        let chain_id = U256::from(chain.config.evm_chain_id);
        let authorization = Authorization {
            chain_id,
            address: code,
            nonce,
        };
        let signature = self.ecdsa(authorization.signature_hash());
        authorization.into_signed(signature)
    }
    /// Signs an EIP-7702 transaction at `nonce`; gives it bare.
    pub fn delegating_at(
        &self,
        chain: &Chain,
        nonce: u64,
        call: &EthCall,
        authorization_list: Vec<SignedAuthorization>,
    ) -> EvmTx {
        let tx = TxEip7702 {
            chain_id: chain.config.evm_chain_id,
            nonce,
            gas_limit: call.gas,
            max_fee_per_gas: chain.fee_cap,
            max_priority_fee_per_gas: chain.tip,
            to: call.to.unwrap_or(Address::ZERO),
            value: call.value,
            access_list: AccessList::default(),
            authorization_list,
            input: call.data.clone().into(),
        };
        let signature = self.ecdsa(tx.signature_hash());
        EvmTx::new(Envelope::Eip7702(tx.into_signed(signature)), self.address)
    }
    /// Signs an EIP-1559 transaction at the next sequence; gives it in its Cosmos envelope.
    pub fn eth(&mut self, chain: &Chain, call: &EthCall) -> Bytes {
        let tx = self.eth_at(chain, self.sequence, call);
        self.sequence += 1;
        x_evm::wrap(&tx, &chain.config)
    }
    /// Signs native messages at `sequence`.
    pub fn native_at(&self, chain: &Chain, sequence: u64, messages: Vec<Any>, gas_limit: u64) -> Bytes {
        let fee = U256::from(chain.fee_cap) * U256::from(gas_limit);
        let draft = Draft {
            messages,
            fee: vec![Coin::new(fee, &chain.config.base_denom)],
            gas_limit,
            ..Draft::default()
        };
        let signing = SignFor {
            chain_id: chain.id.clone(),
            account_number: self.number,
            sequence,
        };
        sign_direct(&self.key, &signing, &draft).into()
    }
    /// Signs native messages at the next sequence.
    pub fn native(&mut self, chain: &Chain, messages: Vec<Any>, gas_limit: u64) -> Bytes {
        let tx = self.native_at(chain, self.sequence, messages, gas_limit);
        self.sequence += 1;
        tx
    }
    /// `MsgSend` from this account.
    pub fn send(&self, chain: &Chain, to: &Address, amount: u64) -> Any {
        let text = |who: &Address| bech32_address(&chain.config.bech32_prefix, who);
        let msg = MsgSend {
            from_address: text(&self.address),
            to_address: text(to),
            amount: vec![coin(chain, amount)],
        };
        Any {
            type_url: "/cosmos.bank.v1beta1.MsgSend".into(),
            value: msg.encode_to_vec(),
        }
    }
    /// `MsgDelegate` from this account to the validator operated by `validator`.
    pub fn delegate(&self, chain: &Chain, validator: &Address, amount: u64) -> Any {
        let msg = MsgDelegate {
            delegator_address: bech32_address(&chain.config.bech32_prefix, &self.address),
            validator_address: bech32_encode(&chain.config.valoper_prefix(), validator.as_slice()),
            amount: Some(coin(chain, amount)),
        };
        Any {
            type_url: "/cosmos.staking.v1beta1.MsgDelegate".into(),
            value: msg.encode_to_vec(),
        }
    }
    /// `MsgUndelegate` from this account from the validator operated by `validator`.
    pub fn undelegate(&self, chain: &Chain, validator: &Address, amount: u64) -> Any {
        let msg = MsgUndelegate {
            delegator_address: bech32_address(&chain.config.bech32_prefix, &self.address),
            validator_address: bech32_encode(&chain.config.valoper_prefix(), validator.as_slice()),
            amount: Some(coin(chain, amount)),
        };
        Any {
            type_url: "/cosmos.staking.v1beta1.MsgUndelegate".into(),
            value: msg.encode_to_vec(),
        }
    }
}

fn coin(chain: &Chain, amount: u64) -> ProtoCoin {
    ProtoCoin {
        denom: chain.config.base_denom.clone(),
        amount: amount.to_string(),
    }
}
