//! `braidd`: start a node, send transactions, ask questions.

fn main() -> std::process::ExitCode {
    cli::main()
}
