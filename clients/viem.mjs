// viem: send, wait, deploy, read, write, logs, fees, errors.
import {
  createPublicClient, createWalletClient, decodeErrorResult, decodeEventLog, defineChain, getContractAddress, http,
  parseAbi, parseEther, parseGwei,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { code, doing, fails, holds, key, receiver, rpc, run, same, tokenAbi } from "./common.mjs";

const abi = parseAbi(tokenAbi);
const chain = defineChain({
  id: 8118,
  name: "Braid",
  nativeCurrency: { name: "Braid", symbol: "BRAID", decimals: 18 },
  rpcUrls: { default: { http: [rpc] } },
  contracts: { multicall3: { address: "0xcA11bde05977b3631167028862bE2a173976CA11" } },
});
const transport = http(rpc);
const account = privateKeyToAccount(key);
const reader = createPublicClient({ chain, transport, pollingInterval: 100 });
const wallet = createWalletClient({ account, chain, transport });
const wait = (hash) => reader.waitForTransactionReceipt({ hash, timeout: 60_000 });

run(async () => {
  doing("asking who the chain is");
  same("chain id", await reader.getChainId(), 8118);

  doing("sending a transfer");
  const before = await reader.getBalance({ address: receiver });
  const nonce = await reader.getTransactionCount({ address: account.address });
  const hash = await wallet.sendTransaction({ to: receiver, value: parseEther("1.5") });
  const receipt = await wait(hash);
  same("status", receipt.status, "success");
  same("gas of a transfer", receipt.gasUsed, 21000n);
  same("contract address", receipt.contractAddress, null);
  same("received", (await reader.getBalance({ address: receiver })) - before, parseEther("1.5"));
  same("nonce", await reader.getTransactionCount({ address: account.address }), nonce + 1);
  const tx = await reader.getTransaction({ hash });
  same("transaction", [tx.from, tx.to.toLowerCase(), tx.type], [account.address.toLowerCase(), receiver.toLowerCase(), "eip1559"]);
  const block = await reader.getBlock({ blockHash: receipt.blockHash, includeTransactions: true });
  same("transaction's block", block.transactions.map((t) => t.hash).includes(hash), true);
  same("effective gas price", receipt.effectiveGasPrice <= tx.maxFeePerGas && receipt.effectiveGasPrice >= block.baseFeePerGas, true);

  doing("sending one of each old type");
  for (const [type, extra] of [["legacy", {}], ["eip2930", { accessList: [] }]]) {
    const gasPrice = await reader.getGasPrice();
    const done = await wait(await wallet.sendTransaction({ to: receiver, value: 1n, type, gasPrice, ...extra }));
    same(`${type} transaction`, [done.status, done.type], ["success", type]);
  }

  doing("deploying the token");
  const deployed = await wait(await wallet.deployContract({ abi, bytecode: code("Token"), args: [1000n] }));
  const token = deployed.contractAddress;
  same("contract address", token.toLowerCase(), getContractAddress({ from: account.address, nonce: BigInt(nonce + 3) }).toLowerCase());
  holds("code", (await reader.getCode({ address: token }))?.length > 100);
  const read = (functionName, args = []) => reader.readContract({ address: token, abi, functionName, args });
  same("name", await read("name"), "Token");
  same("supply", await read("balanceOf", [account.address]), 1000n);

  doing("writing to the token");
  const { request } = await reader.simulateContract({ account, address: token, abi, functionName: "transfer", args: [receiver, 250n] });
  const written = await wait(await wallet.writeContract(request));
  same("status", written.status, "success");
  same("moved", [await read("balanceOf", [account.address]), await read("balanceOf", [receiver])], [750n, 250n]);
  const event = decodeEventLog({ abi, ...written.logs[0] });
  same("log", [event.eventName, event.args.to.toLowerCase(), event.args.value], ["Transfer", receiver.toLowerCase(), 250n]);

  doing("reading logs");
  const range = { fromBlock: deployed.blockNumber, toBlock: "latest" };
  const logs = await reader.getLogs({ address: token, event: abi.find((e) => e.name === "Transfer"), args: { to: receiver }, ...range });
  same("logs", logs.map((l) => [l.transactionHash, l.args.value]), [[written.transactionHash, 250n]]);
  same("logs of the contract", (await reader.getContractEvents({ address: token, abi, ...range })).length, 2);
  same("logs of a block", (await reader.getLogs({ blockHash: written.blockHash })).length, 1);

  doing("asking for the past");
  const past = { address: token, abi, functionName: "balanceOf", args: [receiver], blockNumber: deployed.blockNumber };
  same("balance then", await reader.readContract(past), 0n);

  doing("asking many things at once");
  const many = await reader.multicall({ contracts: ["name", "totalSupply"].map((functionName) => ({ address: token, abi, functionName })) });
  same("multicall", many.map((r) => r.result), ["Token", 1000n]);

  doing("asking for gas and fees");
  const gas = await reader.estimateContractGas({ account, address: token, abi, functionName: "transfer", args: [receiver, 1n] });
  holds("estimate", gas > 21000n && gas < 100000n, gas);
  const history = await reader.getFeeHistory({ blockCount: 5, rewardPercentiles: [10, 50, 90] });
  holds("base fees", history.baseFeePerGas.length === history.gasUsedRatio.length + 1 && history.baseFeePerGas.every((f) => f > 0n), history);
  holds("rewards", history.reward.length === history.gasUsedRatio.length && history.reward.every((r) => r.length === 3), history);
  const fees = await reader.estimateFeesPerGas();
  holds("fees", fees.maxFeePerGas > fees.maxPriorityFeePerGas, fees);

  doing("reverting in a call");
  const error = await fails("revert", "InsufficientBalance", () =>
    reader.simulateContract({ account, address: token, abi, functionName: "transfer", args: [receiver, 751n] }));
  const revert = error.walk((e) => e.raw !== undefined);
  same("decoded", decodeErrorResult({ abi, data: revert.raw }).args, [750n, 751n]);
  await fails("estimate of a revert", "reverted", () =>
    reader.estimateContractGas({ account, address: token, abi, functionName: "transfer", args: [receiver, 751n] }));

  doing("reverting in a block");
  const failed = await wait(await wallet.writeContract({ address: token, abi, functionName: "transfer", args: [receiver, 751n], gas: 100_000n }));
  same("status", [failed.status, failed.logs.length], ["reverted", 0]);
  holds("gas of a revert", failed.gasUsed > 21000n && failed.gasUsed < 100_000n, failed.gasUsed);

  doing("sending what is refused");
  const pay = (extra) => wallet.sendTransaction({ to: receiver, value: 1n, gas: 21000n, ...extra });
  await fails("old nonce", "nonce too low", () => pay({ nonce }));
  await fails("too much", "insufficient funds for gas * price + value", () => pay({ value: parseEther("1000000") }));
  await fails("too little gas", "intrinsic gas too low", () => pay({ gas: 20_000n }));
  await fails("fee under the base fee", "max fee per gas less than block base fee", () => pay({ maxFeePerGas: 1n, maxPriorityFeePerGas: 0n }));
  await fails("more gas than EIP-7825 allows", "transaction gas limit too high", () => pay({ gas: 16_777_217n }));
  await fails("no transaction", "could not be found", () => reader.getTransaction({ hash: `0x${"11".repeat(32)}` }));

  doing("sending a burst");
  const first = await reader.getTransactionCount({ address: account.address });
  // In order, without waiting: a nonce that skips one is refused.
  const burst = [];
  for (let i = 0; i < 10; i++) {
    const fees = { maxFeePerGas: parseGwei("50"), maxPriorityFeePerGas: 1n };
    burst.push(await wallet.sendTransaction({ to: receiver, value: 1n, gas: 21000n, nonce: first + i, ...fees }));
  }
  for (const sent of burst) same("status", (await wait(sent)).status, "success");
  same("nonce", await reader.getTransactionCount({ address: account.address }), first + 10);
  await fails("a nonce too far", "nonce too high", () => pay({ nonce: first + 12 }));
});
