//! Output on standard output, talk on standard error; colours only where a terminal shows them and NO_COLOR
//! does not forbid it.

use std::fmt::{self, Display};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result};
use serde_json::Value;
use tocsin_domain::CampaignState;

pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
/// As clap shows its own faults.
pub const FAULT: Style = BAD.bold();
pub const UNDER_WAY: Style = AnsiColor::Cyan.on_default();
pub const QUIET: Style = Style::new().dimmed();
pub const HEADING: Style = Style::new().bold();

/// Whoever read the output has gone, as `head` does.
#[derive(Debug)]
pub struct ReaderLeft;

impl Display for ReaderLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl std::error::Error for ReaderLeft {}

/// Writes to standard output.
pub fn print(text: impl Display) -> Result<()> {
    let mut out = anstream::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderLeft.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// One JSON value, laid out for reading.
pub fn print_json(value: &Value) -> Result<()> {
    print(format_args!("{value:#}\n"))
}

/// Writes a line to standard error. That nobody hears it is no failure.
pub fn say(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// `text` in the colour of a campaign's state.
pub fn in_colour_of(state: CampaignState, text: &str) -> String {
    let style = match state {
        CampaignState::Sent => GOOD,
        CampaignState::Errored | CampaignState::Failed => BAD,
        CampaignState::Processing | CampaignState::Sending | CampaignState::Canceling => UNDER_WAY,
        CampaignState::Canceled | CampaignState::NoRecipients | CampaignState::Discarded => QUIET,
        CampaignState::Scheduled => Style::new(),
    };
    coloured(style, text)
}

pub fn coloured(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Columns as wide as their widest cell, two spaces apart.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let cells: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut text = format!("{}\n", coloured(HEADING, &line(headings)));
    for row in rows {
        text.push_str(&line(std::array::from_fn(|column| row[column].as_str())));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn a_table_is_aligned_by_characters_and_ends_no_line_in_spaces() {
        let rows = [["é".to_owned(), "one".to_owned()], ["longer".to_owned(), String::new()]];
        let text = table(["A", "B"], &rows);
        assert_eq!(strip_str(&text).to_string(), "A       B\né       one\nlonger\n");
    }
}
