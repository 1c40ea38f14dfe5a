//! `tocsin campaign send`: the request's body from the command line.

use anyhow::Result;
use serde_json::{Value, json};
use tocsin_domain::Channel;
use uuid::Uuid;

use super::ACTOR;
use super::text::Text;

pub(super) const EXAMPLES: &str = "\
Prints the campaign's id. Merge fields: {{ student_name }}, {{ given_name | family }}.

Examples:
  tocsin campaign send --subject \"Early dismissal\" --body \"School closes at noon.\" \\
      --channel voice --channel sms --type emergency --all
  tocsin campaign send --subject \"Book fair\" --body-file letter.txt --content es=carta.txt \\
      --channel email --school org-school-001
  pandoc letter.md -t plain | tocsin campaign send --subject Letter --body-file - --channel email --all";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    message: Message,
    /// Send it to the district's test people only, whatever the audience.
    #[arg(long)]
    test: bool,
    /// Posting twice with the same key makes one campaign. Default: a new one.
    #[arg(long)]
    key: Option<String>,
}

/// What is said to whom, and when.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("audience").required(true).multiple(true).args(["all", "schools", "grades", "students", "people"]))]
pub(crate) struct Message {
    #[arg(long)]
    subject: String,
    #[command(flatten)]
    text: Text,
    /// voice, sms, email or inbox. May be given several times.
    #[arg(long = "channel", required = true)]
    channels: Vec<Channel>,
    /// emergency, priority, general, attendance, behavior, …
    #[arg(long = "type", default_value = "general")]
    message_type: String,
    /// Everybody: all guardians of active students.
    #[arg(long, conflicts_with_all = ["schools", "grades", "students", "people"])]
    all: bool,
    /// Source id of a school. May be given several times.
    #[arg(long = "school")]
    schools: Vec<String>,
    /// A grade. May be given several times.
    #[arg(long = "grade")]
    grades: Vec<String>,
    /// Source id of a student, whose guardians are meant, on behalf of this student. May be given several times.
    #[arg(long = "student")]
    students: Vec<String>,
    /// Source id of a person, who is meant whatever they are where nothing else narrows. May be given several times.
    #[arg(long = "person")]
    people: Vec<String>,
    /// When to send, RFC 3339. Default: at once.
    #[arg(long)]
    at: Option<String>,
}

impl Args {
    pub(super) fn key(&self) -> String {
        self.key.clone().unwrap_or_else(|| Uuid::now_v7().to_string())
    }

    pub(super) fn body(&self) -> Result<Value> {
        let mut request = self.message.body()?;
        if self.test {
            request["test"] = json!(true);
        }
        Ok(request)
    }
}

impl Message {
    /// The body of `POST /v1/campaigns`.
    pub(crate) fn body(&self) -> Result<Value> {
        let mut request = json!({
            "subject": self.subject, "channels": self.channels, "message_type": self.message_type,
            "scheduled_at": self.at, "created_by": ACTOR, "audience": self.audience(),
        });
        self.text.write_into(&mut request)?;
        Ok(request)
    }

    fn audience(&self) -> Value {
        json!({
            "all": self.all, "schools": self.schools, "grades": self.grades, "students": self.students,
            "people": self.people,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        let always = ["send", "--subject", "s", "--channel", "email"];
        Command::try_parse_from([&always, words].concat()).map(|command| command.args)
    }

    #[test]
    fn a_text_and_its_translations_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name).display().to_string()
        };
        let (letter, carta) = (file("letter.txt", "one\ntwo\n"), file("carta.txt", "uno\r\n"));
        let one = parse(&["--all", "--body-file", &letter]).unwrap().body().unwrap();
        assert_eq!((&one["body"], one.get("contents")), (&json!("one\ntwo"), None));
        let content = format!("es={carta}");
        let two = parse(&["--all", "--body", "one", "--content", &content]).unwrap().body().unwrap();
        assert_eq!(two["contents"], json!([{ "body": "one" }, { "language": "es", "body": "uno" }]));
        assert_eq!(two.get("body"), None, "the API takes one of the two");
        let missing = parse(&["--all", "--body-file", "/nowhere/x"]).unwrap().body().unwrap_err();
        assert!(missing.to_string().contains("--body-file: cannot read /nowhere/x"), "{missing}");
    }

    #[test]
    fn an_audience_may_name_students_and_people() {
        let words = ["--student", "st1", "--student", "st2", "--person", "p1", "--body", "b"];
        let audience = parse(&words).unwrap().body().unwrap()["audience"].take();
        assert_eq!((&audience["students"], &audience["people"]), (&json!(["st1", "st2"]), &json!(["p1"])));
    }

    #[test]
    fn a_test_says_so() {
        let test = |words: &[&str]| parse(words).unwrap().body().unwrap().get("test").cloned();
        assert_eq!(test(&["--all", "--body", "b", "--test"]), Some(json!(true)));
        assert_eq!(test(&["--all", "--body", "b"]), None);
    }

    #[test]
    fn a_message_needs_a_text_and_an_audience() {
        let faults: [(&[&str], &str); 5] = [
            (&["--all"], "--body"),
            (&["--body", "b"], "--all"),
            (&["--all", "--student", "st1", "--body", "b"], "cannot be used with"),
            (&["--all", "--body", "b", "--body-file", "f"], "cannot be used with"),
            (&["--all", "--body", "b", "--content", "es"], "es=carta.txt"),
        ];
        for (words, fault) in faults {
            let error = parse(words).unwrap_err().to_string();
            assert!(error.contains(fault), "{words:?}: {error}");
        }
    }
}
