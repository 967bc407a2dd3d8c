// ethers v6: send, wait, deploy, call, logs, errors. It sends its requests in batches.
import { Contract, ContractFactory, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider, parseEther } from "ethers";
import { code, doing, fails, holds, key, post, receiver, rpc, run, same, tokenAbi } from "./common.mjs";

run(async () => {
  const provider = new JsonRpcProvider(rpc, undefined, { polling: true, pollingInterval: 100, cacheTimeout: -1 });
  const wallet = new Wallet(key, provider);

  doing("asking who the chain is");
  same("network", (await provider.getNetwork()).chainId, 8118n);

  doing("sending a transfer");
  const before = await provider.getBalance(receiver);
  const sent = await wallet.sendTransaction({ to: receiver, value: parseEther("2") });
  const receipt = await sent.wait(1, 60_000);
  same("receipt", [receipt.status, receipt.gasUsed, receipt.contractAddress, receipt.type], [1, 21000n, null, 2]);
  same("received", (await provider.getBalance(receiver)) - before, parseEther("2"));
  const tx = await provider.getTransaction(sent.hash);
  // ethers hashes the transaction again from its fields and compares.
  same("transaction", [tx.hash, tx.from, tx.blockNumber], [sent.hash, wallet.address, receipt.blockNumber]);
  const block = await provider.getBlock(receipt.blockNumber, true);
  same("block", [block.hash, block.prefetchedTransactions.length], [receipt.blockHash, block.transactions.length]);
  const spent = receipt.gasUsed * receipt.gasPrice + parseEther("2");
  const [was, is] = await Promise.all([-1, 0].map((i) => provider.getBalance(wallet.address, receipt.blockNumber + i)));
  same("spent between the blocks", was - is, spent);

  doing("deploying the token");
  const factory = new ContractFactory(tokenAbi, code("Token"), wallet);
  const token = await factory.deploy(1000n);
  await token.waitForDeployment();
  same("supply", await token.balanceOf(wallet.address), 1000n);

  doing("writing to the token");
  const moved = await (await token.transfer(receiver, 40n)).wait(1, 60_000);
  same("status", moved.status, 1);
  same("log", token.interface.parseLog(moved.logs[0]).args.toArray(), [wallet.address, receiver, 40n]);
  same("moved", await token.balanceOf(receiver), 40n);

  doing("reading logs");
  const events = await token.queryFilter(token.filters.Transfer(wallet.address, receiver), 0, "latest");
  same("logs", events.map((e) => [e.transactionHash, e.args.value]), [[moved.hash, 40n]]);

  doing("asking for fees");
  const fees = await provider.getFeeData();
  holds("fees", fees.maxFeePerGas > fees.maxPriorityFeePerGas && fees.gasPrice > 0n, fees);
  holds("estimate", (await token.transfer.estimateGas(receiver, 1n)) > 21000n);

  doing("reverting");
  const refused = await fails("revert of a call", "InsufficientBalance", () => token.transfer.staticCall(receiver, 961n));
  same("error", [refused.code, refused.revert.name, refused.revert.args.toArray()], ["CALL_EXCEPTION", "InsufficientBalance", [960n, 961n]]);
  const estimate = await fails("revert of an estimate", "revert", () => token.transfer(receiver, 961n));
  same("error", estimate.code, "CALL_EXCEPTION");
  const failed = await token.transfer(receiver, 961n, { gasLimit: 100_000n });
  const mined = await fails("revert in a block", "reverted", () => failed.wait(1, 60_000));
  same("receipt", [mined.code, mined.receipt.status], ["CALL_EXCEPTION", 0]);

  doing("reading reasons");
  const probe = await new ContractFactory(["constructor()", "function fail(uint256)"], code("Probe"), wallet).deploy();
  await probe.waitForDeployment();
  const reasons = [[0n, "Error", "asked to"], [2n, "Panic", 1]];
  for (const [which, name, argument] of reasons) {
    const error = await fails(name, "revert", () => probe.fail.staticCall(which));
    same("reason", [error.revert.name, error.revert.args[0]], [name, argument]);
  }
  const call = { to: await probe.getAddress(), data: probe.interface.encodeFunctionData("fail", [0n]) };
  const { error } = (await post(rpc, { jsonrpc: "2.0", id: 1, method: "eth_call", params: [call, "latest"] })).body;
  same("code and words", [error.code, error.message, error.data.slice(0, 10)], [3, "execution reverted: asked to", "0x08c379a0"]);

  doing("sending what is refused");
  // ethers tells these errors by their text.
  const old = await fails("old nonce", "nonce", () => wallet.sendTransaction({ to: receiver, value: 1n, nonce: 0, gasLimit: 21000n }));
  same("error", old.code, "NONCE_EXPIRED");
  const poor = await fails("too much", "insufficient funds", () =>
    wallet.sendTransaction({ to: receiver, value: parseEther("1000000"), gasLimit: 21000n }));
  same("error", poor.code, "INSUFFICIENT_FUNDS");
  same("no transaction", await provider.getTransactionReceipt(`0x${"22".repeat(32)}`), null);

  doing("sending a burst");
  const many = new NonceManager(wallet);
  const burst = await Promise.all([...Array(10)].map(() => many.sendTransaction({ to: receiver, value: 1n, gasLimit: 21000n })));
  for (const one of burst) same("status", (await one.wait(1, 60_000)).status, 1);

  doing("watching for events");
  const other = new Contract(await token.getAddress(), tokenAbi, wallet);
  const seen = new Promise((resolve) => other.once("Transfer", (from, to, value) => resolve([from, to, value])));
  // The filter stands once the provider has asked for it.
  await provider.getBlockNumber();
  await new Promise((resolve) => setTimeout(resolve, 500));
  await (await token.transfer(receiver, 1n)).wait(1, 60_000);
  same("event", await seen, [wallet.address, receiver, 1n]);

  doing("asking over a WebSocket");
  const socket = new WebSocketProvider(rpc.replace("http://", "ws://"));
  same("block number", await socket.getBlockNumber(), await provider.getBlockNumber());
  same("balance", await socket.getBalance(wallet.address), await provider.getBalance(wallet.address));
  await socket.destroy();
  provider.destroy();
});
