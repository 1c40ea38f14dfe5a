//! `tocsin completions`.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use clap_complete::aot::{Shell, generate};

use crate::exit::Exit;
use crate::terminal::print;

#[derive(Debug, clap::Args)]
pub struct Args {
    shell: ForShell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ForShell {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
}

pub fn run(args: &Args, mut program: clap::Command) -> Result<ExitCode> {
    print(script(args.shell, &mut program))?;
    Ok(Exit::Done.into())
}

fn script(shell: ForShell, program: &mut clap::Command) -> String {
    let shell = match shell {
        ForShell::Bash => Shell::Bash,
        ForShell::Zsh => Shell::Zsh,
        ForShell::Fish => Shell::Fish,
        ForShell::PowerShell => Shell::PowerShell,
    };
    let mut script = Vec::new();
    generate(shell, program, "tocsin", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_shell_completes_every_command() {
        let names: Vec<String> =
            Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for shell in ForShell::value_variants() {
            let script = script(*shell, &mut Cli::command());
            for name in &names {
                assert!(script.contains(name.as_str()), "{shell:?} does not complete {name}");
            }
            assert!(!script.contains('\u{1b}'), "{shell:?} has colours in it");
        }
    }
}
