//! `braidd status` and `braidd version`.
use crate::client::NodeArgs;
use crate::home::HomeArgs;
use crate::output::{self, Format, OutputArgs};
use anyhow::Result;
use clap::Args;
use serde_json::json;

/// Who the node is, how far it is, and what it validates with.
#[derive(Debug, Args)]
pub(crate) struct StatusCommand {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl StatusCommand {
    /// Runs it.
    pub(crate) async fn run(&self, home: &HomeArgs) -> Result<()> {
        let home = home.dir()?;
        let status = self.node.client(&home)?.status().await?;
        // JSON, as the SDK does, unless text is asked for.
        let format = match self.output.output {
            None => Format::Json,
            Some(format) => format,
        };
        let mut shown = serde_json::to_value(status)?;
        // As CometBFT names it; the library reads both names and writes its own.
        if let Some(validator) = shown["validator_info"].as_object_mut() {
            validator.remove("name");
            if let Some(power) = validator.remove("power") {
                validator.insert("voting_power".into(), power);
            }
        }
        output::print(format, &shown)
    }
}

/// The program's version.
#[derive(Debug, Args)]
pub(crate) struct VersionCommand {
    #[command(flatten)]
    output: OutputArgs,
}

impl VersionCommand {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        match self.output.output {
            Some(Format::Json) => output::print(
                Format::Json,
                &json!({ "name": "braid", "server_name": "braidd", "version": version, "cometbft": "0.38.26" }),
            ),
            _ => output::print_text(&format!("{version}\n")),
        }
    }
}
