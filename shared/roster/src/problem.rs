//! What was wrong with a row, told so that the district can mend it.

use std::fmt;
use std::io;

use serde::Serialize;

use crate::roster::Counts;

/// A delivery with more faults than this is broken as a whole; the rest are only counted.
const MAX_PROBLEMS: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProblemKind {
    /// A row, or a device, enrolment, contact or other link of it, was left out.
    Error,
    /// Nobody is reached less for it: a detail was ignored, or not read as it was meant.
    Warning,
}

impl ProblemKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One fault of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub file: &'static str,
    /// From 1, the header's line included; a row that spans lines is named by its first.
    pub line: u64,
    pub column: Option<&'static str>,
    pub kind: ProblemKind,
    /// The fault and the remedy. Never a value of the row: it may be a name, a number or an address.
    pub what: String,
}

impl fmt::Display for Problem {
    /// `users.csv:17 phone: …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if let Some(column) = self.column {
            write!(f, " {column}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Writes the problems as CSV with a header: file, line, column, kind, problem.
pub fn write_problems(problems: &[Problem], out: impl io::Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["file", "line", "column", "kind", "problem"])?;
    for problem in problems {
        writer.write_record([
            problem.file,
            &problem.line.to_string(),
            problem.column.unwrap_or_default(),
            problem.kind.as_str(),
            &problem.what,
        ])?;
    }
    writer.flush()
}

/// Collects problems while files are read.
#[derive(Debug, Default)]
pub(crate) struct ProblemLog {
    problems: Vec<Problem>,
    counts: Counts,
}

impl ProblemLog {
    pub(crate) fn add(&mut self, problem: Problem) {
        match problem.kind {
            ProblemKind::Error => self.counts.errors += 1,
            ProblemKind::Warning => self.counts.warnings += 1,
        }
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// By file and line: links between rows are checked last, whatever their line.
    pub(crate) fn finish(mut self) -> (Vec<Problem>, Counts) {
        self.problems.sort_by_key(|problem| (problem.file, problem.line));
        (self.problems, self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: u64, column: Option<&'static str>, kind: ProblemKind) -> Problem {
        Problem { file: "users.csv", line, column, kind, what: "is wrong, \"mend\" it".to_owned() }
    }

    #[test]
    fn a_problem_reads_as_file_line_column_and_fault() {
        let named = problem(17, Some("phone"), ProblemKind::Error);
        assert_eq!(named.to_string(), "users.csv:17 phone: is wrong, \"mend\" it");
        let unnamed = problem(17, None, ProblemKind::Error);
        assert_eq!(unnamed.to_string(), "users.csv:17: is wrong, \"mend\" it");
    }

    #[test]
    fn problems_are_written_as_quoted_csv() {
        let mut out = Vec::new();
        let problems =
            [problem(17, Some("phone"), ProblemKind::Error), problem(18, None, ProblemKind::Warning)];
        write_problems(&problems, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "file,line,column,kind,problem\n\
             users.csv,17,phone,error,\"is wrong, \"\"mend\"\" it\"\n\
             users.csv,18,,warning,\"is wrong, \"\"mend\"\" it\"\n"
        );
    }

    #[test]
    fn problems_beyond_the_limit_are_counted_only() {
        let mut log = ProblemLog::default();
        for line in 0..MAX_PROBLEMS as u64 + 5 {
            log.add(problem(line, None, ProblemKind::Warning));
        }
        let (problems, counts) = log.finish();
        assert_eq!(problems.len(), MAX_PROBLEMS);
        assert_eq!(counts, Counts { errors: 0, warnings: MAX_PROBLEMS as u64 + 5 });
    }
}
