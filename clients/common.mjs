// What the scripts share: where the node is, whose key they use, and checks that say what they found.
import { readFileSync } from "node:fs";

/// The node's endpoints, and the private key of a funded account that nobody else uses meanwhile.
export const rpc = needed("BRAID_RPC");
export const comet = needed("BRAID_COMET");
export const key = needed("BRAID_KEY");

/// A development account that the scripts pay.
export const receiver = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720";

/// Creation code of one of workload/contracts, without arguments.
export const code = (contract) =>
  `0x${readFileSync(new URL(`../workload/contracts/${contract}.hex`, import.meta.url), "utf8").trim()}`;

/// What the scripts need of the ERC-20's interface.
export const tokenAbi = [
  "constructor(uint256 supply)",
  "function name() view returns (string)",
  "function totalSupply() view returns (uint256)",
  "function balanceOf(address) view returns (uint256)",
  "function transfer(address to, uint256 value) returns (bool)",
  "event Transfer(address indexed from, address indexed to, uint256 value)",
  "error InsufficientBalance(uint256 have, uint256 need)",
];

function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

const shown = (value) => JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}n` : v));

let step = "start";

/// Names what comes next, so that a failure says where.
export function doing(what) {
  step = what;
}

/// Fails unless both are the same.
export function same(what, have, want) {
  if (shown(have) !== shown(want)) throw new Error(`${what}: have ${shown(have)}, want ${shown(want)}`);
}

/// Fails unless it holds.
export function holds(what, condition, ...values) {
  if (!condition) throw new Error(`${what}: ${values.map(shown).join(", ")}`);
}

/// Fails unless `work` fails with `text` in its message.
export async function fails(what, text, work) {
  let error;
  try {
    const value = await work();
    error = `no failure but ${shown(value)}`;
  } catch (e) {
    const whole = [e.message, e.details, e.shortMessage, e.info && shown(e.info)].join(" ");
    if (whole.includes(text)) return e;
    error = whole;
  }
  throw new Error(`${what}: want ${text}, have ${error}`);
}

/// One raw JSON-RPC request; the whole answer.
export async function post(url, body, headers = {}) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

/// Runs a script: says `ok`, or what it was doing when it failed.
export async function run(main) {
  // Scripts wait in loops of libraries: this ends one that would wait for ever.
  const end = (code, words) => {
    (code ? console.error : console.log)(words);
    // Libraries leave timers behind that would hold the process.
    process.exit(code);
  };
  setTimeout(() => end(1, `failed while ${step}: no end in 240 s`), 240_000);
  try {
    await main();
  } catch (e) {
    end(1, `failed while ${step}: ${e?.stack ?? e}`);
  }
  end(0, "ok");
}
