// CosmJS: accounts, balances, payments and delegations, with an Ethereum key and with a Cosmos one.
import { Secp256k1HdWallet } from "@cosmjs/amino";
import { fromHex } from "@cosmjs/encoding";
import { DirectEthSecp256k1Wallet, DirectSecp256k1HdWallet } from "@cosmjs/proto-signing";
import { GasPrice, SigningStargateClient, StargateClient, assertIsDeliverTxSuccess } from "@cosmjs/stargate";
import { computeAddress } from "ethers";
import { comet, doing, fails, holds, key, post, rpc, run, same } from "./common.mjs";

const unit = 10n ** 18n;
const coin = (amount) => ({ denom: "abraid", amount: amount.toString() });
const options = { gasPrice: GasPrice.fromString("2000000000abraid"), broadcastPollIntervalMs: 100, broadcastTimeoutMs: 60_000 };
const fee = { amount: [coin(400_000_000_000_000n)], gas: "200000" };

run(async () => {
  const wallet = await DirectEthSecp256k1Wallet.fromKey(fromHex(key.slice(2)), "braid");
  const [{ address: me }] = await wallet.getAccounts();

  doing("connecting");
  const client = await SigningStargateClient.connectWithSigner(comet, wallet, options);
  same("chain id", await client.getChainId(), "braid-local-1");
  holds("height", (await client.getHeight()) >= 1);

  doing("asking for the account");
  const account = await client.getAccount(me);
  same("account", [account.address, account.sequence, account.pubkey], [me, 0, null]);
  const balance = await client.getBalance(me, "abraid");
  const all = await client.getAllBalances(me);
  same("balances", all, [balance]);
  const eth = await post(rpc, { jsonrpc: "2.0", id: 1, method: "eth_getBalance", params: [computeAddress(key), "latest"] });
  same("balance, as Ethereum sees it", BigInt(eth.body.result).toString(), balance.amount);

  doing("asking for what is not there");
  const cosmosWallet = await DirectSecp256k1HdWallet.generate(24, { prefix: "braid" });
  const [{ address: friend }] = await cosmosWallet.getAccounts();
  same("account", await client.getAccount(friend), null);
  same("balance", await client.getBalance(friend, "abraid"), coin(0));
  same("balances", await client.getAllBalances(friend), []);
  same("transaction", await client.getTx("AB".repeat(32)), null);
  await fails("sequence", "does not exist on chain", () => client.getSequence(friend));

  doing("sending with a fee of its own");
  const sent = await client.sendTokens(me, friend, [coin(unit)], fee, "with a note");
  assertIsDeliverTxSuccess(sent);
  same("received", await client.getBalance(friend, "abraid"), coin(unit));
  holds("gas", sent.gasUsed > 0n && sent.gasUsed <= 200_000n && sent.gasWanted === 200_000n, sent.gasUsed, sent.gasWanted);
  same("response", sent.msgResponses.map((r) => r.typeUrl), ["/cosmos.bank.v1beta1.MsgSendResponse"]);
  const transfer = sent.events.filter((e) => e.type === "transfer").at(-1).attributes;
  const attribute = (name) => transfer.find((a) => a.key === name)?.value;
  same("event", ["recipient", "sender", "amount"].map(attribute), [friend, me, `${unit}abraid`]);
  const kept = (await client.getBalance(me, "abraid")).amount;
  same("spent", BigInt(balance.amount) - BigInt(kept), unit + 400_000_000_000_000n);
  const now = await client.getAccount(me);
  same("sequence", now.sequence, 1);
  same("key", now.pubkey.type.toLowerCase().includes("ethsecp256k1"), true);

  doing("sending with fee auto");
  for (const message of ["first", "second"]) {
    assertIsDeliverTxSuccess(await client.sendTokens(me, friend, [coin(unit)], "auto", message));
  }

  doing("reading transactions");
  const found = await client.getTx(sent.transactionHash);
  same("transaction", [found.hash, found.height, found.code, found.gasUsed], [sent.transactionHash, sent.height, 0, sent.gasUsed]);
  const block = await client.getBlock(sent.height);
  same("block", [block.header.height, block.txs.length], [sent.height, 1]);
  same("search by height", (await client.searchTx(`tx.height=${sent.height}`)).map((t) => t.hash), [sent.transactionHash]);
  const received = await client.searchTx([{ key: "transfer.recipient", value: friend }]);
  same("search by receiver", received.length, 3);

  doing("delegating");
  const validators = await post(comet, { jsonrpc: "2.0", id: 1, method: "validators", params: {} });
  const power = BigInt(validators.body.result.validators[0].voting_power);
  const operator = process.env.BRAID_VALIDATOR;
  same("nothing delegated", await client.getDelegation(me, operator), null);
  assertIsDeliverTxSuccess(await client.delegateTokens(me, operator, coin(3n * unit), "auto"));
  same("delegated", await client.getDelegation(me, operator), coin(3n * unit));
  same("staked", await client.getBalanceStaked(me), coin(3n * unit));
  assertIsDeliverTxSuccess(await client.undelegateTokens(me, operator, coin(unit), "auto"));
  same("left", await client.getDelegation(me, operator), coin(2n * unit));
  const after = await post(comet, { jsonrpc: "2.0", id: 1, method: "validators", params: {} });
  holds("power", BigInt(after.body.result.validators[0].voting_power) >= power, after.body.result);

  doing("sending with a Cosmos key");
  const other = await SigningStargateClient.connectWithSigner(comet, cosmosWallet, options);
  assertIsDeliverTxSuccess(await other.sendTokens(friend, me, [coin(unit)], "auto"));
  same("sequence", await other.getSequence(friend).then((s) => s.sequence), 1);

  doing("signing as a Ledger does");
  const ledger = await Secp256k1HdWallet.generate(12, { prefix: "braid" });
  const [{ address: third }] = await ledger.getAccounts();
  assertIsDeliverTxSuccess(await client.sendTokens(me, third, [coin(5n * unit)], "auto"));
  const amino = await SigningStargateClient.connectWithSigner(comet, ledger, options);
  assertIsDeliverTxSuccess(await amino.sendTokens(third, me, [coin(unit)], "auto", "a <note> & more"));
  assertIsDeliverTxSuccess(await amino.delegateTokens(third, operator, coin(unit), "auto"));
  assertIsDeliverTxSuccess(await amino.undelegateTokens(third, operator, coin(unit), "auto"));
  same("nothing left", await amino.getDelegation(third, operator), null);

  doing("failing");
  const poor = await client.sendTokens(me, friend, [coin(10n ** 30n)], fee);
  same("failure", [poor.code, poor.rawLog.includes("insufficient funds")], [5, true]);
  await fails("too small a fee", "insufficient fee", () => client.sendTokens(me, friend, [coin(1)], { amount: [], gas: "200000" }));
  await fails("simulation", "insufficient funds", () => client.sendTokens(me, friend, [coin(10n ** 30n)], "auto"));
  await fails("bad address", "invalid address", () => client.sendTokens(me, "braid1xyz", [coin(1)], "auto"));

  doing("reading without a key");
  const reader = await StargateClient.connect(comet);
  same("balance", (await reader.getBalance(friend, "abraid")).denom, "abraid");
  for (const c of [client, other, amino, reader]) c.disconnect();
});
