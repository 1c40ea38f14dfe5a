//! Figures as a table for people.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A line for each figure, names of nested ones with dots; below them each list of objects as a table of its own.
pub fn of(figures: &[(String, Value)]) -> String {
    let mut lines = Vec::new();
    let mut lists = String::new();
    for (name, value) in figures {
        match rows(value) {
            Some(rows) => {
                let _ = write!(lists, "\n  {name}\n{}", grid(&rows));
            }
            None => flatten(name, value, &mut lines),
        }
    }
    grid(&lines.into_iter().map(|(name, value)| vec![name, value]).collect::<Vec<_>>()) + &lists
}

/// The cells of a list of objects, their names first.
fn rows(value: &Value) -> Option<Vec<Vec<String>>> {
    let objects: Vec<&Map<String, Value>> =
        value.as_array()?.iter().map(Value::as_object).collect::<Option<_>>()?;
    let flat: Vec<Vec<(String, String)>> = objects
        .iter()
        .map(|object| {
            let mut cells = Vec::new();
            object.iter().for_each(|(name, value)| flatten(name, value, &mut cells));
            cells
        })
        .collect();
    let names: Vec<String> = flat.first()?.iter().map(|(name, _)| name.clone()).collect();
    let cell = |row: &[(String, String)], name: &String| {
        row.iter().find(|(other, _)| other == name).map_or_else(|| "-".to_owned(), |(_, value)| value.clone())
    };
    let body = flat.iter().map(|row| names.iter().map(|name| cell(row, name)).collect());
    Some(std::iter::once(names.clone()).chain(body).collect())
}

fn flatten(name: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (inner, value) in fields {
                flatten(&format!("{name}.{inner}"), value, into);
            }
        }
        Value::Null => into.push((name.to_owned(), "-".to_owned())),
        Value::String(text) => into.push((name.to_owned(), text.clone())),
        Value::Array(values) => {
            let words: Vec<String> = values.iter().map(ToString::to_string).collect();
            into.push((name.to_owned(), words.join(" ")));
        }
        Value::Bool(_) | Value::Number(_) => into.push((name.to_owned(), value.to_string())),
    }
}

/// The first column to the left, all others to the right.
fn grid(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        text.push_str("  ");
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ =
                if column == 0 { write!(text, "{cell:<width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_stand_in_columns_and_lists_of_objects_below() {
        let figures = [
            ("jobs", json!(200)),
            ("cpu", json!({"worker": 0.25, "broker": null})),
            ("runs", json!([1, 2])),
            ("cases", json!([{"count": 1, "ms": 2.5}, {"count": 32}])),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let expected = "  \
  jobs         200
  cpu.broker     -
  cpu.worker  0.25
  runs         1 2

  cases
  count   ms
  1      2.5
  32       -
";
        assert_eq!(of(&figures), expected);
    }

    #[test]
    fn nothing_is_an_empty_table() {
        assert_eq!(of(&[]), "");
    }
}
