//! `braidd debug`: what a node knows about itself.
use crate::output::{self, Format, OutputArgs};
use crate::picture;
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Look into a running node.
#[derive(Debug, Args)]
pub(crate) struct DebugCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Parallelism(ParallelismCommand),
}

impl DebugCommand {
    /// Runs it.
    pub(crate) async fn run(&self) -> Result<()> {
        match &self.what {
            What::Parallelism(command) => command.run().await,
        }
    }
}

/// How parallel a block was, how parallel it could have been, and at which keys its transactions met.
///
/// The node runs the block again over the state before it and traces it; speed-ups are simulated, without overhead.
#[derive(Debug, Args)]
pub(crate) struct ParallelismCommand {
    /// The block's height.
    height: u64,
    /// The node's Ethereum JSON-RPC.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8545")]
    rpc_url: String,
    /// Cores of the schedule drawn.
    #[arg(long, value_name = "N", default_value_t = 2)]
    cores: u64,
    /// Draw the schedule and who needed whom, as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Longest wait for an answer: a block is run again, maybe over rebuilt state.
const TIMEOUT: Duration = Duration::from_secs(120);

impl ParallelismCommand {
    async fn run(&self) -> Result<()> {
        let params = json!([format!("{:#x}", self.height), self.cores]);
        let told = ask(&self.rpc_url, "braid_blockParallelism", params).await?;
        if told.is_null() {
            bail!(
                "block {} cannot be explained: it is not there, or it is the chain's first",
                self.height
            );
        }
        if let Some(path) = &self.svg {
            let text = picture::draw(&told);
            std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
        }
        match self.output.format(None)? {
            Format::Json => output::print(Format::Json, &told),
            Format::Text => output::print_text(&report(&told)),
        }
    }
}

/// Calls a JSON-RPC method.
async fn ask(url: &str, method: &str, params: Value) -> Result<Value> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
    let answer = client
        .post(url)
        .header("content-type", "application/json")
        .body(request.to_string())
        .send()
        .await
        .with_context(|| format!("no answer from {url}"))?;
    let text = answer.text().await.with_context(|| format!("answer of {url}"))?;
    let mut answer: Value =
        serde_json::from_str(&text).with_context(|| format!("{url} does not speak JSON-RPC"))?;
    if let Some(error) = answer.get("error") {
        let message = error["message"].as_str().unwrap_or("no message");
        bail!("{method}: {message} (code {})", error["code"]);
    }
    Ok(answer["result"].take())
}

/// The answer for people.
fn report(told: &Value) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let times = |milli: &Value| format!("{:.2}x", number(milli) as f64 / 1e3);
    let micros = |ns: &Value| format!("{:.1} us", number(ns) as f64 / 1e3);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut out = format!(
        "block {}: {} transactions, {} one after another, {} on the critical path of {}\n",
        told["height"],
        list(&told["transactions"]).len(),
        micros(&told["serialNs"]),
        micros(&told["criticalNs"]),
        list(&told["critical"]).len(),
    );
    if told["exact"] != true {
        out.push_str("running it again did not give the recorded gas: take the rest with care\n");
    }
    if let Some(stats) = told["executed"].as_object() {
        let of = |name: &str| stats.get(name).map_or(0, number);
        out.push_str(&format!(
            "when it was committed here: {} runs, {} thrown away, {} cut short, {} validations, {} fallbacks\n",
            of("executions"),
            of("aborts"),
            of("waits"),
            of("validations"),
            of("fallbacks"),
        ));
    }
    out.push_str(
        "\ncores  ideal   optimistic  runs for nothing  their gas      (simulated, without overhead)\n",
    );
    for s in list(&told["scaling"]) {
        out.push_str(&format!(
            "{:>5}  {:<6}  {:<10}  {:<16}  {}\n",
            number(&s["cores"]),
            times(&s["idealMilli"]),
            times(&s["optimisticMilli"]),
            number(&s["reruns"]),
            number(&s["wastedGas"]),
        ));
    }
    let conflicts = list(&told["conflicts"]);
    out.push_str(&format!(
        "\n{} keys made transactions wait\n",
        told["conflictingKeys"]
    ));
    for c in &conflicts {
        let name = match c["kind"].as_str() {
            Some(kind) => format!(
                "{kind} {} {}",
                c["address"].as_str().unwrap_or(""),
                c["detail"].as_str().unwrap_or("")
            ),
            None => c["key"].to_string(),
        };
        let pairs: Vec<String> = list(&c["pairs"])
            .iter()
            .take(6)
            .map(|p| format!("{}->{}", p[0], p[1]))
            .collect();
        let more = if number(&c["count"]) > pairs.len() as u64 {
            " ..."
        } else {
            ""
        };
        out.push_str(&format!(
            "{:>6}  {}: {}  {}{more}\n",
            number(&c["count"]),
            c["store"].as_str().unwrap_or(""),
            name.split_whitespace().collect::<Vec<_>>().join(" "),
            pairs.join(" "),
        ));
    }
    if (conflicts.len() as u64) < number(&told["conflictingKeys"]) {
        out.push_str("        ... the rest waited less\n");
    }
    out
}

#[cfg(test)]
pub(crate) fn example() -> Value {
    json!({
        "height": 7, "exact": true,
        "executed": { "executions": 4, "aborts": 1, "waits": 0, "validations": 3, "fallbacks": 0 },
        "serialNs": 30_000, "criticalNs": 20_000, "critical": [0, 1],
        "scaling": [{ "cores": 2, "idealMilli": 1500, "optimisticMilli": 1000, "reruns": 1, "wastedGas": 21000 }],
        "conflictingKeys": 1,
        "conflicts": [{
            "store": "evm", "key": "0x02", "kind": "storage",
            "address": "0x00000000000000000000000000000000000000aa", "detail": "0x1",
            "count": 1, "pairs": [[0, 1, "read"]],
        }],
        "transactions": [
            { "hash": "0x01", "from": null, "to": null, "gasUsed": 21000, "costNs": 10_000, "needs": [] },
            { "hash": "0x02", "from": null, "to": "0xaa<", "gasUsed": 21000, "costNs": 10_000, "needs": [0] },
            { "hash": "0x03", "from": null, "to": null, "gasUsed": 21000, "costNs": 10_000, "needs": [] },
        ],
        "schedule": { "cores": 2, "endNs": 20_000, "runs": [
            [0, 0, 0, 10_000, false], [1, 1, 0, 10_000, true], [0, 1, 10_000, 20_000, false],
            [1, 2, 10_000, 20_000, false],
        ] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_the_transactions_met_at() {
        let text = report(&example());
        assert!(text.starts_with(
            "block 7: 3 transactions, 30.0 us one after another, 20.0 us on the critical path of 2\n"
        ));
        assert!(text.contains("4 runs, 1 thrown away"));
        assert!(
            text.contains("    2  1.50x   1.00x       1                 21000\n"),
            "{text}"
        );
        let key = "evm: storage 0x00000000000000000000000000000000000000aa 0x1  0->1\n";
        assert!(text.contains(key), "{text}");
    }
}
