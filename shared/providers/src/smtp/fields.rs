//! Blocks of header fields: what delivery reports, complaints and returned headers are made of.

/// `Name: value` lines, folded lines joined.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first one of this name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, line: &str) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = self.0.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            self.0.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
}

/// Blank lines divide them.
pub(super) fn blocks(text: &str) -> Vec<Fields> {
    let mut blocks = vec![Fields::default()];
    for line in text.lines() {
        if line.trim().is_empty() {
            blocks.push(Fields::default());
        } else if let Some(block) = blocks.last_mut() {
            block.take(line);
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// The fields up to the first blank line.
pub(super) fn head(text: &str) -> Fields {
    let mut fields = Fields::default();
    text.lines().take_while(|line| !line.trim().is_empty()).for_each(|line| fields.take(line));
    fields
}
