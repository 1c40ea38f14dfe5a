//! What an import says of itself: for people, and as JSON.

use std::io::{self, Write};

use serde_json::{Value, json};
use tocsin_roster::{Counts, Roster};
use tocsin_store::directory::DirectoryReport;

/// Shown of the problems; all of them go to `--problems`.
const PROBLEMS_SHOWN: usize = 20;

/// How an import ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Imported(DirectoryReport),
    /// With --dry-run: what an import would have done.
    Previewed(DirectoryReport),
    Refused(Refusal),
}

/// Why nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// --strict, and rows were left out.
    Strict,
    /// A complete users.csv without anybody in it would make the whole district inactive.
    Nobody,
}

impl Verdict {
    fn report(&self) -> Option<&DirectoryReport> {
        match self {
            Self::Imported(report) | Self::Previewed(report) => Some(report),
            Self::Refused(_) => None,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Imported(_) => "imported",
            Self::Previewed(_) => "previewed",
            Self::Refused(_) => "refused",
        }
    }
}

impl Refusal {
    fn reason(self, counts: Counts) -> String {
        match self {
            Self::Strict => format!("{} under --strict", number(counts.errors, "error")),
            Self::Nobody => "users.csv is bulk and holds nobody, which would make everybody inactive: \
                             deliver it whole, or as delta"
                .to_owned(),
        }
    }
}

pub fn write_text(out: &mut dyn Write, district: &str, roster: &Roster, verdict: &Verdict) -> io::Result<()> {
    match verdict {
        Verdict::Imported(_) => writeln!(out, "imported into {district:?}")?,
        Verdict::Previewed(_) => writeln!(out, "dry run for {district:?}: nothing was changed")?,
        Verdict::Refused(refusal) => {
            writeln!(
                out,
                "refused for {district:?}, nothing was changed: {}",
                refusal.reason(roster.counts)
            )?;
        }
    }
    if let Some(report) = verdict.report() {
        write_report(out, report)?;
    }
    write_problems(out, roster)
}

pub fn write_json(out: &mut dyn Write, district: &str, roster: &Roster, verdict: &Verdict) -> io::Result<()> {
    let reason = match verdict {
        Verdict::Imported(_) | Verdict::Previewed(_) => Value::Null,
        Verdict::Refused(refusal) => json!(refusal.reason(roster.counts)),
    };
    let answer = json!({
        "district": district,
        "version": roster.version,
        "verdict": verdict.word(),
        "reason": reason,
        "report": verdict.report(),
        "files": roster.files,
        "errors": roster.counts.errors,
        "warnings": roster.counts.warnings,
        "problems": roster.problems.iter().take(PROBLEMS_SHOWN).collect::<Vec<_>>(),
    });
    writeln!(out, "{answer:#}")
}

fn write_report(out: &mut dyn Write, report: &DirectoryReport) -> io::Result<()> {
    writeln!(
        out,
        "{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "delivered", "added", "changed", "gone", "unchanged"
    )?;
    for (name, table) in report.tables() {
        writeln!(
            out,
            "{name:<10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            table.delivered,
            table.added,
            table.changed,
            table.gone,
            table.unchanged()
        )?;
    }
    if report.unresolved > 0 {
        let left_out = number(report.unresolved, "link");
        writeln!(out, "{left_out} left out: enrolments or contacts of somebody who is not in the directory")?;
    }
    Ok(())
}

fn write_problems(out: &mut dyn Write, roster: &Roster) -> io::Result<()> {
    let Counts { errors, warnings } = roster.counts;
    let total = errors + warnings;
    if total == 0 {
        return writeln!(out, "no problems in the files");
    }
    let shown = roster.problems.len().min(PROBLEMS_SHOWN) as u64;
    write!(out, "{}, {}", number(errors, "error"), number(warnings, "warning"))?;
    if shown < total {
        write!(out, "; the first {shown}, all with --problems FILE")?;
    }
    writeln!(out, ":")?;
    for problem in roster.problems.iter().take(PROBLEMS_SHOWN) {
        writeln!(out, "  {} {problem}", problem.kind.as_str())?;
    }
    Ok(())
}

/// `1 error`, `2 errors`.
fn number(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
