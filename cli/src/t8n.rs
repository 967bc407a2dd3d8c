//! `braidd evm t8n`: geth's `evm t8n` on the chain's own executor, for test tools that drive it (EEST's `fill
//! --evm-bin`, retesteth) through a script of one line, `exec braidd evm "$@"`.
use clap::{ArgAction, Args, Subcommand};
use executor::AnyExecutor;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use t8n::{Error, Fork, Input, Output};
use types::U256;

/// What `--input.*` says for standard input.
const STDIN: &str = "stdin";
/// A test's inputs are a few megabytes; a gigabyte is a mistake.
const INPUT_BYTES_MAX: u64 = 1 << 30;

/// Tools of the EVM, called as geth's `evm` is.
#[derive(Debug, Args)]
#[command(
    display_name = "evm version",
    disable_version_flag = true,
    arg_required_else_help = true
)]
pub(crate) struct EvmCommand {
    #[command(subcommand)]
    command: EvmTool,
    /// Print the version, which begins as geth's does.
    #[arg(short = 'v', long = "version", action = ArgAction::Version)]
    _version: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum EvmTool {
    /// Run a block over accounts given as JSON; write roots, receipts and accounts as JSON.
    #[command(visible_alias = "transition", disable_version_flag = true)]
    T8n(Box<T8nCommand>),
}

impl EvmCommand {
    /// Runs it. On failure the process ends with geth's exit code.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let EvmTool::T8n(t8n) = &self.command;
        t8n.run().map_err(anyhow::Error::from)
    }
}

/// Names of the forks, for the help that test tools read.
fn forks() -> String {
    let names: Vec<&str> = Fork::names().collect();
    format!("Rules: one of\n{}", names.join("\n"))
}

#[derive(Debug, Args)]
struct T8nCommand {
    /// Accounts before the block: a file, or stdin.
    #[arg(long = "input.alloc", default_value = "alloc.json", value_name = "FILE")]
    input_alloc: String,
    /// The block without its transactions: a file, or stdin.
    #[arg(long = "input.env", default_value = "env.json", value_name = "FILE")]
    input_env: String,
    /// Transactions: a file (JSON; where it ends in .rlp, a JSON string of an RLP list in hexadecimal), or stdin.
    #[arg(long = "input.txs", default_value = "txs.json", value_name = "FILE")]
    input_txs: String,
    /// Where outputs go; made if it does not exist.
    #[arg(long = "output.basedir", value_name = "FOLDER")]
    output_basedir: Option<PathBuf>,
    /// Accounts after the block: a file, stdout or stderr; empty for nowhere.
    #[arg(long = "output.alloc", default_value = "alloc.json", value_name = "FILE")]
    output_alloc: String,
    /// Roots and receipts: a file, stdout or stderr; empty for nowhere.
    #[arg(long = "output.result", default_value = "result.json", value_name = "FILE")]
    output_result: String,
    /// RLP of the transactions that ran: a file, stdout or stderr; empty for nowhere.
    #[arg(long = "output.body", default_value = "", value_name = "FILE")]
    output_body: String,
    #[arg(long = "state.fork", default_value = "GrayGlacier", value_name = "NAME", help = forks())]
    fork: String,
    /// Chain id (EIP-155).
    #[arg(long = "state.chainid", default_value_t = 1, value_name = "ID")]
    chain_id: u64,
    /// Wei for who made the block; -1 for none.
    #[arg(
        long = "state.reward",
        default_value = "0",
        value_name = "WEI",
        allow_hyphen_values = true
    )]
    reward: String,
    /// Not provided: fails.
    #[arg(long)]
    trace: bool,
    /// Taken for geth's sake, without effect.
    #[arg(long = "verbosity", value_name = "LEVEL")]
    _verbosity: Option<i64>,
    /// Who runs the block: serial or parallel. The outputs are the same.
    #[arg(long, default_value = "parallel")]
    executor: String,
    /// How many threads run it; 0 means one a core.
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
}

impl T8nCommand {
    fn run(&self) -> Result<(), Error> {
        if self.trace {
            return Err(Error::Config(
                "--trace is not provided: this tool writes no traces".into(),
            ));
        }
        let executor =
            AnyExecutor::new(&self.executor, self.threads).map_err(|e| Error::Config(e.to_string()))?;
        let output = t8n::run(&self.input()?, &executor)?;
        self.write(&output)
    }

    fn input(&self) -> Result<Input, Error> {
        let json =
            |what: &str, e: serde_json::Error| Error::Json(format!("failed unmarshalling {what}: {e}"));
        let mut stdin = Value::Null;
        if [&self.input_alloc, &self.input_env, &self.input_txs]
            .into_iter()
            .any(|from| from == STDIN)
        {
            let mut text = Vec::new();
            let read = std::io::stdin()
                .lock()
                .take(INPUT_BYTES_MAX)
                .read_to_end(&mut text);
            read.map_err(|e| Error::Io(format!("failed reading stdin: {e}")))?;
            stdin = serde_json::from_slice(&text).map_err(|e| json("stdin", e))?;
        }
        let mut part = |from: &str, name: &str| match from {
            STDIN => Ok(stdin[name].take()),
            path => file(path, name),
        };
        let alloc = part(&self.input_alloc, "alloc")?;
        let env = part(&self.input_env, "env")?;
        let txs = match self.input_txs.as_str() {
            STDIN => match stdin["txsRlp"].take() {
                Value::String(rlp) if !rlp.is_empty() => list(&rlp)?,
                _ => t8n::from_json(stdin["txs"].take(), self.chain_id)?,
            },
            path => match file(path, "txs")? {
                Value::String(rlp) if Path::new(path).extension().is_some_and(|e| e == "rlp") => list(&rlp)?,
                txs => t8n::from_json(txs, self.chain_id)?,
            },
        };
        Ok(Input {
            alloc: serde_json::from_value(alloc).map_err(|e| json("alloc", e))?,
            env: serde_json::from_value(env).map_err(|e| json("env", e))?,
            txs,
            fork: self.fork.clone(),
            chain_id: self.chain_id,
            reward: self.reward()?,
            hooks: true,
        })
    }

    fn reward(&self) -> Result<Option<U256>, Error> {
        match self.reward.as_str() {
            "-1" => Ok(None),
            wei => match wei.parse() {
                Ok(wei) => Ok(Some(wei)),
                Err(_) => Err(Error::Config(format!(
                    "--state.reward {wei:?}: want -1 or a number"
                ))),
            },
        }
    }

    /// Files as geth writes them: two of one name in one stream are one object.
    fn write(&self, output: &Output) -> Result<(), Error> {
        let (mut stdout, mut stderr) = (BTreeMap::new(), BTreeMap::new());
        let base = match &self.output_basedir {
            Some(base) => {
                std::fs::create_dir_all(base).map_err(|e| {
                    Error::Io(format!("failed creating output basedir {}: {e}", base.display()))
                })?;
                base.clone()
            }
            None => PathBuf::new(),
        };
        let mut put = |to: &str, name: &'static str, text: String| {
            match to {
                "" => {}
                "stdout" => {
                    stdout.insert(name, text);
                }
                "stderr" => {
                    stderr.insert(name, text);
                }
                file => {
                    let path = base.join(file);
                    std::fs::write(&path, &text)
                        .map_err(|e| Error::Io(format!("failed writing output {}: {e}", path.display())))?;
                }
            }
            Ok::<(), Error>(())
        };
        put(&self.output_alloc, "alloc", pretty(&output.alloc)?)?;
        put(&self.output_result, "result", pretty(&output.result)?)?;
        put(&self.output_body, "body", pretty(&output.body)?)?;
        let failed = |e: std::io::Error| Error::Io(format!("failed writing output: {e}"));
        if !stdout.is_empty() {
            std::io::stdout()
                .lock()
                .write_all(joined(&stdout).as_bytes())
                .map_err(failed)?;
        }
        if !stderr.is_empty() {
            std::io::stderr()
                .lock()
                .write_all(joined(&stderr).as_bytes())
                .map_err(failed)?;
        }
        Ok(())
    }
}

/// One JSON object of texts that are JSON: they keep the order of their fields.
fn joined(parts: &BTreeMap<&str, String>) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, text)| format!("\"{name}\": {text}"))
        .collect();
    format!("{{\n{}\n}}\n", parts.join(",\n"))
}

fn file(path: &str, name: &str) -> Result<Value, Error> {
    let failed = |e: std::io::Error| Error::Io(format!("failed reading {name} file {path}: {e}"));
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = Vec::new();
    file.take(INPUT_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(failed)?;
    serde_json::from_slice(&text)
        .map_err(|e| Error::Json(format!("failed unmarshalling {name} file {path}: {e}")))
}

fn list(hexadecimal: &str) -> Result<Vec<t8n::Decoded>, Error> {
    let digits = hexadecimal.strip_prefix("0x").unwrap_or(hexadecimal);
    let rlp = hex::decode(digits).map_err(|e| Error::Json(format!("RLP of transactions: {e}")))?;
    t8n::from_list(&rlp)
}

/// JSON indented by one blank.
fn pretty(value: &impl Serialize) -> Result<String, Error> {
    let mut out = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, format));
    written.map_err(|e| Error::Json(format!("failed marshalling output: {e}")))?;
    String::from_utf8(out).map_err(|e| Error::Json(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use serde_json::json;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        t8n: T8nCommand,
    }

    /// Fifty payments of three senders to one receiver.
    fn inputs(folder: &Path) {
        let payers = [
            "7e5f4552091a69125d5dfcb7b8c2659029395bdf",
            "2b5ad5c4795c026514f8317c7a215e218dccd6cf",
        ];
        let alloc: Value = payers
            .iter()
            .map(|who| ((*who).to_owned(), json!({ "balance": "0xde0b6b3a7640000" })))
            .collect();
        let env = json!({
            "currentCoinbase": "c94f5374fce5edbc8e2a8697c15331677e6ebf0b", "currentGasLimit": "1000000",
            "currentNumber": 1, "currentTimestamp": 1000, "currentBaseFee": "7", "currentRandom": "0",
            "withdrawals": [], "currentExcessBlobGas": "0",
        });
        let tx = |n: u64| {
            json!({
                "nonce": n / 2, "gas": 21_000, "gasPrice": "0xa", "value": "0x1", "input": "0x",
                "to": "0x00000000000000000000000000000000000000aa", "secretKey": format!("0x{:064x}", n % 2 + 1),
            })
        };
        let txs = Value::Array((0..50).map(tx).collect());
        for (name, value) in [("alloc", alloc), ("env", env), ("txs", txs)] {
            std::fs::write(folder.join(format!("{name}.json")), value.to_string()).unwrap();
        }
    }

    fn run(folder: &Path, line: &str) -> Result<(), Error> {
        let path = |name: &str| folder.join(name).display().to_string();
        let mut words = vec!["t8n".to_owned()];
        for name in ["alloc", "env", "txs"] {
            words.push(format!("--input.{name}={}", path(&format!("{name}.json"))));
        }
        words.extend(
            line.replace("DIR", &folder.display().to_string())
                .split(' ')
                .map(str::to_owned),
        );
        Line::try_parse_from(words).unwrap().t8n.run()
    }

    #[test]
    fn serial_and_parallel_write_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        inputs(folder.path());
        let read =
            |run: &str, name: &str| std::fs::read_to_string(folder.path().join(run).join(name)).unwrap();
        let common = "--state.fork=Osaka --output.body=body.rlp --output.basedir=DIR";
        run(folder.path(), &format!("{common}/serial --executor serial")).unwrap();
        for threads in [1, 2, 4] {
            let name = format!("parallel{threads}");
            run(
                folder.path(),
                &format!("{common}/{name} --executor parallel --threads {threads}"),
            )
            .unwrap();
            for file in ["alloc.json", "result.json", "body.rlp"] {
                assert_eq!(
                    read(&name, file),
                    read("serial", file),
                    "{file} at {threads} threads"
                );
            }
        }
        let result: Value = serde_json::from_str(&read("serial", "result.json")).unwrap();
        assert_eq!(
            result["receipts"].as_array().unwrap().len(),
            47,
            "a million gas is 47 payments"
        );
        assert_eq!(result["rejected"].as_array().unwrap().len(), 3);
        // What ran comes out the same from its own encoding.
        let again = "--state.fork=Osaka --input.txs=DIR/serial/body.rlp --output.basedir=DIR/again";
        let line = again.replace("DIR", &folder.path().display().to_string());
        let alloc = folder.path().join("alloc.json").display().to_string();
        let env = folder.path().join("env.json").display().to_string();
        let words = format!("t8n --input.alloc={alloc} --input.env={env} {line}");
        Line::try_parse_from(words.split(' ')).unwrap().t8n.run().unwrap();
        assert_eq!(read("again", "alloc.json"), read("serial", "alloc.json"));
    }

    #[test]
    fn what_cannot_be_done_has_geths_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        inputs(folder.path());
        for (line, code) in [
            ("--trace", 3),
            ("--state.fork=Atlantis", 3),
            ("--state.fork=Osaka --executor=both", 3),
            ("--state.fork=Osaka --state.reward=-2", 3),
            ("--state.fork=Osaka --output.basedir=DIR/env.json/below", 11),
        ] {
            assert_eq!(
                run(folder.path(), line).map_err(|e| e.code()),
                Err(code),
                "{line}"
            );
        }
        std::fs::write(folder.path().join("env.json"), "{}").unwrap();
        assert_eq!(
            run(folder.path(), "--state.fork=Osaka").map_err(|e| e.code()),
            Err(10)
        );
        std::fs::remove_file(folder.path().join("env.json")).unwrap();
        assert_eq!(
            run(folder.path(), "--state.fork=Osaka").map_err(|e| e.code()),
            Err(11)
        );
    }
}
