//! What a message says, from the command line: in the words of `send` and `correct`.

use std::fs;
use std::io::Read as _;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("text").required(true).args(["body", "body_file"]))]
pub(super) struct Text {
    /// The message.
    #[arg(long)]
    body: Option<String>,
    /// A file with the message; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    body_file: Option<String>,
    /// The message for those who speak a language: its tag and a file, as es=carta.txt. May be given several times.
    #[arg(long = "content", value_name = "LANG=FILE", value_parser = translation)]
    contents: Vec<(String, String)>,
}

impl Text {
    /// Sets `body`, or `contents` where there are translations.
    pub(super) fn write_into(&self, request: &mut Value) -> Result<()> {
        let text = match (&self.body, &self.body_file) {
            (Some(body), _) => body.clone(),
            (None, Some(file)) => read("--body-file", file)?,
            (None, None) => String::new(),
        };
        if self.contents.is_empty() {
            request["body"] = json!(text);
            return Ok(());
        }
        let mut contents = vec![json!({ "body": text })];
        for (language, file) in &self.contents {
            contents.push(json!({ "language": language, "body": read("--content", file)? }));
        }
        request["contents"] = json!(contents);
        Ok(())
    }
}

/// Without the line's end that every editor leaves.
fn read(option: &str, file: &str) -> Result<String> {
    let text = if file == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = text.with_context(|| format!("{option}: cannot read {file} as UTF-8 text"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn translation(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((language, file)) if !language.is_empty() && !file.is_empty() => {
            Ok((language.to_owned(), file.to_owned()))
        }
        _ => Err("write a language tag, =, and a file, as es=carta.txt".to_owned()),
    }
}
