//! The programs that are run against a node, and their words.
use crate::node::Node;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

/// The folder of the clients' scripts, installed.
pub(crate) fn clients() -> PathBuf {
    let folder = root().join("clients");
    let installed = folder.join("node_modules").join(".braid-installed");
    assert!(
        installed.exists(),
        "the clients are not installed ({} is missing): run `cargo xtask tools`",
        installed.display()
    );
    folder
}

/// One of Foundry's programs: npm's where it has one for this platform, else the one on the PATH.
fn native(program: &str) -> PathBuf {
    let packages = clients().join("node_modules").join("@foundry-rs");
    let entries = std::fs::read_dir(&packages)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    let npm = entries.filter_map(|package| {
        let platform = package
            .file_name()?
            .to_str()?
            .strip_prefix(program)?
            .starts_with('-');
        platform.then(|| package.join("bin"))
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let found = npm
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(&file))
        .find(|f| f.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "no {program}: npm has none for this platform, and none is on the PATH (https://getfoundry.sh)"
        )
    })
}

/// What a program printed; a panic with all its words where it failed.
pub(crate) fn good(command: &mut Command) -> String {
    let output = run(command);
    let (out, err) = words(&output);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{out}{err}",
        output.status
    );
    out
}

/// What a program printed on its way to a failure; a panic where it did not fail.
fn bad(command: &mut Command) -> String {
    let output = run(command);
    let (out, err) = words(&output);
    assert!(!output.status.success(), "{command:?} did not fail\n{out}{err}");
    format!("{out}{err}")
}

/// What a program printed on its standard output, whether it failed or not.
pub(crate) fn silent(mut command: Command) -> String {
    words(&run(&mut command)).0
}

fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

fn words(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

impl Node {
    /// `0x…` of dev`i`'s private key.
    pub(crate) fn key(&self, i: usize) -> String {
        format!("0x{}", hex::encode(self.accounts[i].private_key))
    }
    /// `0x…` of dev`i`.
    pub(crate) fn hex(&self, i: usize) -> String {
        self.accounts[i].address.to_string()
    }
    /// `braid1…` of dev`i`.
    pub(crate) fn bech32(&self, i: usize) -> String {
        types::bech32_address("braid", &self.accounts[i].address)
    }
    /// The validator's operator: dev0.
    pub(crate) fn operator(&self) -> String {
        types::bech32_encode("braidvaloper", self.accounts[0].address.as_slice())
    }

    fn braidd_command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_braidd"));
        command
            .args(line.split_whitespace())
            .args(["-o", "json", "--home"])
            .arg(self.dir.path().join("home"));
        if ["tx", "query", "status"].iter().any(|c| line.starts_with(c)) {
            command.args(["--node", &self.comet]);
        }
        command
    }
    /// `braidd` of `line`, with `-o json` and this node.
    pub(crate) fn braidd(&self, line: &str) -> Value {
        let text = good(&mut self.braidd_command(line));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("braidd {line}: {e}: {text}"))
    }
    /// The words of a `braidd` that fails.
    pub(crate) fn braidd_fails(&self, line: &str) -> String {
        bad(&mut self.braidd_command(line))
    }
    /// A transaction of `braidd tx` that is in a block.
    pub(crate) fn tx(&self, line: &str) -> Value {
        let shown = self.braidd(&format!("tx {line} --wait -y"));
        assert_eq!(shown["code"], 0, "{line}: {shown}");
        assert_ne!(shown["height"], "0", "{line}: {shown}");
        shown
    }

    fn foundry(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(native(program));
        // The node behind the subcommand, since a list of arguments may end the line.
        let (subcommand, rest) = arguments.split_first().expect("a subcommand");
        command.args([subcommand, "--rpc-url", &self.rpc]).args(rest);
        // Nothing of the user's configuration, and nothing left in the checkout.
        command
            .env("HOME", self.dir.path())
            .env("FOUNDRY_DISABLE_NIGHTLY_WARNING", "1");
        for (name, folder) in [
            ("OUT", "out"),
            ("CACHE_PATH", "cache"),
            ("BROADCAST", "broadcast"),
        ] {
            command.env(format!("FOUNDRY_{name}"), self.dir.path().join(folder));
        }
        command.current_dir(clients().join("erc20"));
        command
    }
    /// `cast`'s answer.
    pub(crate) fn cast(&self, arguments: &[&str]) -> String {
        good(&mut self.foundry("cast", arguments)).trim().to_owned()
    }
    /// `cast`'s answer to `--json`.
    pub(crate) fn cast_json(&self, arguments: &[&str]) -> Value {
        let text = self.cast(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("cast {arguments:?}: {e}: {text}"))
    }
    /// The words of a `cast` that fails.
    pub(crate) fn cast_fails(&self, arguments: &[&str]) -> String {
        bad(&mut self.foundry("cast", arguments))
    }
    /// `forge`'s answer.
    pub(crate) fn forge(&self, arguments: &[&str]) -> String {
        good(&mut self.foundry("forge", arguments))
    }
    /// Runs a script of the clients' folder with dev`i`'s key. It fails with the script's words.
    pub(crate) fn script(&self, name: &str, i: usize) {
        let mut node = Command::new("node");
        node.arg(clients().join(name)).envs([
            ("BRAID_RPC", self.rpc.as_str()),
            ("BRAID_COMET", &self.comet),
            ("BRAID_KEY", &self.key(i)),
            ("BRAID_VALIDATOR", &self.operator()),
        ]);
        let said = good(&mut node);
        assert_eq!(said.trim(), "ok", "{name} did not come to its end: {said}");
    }
}
