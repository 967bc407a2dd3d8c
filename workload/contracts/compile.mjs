// Writes Token.hex and Probe.hex beside the sources: node compile.mjs (needs npm's solc 0.8.30).
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
const solc = createRequire(process.cwd() + "/")("solc");
const here = new URL(".", import.meta.url).pathname;
for (const name of ["Token", "Probe"]) {
  const input = {
    language: "Solidity",
    sources: { [`${name}.sol`]: { content: readFileSync(`${here}${name}.sol`, "utf8") } },
    settings: {
      optimizer: { enabled: true, runs: 200 },
      evmVersion: "cancun",
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.methodIdentifiers"] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  for (const e of output.errors ?? []) if (e.severity === "error") throw new Error(e.formattedMessage);
  const contract = output.contracts[`${name}.sol`][name];
  writeFileSync(`${here}${name}.hex`, contract.evm.bytecode.object + "\n");
  console.log(name, contract.evm.methodIdentifiers);
}
