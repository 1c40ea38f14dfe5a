//! `tocsin campaign correct`: a message to those whom a canceled one contacted, or may have.

use anyhow::Result;
use serde_json::{Value, json};
use tocsin_domain::Channel;
use uuid::Uuid;

use super::ACTOR;
use super::text::Text;

pub(super) const EXAMPLES: &str = "\
It goes to exactly those whom the canceled message reached or may have reached, at the same devices. Subject, type and
channels are those of that message unless you say others. Prints the new campaign's id.

Examples:
  tocsin campaign correct 01900000-0000-7000-8000-000000000001 --body \"Picture day is on Friday.\"
  tocsin campaign correct 01900000-0000-7000-8000-000000000001 --body-file letter.txt --content es=carta.txt";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The canceled campaign, from `tocsin campaign list`.
    pub(super) id: Uuid,
    #[command(flatten)]
    text: Text,
    /// Default: that of the canceled message, marked as a correction.
    #[arg(long)]
    subject: Option<String>,
    /// Only this channel of the canceled message. May be given several times.
    #[arg(long = "channel")]
    channels: Vec<Channel>,
    /// emergency, priority, general, attendance, behavior, … Default: that of the canceled message.
    #[arg(long = "type")]
    message_type: Option<String>,
    /// When to send, RFC 3339. Default: at once.
    #[arg(long)]
    at: Option<String>,
    /// Posting twice with the same key makes one campaign. Default: a new one.
    #[arg(long)]
    key: Option<String>,
}

impl Args {
    pub(super) fn key(&self) -> String {
        self.key.clone().unwrap_or_else(|| Uuid::now_v7().to_string())
    }

    /// The body of `POST /v1/campaigns/{id}/correction`.
    pub(super) fn body(&self) -> Result<Value> {
        let channels = Some(&self.channels).filter(|channels| !channels.is_empty());
        let mut request = json!({
            "subject": self.subject, "channels": channels, "message_type": self.message_type,
            "scheduled_at": self.at, "created_by": ACTOR,
        });
        self.text.write_into(&mut request)?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_is_not_said_is_left_to_the_message_that_is_corrected() {
        let words = ["correct", "01900000-0000-7000-8000-000000000001", "--body", "b"];
        let body = Command::try_parse_from(words).unwrap().args.body().unwrap();
        for name in ["subject", "channels", "message_type", "scheduled_at"] {
            assert!(body[name].is_null(), "{name}: {body}");
        }
        assert_eq!((&body["body"], body.get("audience")), (&json!("b"), None));
        let more = [&words[..], &["--channel", "sms", "--subject", "s"]].concat();
        let body = Command::try_parse_from(more).unwrap().args.body().unwrap();
        assert_eq!((&body["channels"], &body["subject"]), (&json!(["sms"]), &json!("s")));
        assert!(Command::try_parse_from(&words[..2]).is_err(), "a correction needs a text");
    }
}
