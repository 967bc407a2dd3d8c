// What a browser wallet such as MetaMask asks: from adding the network to a confirmed payment, over plain requests.
import { Wallet, parseEther, toQuantity } from "ethers";
import { doing, holds, key, post, receiver, rpc, run, same } from "./common.mjs";

const origin = "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn";
let id = 0;

async function ask(method, ...params) {
  const answer = await post(rpc, { jsonrpc: "2.0", id: ++id, method, params }, { origin });
  same(`${method}: status`, answer.status, 200);
  same(`${method}: id`, [answer.body.jsonrpc, answer.body.id], ["2.0", id]);
  if (answer.body.error) throw new Error(`${method}: ${JSON.stringify(answer.body.error)}`);
  const allowed = answer.headers.get("access-control-allow-origin");
  holds(`${method}: origin allowed`, allowed === "*" || allowed === origin, allowed);
  return answer.body.result;
}

run(async () => {
  doing("asking whether a web page may ask");
  const preflight = await fetch(rpc, {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
  });
  holds("preflight", preflight.ok, preflight.status);
  const allows = (name, value) => {
    const list = preflight.headers.get(`access-control-allow-${name}`) ?? "";
    holds(`preflight: ${name}`, list === "*" || list.toLowerCase().split(/, */).includes(value), list);
  };
  allows("origin", origin);
  allows("methods", "post");
  allows("headers", "content-type");

  doing("adding the network");
  same("chain id", await ask("eth_chainId"), "0x1fb6");
  same("network id", await ask("net_version"), "8118");
  same("listening", await ask("net_listening"), true);
  const client = await ask("web3_clientVersion");
  holds("client version", /^[^\s]+$/.test(client) && client.toLowerCase().startsWith("braid"), client);
  same("syncing", await ask("eth_syncing"), false);

  doing("showing the account");
  const wallet = new Wallet(key);
  const block = await ask("eth_getBlockByNumber", "latest", false);
  holds("base fee", BigInt(block.baseFeePerGas) > 0n, block.baseFeePerGas);
  same("block number", BigInt(await ask("eth_blockNumber")) >= BigInt(block.number), true);
  const balance = BigInt(await ask("eth_getBalance", wallet.address, "latest"));
  holds("balance", balance > parseEther("1"), balance);
  same("code of an account", await ask("eth_getCode", receiver, "latest"), "0x");

  doing("proposing fees");
  const history = await ask("eth_feeHistory", "0x5", "latest", [10, 20, 30]);
  const price = BigInt(await ask("eth_gasPrice"));
  const base = BigInt(history.baseFeePerGas.at(-1));
  holds("gas price", price >= base && base > 0n, price, history);
  const tip = BigInt(await ask("eth_maxPriorityFeePerGas"));
  const payment = { from: wallet.address, to: receiver, value: toQuantity(parseEther("0.25")) };
  const gas = BigInt(await ask("eth_estimateGas", payment));
  same("gas of a payment", gas, 21000n);
  same("call of a payment", await ask("eth_call", payment, "latest"), "0x");

  doing("sending");
  const nonce = await ask("eth_getTransactionCount", wallet.address, "pending");
  const raw = await wallet.signTransaction({
    chainId: 8118, type: 2, to: receiver, value: parseEther("0.25"), nonce: Number(nonce), gasLimit: gas,
    maxFeePerGas: base * 2n + tip, maxPriorityFeePerGas: tip,
  });
  const paid = BigInt(await ask("eth_getBalance", receiver, "latest"));
  const hash = await ask("eth_sendRawTransaction", raw);
  const known = await ask("eth_getTransactionByHash", hash);
  same("known at once", [known.hash, known.nonce, known.from], [hash, nonce, wallet.address.toLowerCase()]);

  doing("waiting");
  let receipt = null;
  for (let i = 0; i < 600 && receipt === null; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    receipt = await ask("eth_getTransactionReceipt", hash);
  }
  same("receipt", [receipt?.status, receipt?.contractAddress, receipt?.logs], ["0x1", null, []]);
  same("received", BigInt(await ask("eth_getBalance", receiver, "latest")) - paid, parseEther("0.25"));
  const included = await ask("eth_getTransactionByHash", hash);
  same("included", [included.blockHash, included.blockNumber], [receipt.blockHash, receipt.blockNumber]);
  const home = await ask("eth_getBlockByHash", receipt.blockHash, false);
  same("its block", [home.number, home.transactions.includes(hash)], [receipt.blockNumber, true]);

  doing("sending it again");
  const again = await post(rpc, { jsonrpc: "2.0", id: 1, method: "eth_sendRawTransaction", params: [raw] });
  holds("refused", again.body.error.code === -32000 && /already known|nonce too low/.test(again.body.error.message), again.body);

  doing("asking nonsense");
  for (const [request, code] of [
    [{ jsonrpc: "2.0", id: 1, method: "eth_nothing", params: [] }, -32601],
    [{ jsonrpc: "2.0", id: 1, method: "eth_getBalance", params: ["0x12", "latest"] }, -32602],
    [{ jsonrpc: "2.0", id: 1, method: "eth_sendRawTransaction", params: ["0x02"] }, -32000],
    [{ id: 1, method: "eth_chainId" }, -32600],
  ]) {
    const { body } = await post(rpc, request);
    same(JSON.stringify(request), body.error?.code, code);
    holds("message", body.error.message.length > 0, body);
  }

  doing("asking in a batch");
  const batch = ["eth_chainId", "eth_blockNumber", "eth_nothing"].map((method, i) => ({ jsonrpc: "2.0", id: i, method, params: [] }));
  const answers = (await post(rpc, batch)).body;
  same("batch", [answers.length, answers.find((a) => a.id === 0).result, answers.find((a) => a.id === 2).error.code], [3, "0x1fb6", -32601]);
});
