//! The `barloom` command: arguments, progress, printing. Everything it does is a library call.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
