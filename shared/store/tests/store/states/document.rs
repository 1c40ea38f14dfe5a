//! Reading a section of docs/STATES.md: its state diagram, and its table with the columns from, to and by what.

use super::{NONE, Transitions, transition};

const DOCUMENT: &str = include_str!("../../../../../docs/STATES.md");

pub struct Section {
    lines: Vec<&'static str>,
}

impl Section {
    pub fn read(heading: &str) -> Self {
        let title = format!("## {heading}");
        let lines: Vec<&str> = DOCUMENT
            .lines()
            .skip_while(|line| *line != title)
            .skip(1)
            .take_while(|line| !line.starts_with("## "))
            .collect();
        assert!(!lines.is_empty(), "docs/STATES.md has no section {heading}");
        Self { lines }
    }

    /// `From --> To: one, another (which one)`.
    pub fn diagram(&self) -> Transitions {
        let mut found = Transitions::new();
        let inside = self.lines.iter().skip_while(|line| **line != "```mermaid").skip(2);
        for line in inside.take_while(|line| **line != "```") {
            let (from, rest) = line.split_once("-->").unwrap();
            let (to, labels) = rest.split_once(':').unwrap();
            for by in names(labels) {
                found.insert(transition(&state(from), &state(to), &by));
            }
        }
        assert!(!found.is_empty());
        found
    }

    /// `| One, Another | To (why) | `statement` | … |`. None: the section has no such table.
    pub fn table(&self) -> Option<Transitions> {
        let mut rows =
            self.lines.iter().skip_while(|line| !line.starts_with("| from | to |")).skip(2).peekable();
        rows.peek()?;
        let mut found = Transitions::new();
        for row in rows.take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
            for from in cells[0].split(',') {
                for by in names(cells[2]) {
                    found.insert(transition(&state(from), &state(cells[1]), &by));
                }
            }
        }
        Some(found)
    }
}

/// A state's name without what is said beside it. A dash is no state.
fn state(text: &str) -> String {
    let name = without_remark(text).replace(' ', "");
    if name == "–" { NONE.to_owned() } else { name }
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| without_remark(name).replace('`', "")).collect()
}

fn without_remark(text: &str) -> String {
    text.split('(').next().unwrap_or(text).trim().to_owned()
}
