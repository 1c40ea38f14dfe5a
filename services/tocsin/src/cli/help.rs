//! `tocsin help`: the commands by task.

use std::fmt::Write as _;

use clap::Command;

use crate::terminal::HEADING;

/// Every command stands under one task; a name without its command is passed over.
const TASKS: [(&str, &[&str]); 5] = [
    ("Try it", &["up", "demo", "sample-district"]),
    ("Set up", &["config", "migrate", "district", "user", "api-key", "import"]),
    ("Send", &["campaign", "forecast", "series", "approval"]),
    ("Run the roles", &["api", "planner", "worker", "status-collector"]),
    ("Look after it", &["account", "sender", "webhook", "audit", "callbacks", "completions"]),
];

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or a check did not hold
  2  the command line, a variable or the configuration has a fault
  3  refused by the API or the import, or what was named is not there
  4  the API or the database does not answer, or the data directory is in use: try again";

/// Before the name of a command, and between it and what it does.
const INDENT: usize = 2;

pub(super) fn by_task(program: Command) -> Command {
    let width = program.get_subcommands().map(|command| command.get_name().len()).max().unwrap_or_default();
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (task, names) in TASKS {
        let commands = names.iter().filter_map(|name| program.find_subcommand(name));
        section(&mut text, task, commands, width);
    }
    let elsewhere = |command: &&Command| !TASKS.iter().any(|(_, names)| names.contains(&command.get_name()));
    section(&mut text, "More", program.get_subcommands().filter(elsewhere), width);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n`tocsin help COMMAND` says more, with examples.\n\n{HEADING}Options:{HEADING:#}\n{{options}}{{after-help}}"
    );
    program.help_template(text).after_help(EXIT_CODES)
}

fn section<'a>(text: &mut String, task: &str, commands: impl Iterator<Item = &'a Command>, width: usize) {
    let mut commands = commands.filter(|command| !command.is_hide_set()).peekable();
    if commands.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "\n{HEADING}{task}:{HEADING:#}");
    for command in commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "{:INDENT$}{:<width$}{:INDENT$}{about}", "", command.get_name(), "");
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;

    /// The commands that do something, with their whole names.
    fn leaves(command: &Command, name: &str, found: &mut Vec<(String, Command)>) {
        let mut inner = command.get_subcommands().peekable();
        if inner.peek().is_none() {
            found.push((name.to_owned(), command.clone()));
        }
        for command in inner {
            leaves(command, format!("{name} {}", command.get_name()).trim(), found);
        }
    }

    fn all_leaves() -> Vec<(String, Command)> {
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        found
    }

    #[test]
    fn help_names_every_command_under_its_task_and_the_exit_codes() {
        let help = Cli::command().render_help().to_string();
        for (task, names) in TASKS {
            assert!(help.contains(&format!("\n{task}:\n")), "{help}");
            for name in names.iter().filter(|name| Cli::command().find_subcommand(name).is_some()) {
                assert!(help.contains(&format!("\n  {name} ")), "{name} is not in\n{help}");
            }
        }
        assert!(!help.contains("More:"), "a command without a task:\n{help}");
        assert!(help.contains("Options:\n") && help.contains("  4  the API"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 110), "{help}");
    }

    #[test]
    fn every_command_shows_examples_that_can_be_typed() {
        for (name, mut command) in all_leaves() {
            let help = command.render_long_help().to_string();
            let examples = help.split_once("Examples:\n").map(|(_, examples)| examples).unwrap_or_default();
            assert!(examples.contains(&format!("tocsin {name}")), "no example of {name} in\n{help}");
        }
    }

    #[test]
    fn the_reference_names_every_command_exit_code_and_variable() {
        let reference = include_str!("../../../../docs/CLI.md");
        for (name, _) in all_leaves() {
            assert!(reference.contains(&format!("`tocsin {name}")), "docs/CLI.md does not name {name}");
        }
        for variable in
            ["TOCSIN_CONFIG", "TOCSIN_URL", "TOCSIN_API_KEY", "DATABASE_URL", "AMQP_URL", "NO_COLOR"]
        {
            assert!(reference.contains(variable), "docs/CLI.md does not name {variable}");
        }
        for code in EXIT_CODES.lines().skip(1) {
            let (number, meaning) = code.trim().split_once("  ").unwrap();
            assert!(reference.contains(&format!("| {number} | {meaning} |")), "{number}: {meaning}");
        }
    }
}
