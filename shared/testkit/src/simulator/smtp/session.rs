//! What is said on one connection, and what becomes of the mail: no input or output here.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, Error, MailFrom, Request};
use tocsin_domain::Channel;
use tokio::time::Instant;

use super::super::behaviour::fate_among;
use super::super::detection::Detection;
use super::super::fate::Fate;
use super::super::record::{Acceptance, Arrival, Kind};
use super::super::scenario::Scenario;
use super::super::{Shared, clock};
use super::behaviour::{Fault, Treatment, treatment};
use super::reply::{Offer, Reply};
use super::{HOST, Mail};

const RECIPIENTS_MAX: usize = 100;
/// Commands that made no sense, after which the server hangs up.
const NONSENSE_MAX: u32 = 20;

/// Whether what is said can be overheard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privacy {
    Plain,
    Tls,
}

#[derive(Debug)]
pub(super) struct Session<'a> {
    shared: &'a Shared,
    privacy: Privacy,
    greeted: bool,
    authenticated: bool,
    envelope: Option<Envelope>,
    mails: u32,
    nonsense: u32,
}

#[derive(Debug)]
struct Envelope {
    from: String,
    /// The attempt's token, when the sender's address has it behind a plus.
    token: Option<String>,
    recipients: Vec<(String, Fate)>,
    treatment: Treatment,
}

/// What the server does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Say(Reply),
    Offer,
    /// Says so, and reads a mail.
    ReadMail,
    /// Says so, and reads a line for the mechanism.
    ReadLogin(Reply, Login),
    StartTls,
    /// Says this and hangs up.
    Close(Reply),
    /// Hangs up without a word.
    Drop,
    /// Says nothing any more.
    Hang,
}

/// A login that needs more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Login {
    Plain,
    User,
    Password { user: String },
}

impl<'a> Session<'a> {
    pub fn new(shared: &'a Shared, privacy: Privacy) -> Self {
        let (greeted, authenticated, envelope) = (false, false, None);
        Self { shared, privacy, greeted, authenticated, envelope, mails: 0, nonsense: 0 }
    }

    pub fn offer(&self) -> Offer {
        let smtp = &self.shared.scenario().smtp;
        Offer { starttls: smtp.starttls && self.privacy == Privacy::Plain, size_max: smtp.size_max }
    }

    pub fn hear(&mut self, request: Request<Cow<'_, str>>) -> Next {
        match request {
            Request::Ehlo { .. } => {
                self.greet();
                Next::Offer
            }
            Request::Helo { .. } => {
                self.greet();
                Next::Say(Reply::new(250, "", HOST))
            }
            Request::Mail { from } => self.mail(&from),
            Request::Rcpt { to } => self.recipient(&to.address),
            Request::Data => self.data(),
            Request::Auth { mechanism, initial_response } => self.login(mechanism, &initial_response),
            Request::StartTls if self.offer().starttls => Next::StartTls,
            Request::Rset => {
                self.envelope = None;
                Next::Say(Reply::new(250, "2.0.0", "forgotten"))
            }
            Request::Noop { .. } => Next::Say(Reply::new(250, "2.0.0", "ok")),
            Request::Vrfy { .. } => Next::Say(Reply::new(252, "2.5.2", "send, and you will see")),
            Request::Help { .. } => Next::Say(Reply::new(214, "2.0.0", "EHLO MAIL RCPT DATA RSET NOOP QUIT")),
            Request::Quit => Next::Close(Reply::new(221, "2.0.0", "bye")),
            Request::Lhlo { .. }
            | Request::Bdat { .. }
            | Request::Expn { .. }
            | Request::Etrn { .. }
            | Request::Atrn { .. }
            | Request::Burl { .. }
            | Request::StartTls => self.nonsense(Reply::new(502, "5.5.1", "not offered")),
        }
    }

    /// A line that is no command.
    pub fn misheard(&mut self, fault: &Error) -> Next {
        self.nonsense(match fault {
            Error::UnknownCommand => Reply::new(500, "5.5.2", "no such command"),
            Error::InvalidSenderAddress => Reply::new(501, "5.1.7", "the sender's address is none"),
            Error::InvalidRecipientAddress => Reply::new(501, "5.1.3", "the recipient's address is none"),
            Error::UnsupportedParameter { .. } => Reply::new(555, "5.5.4", "no such parameter"),
            Error::ResponseTooLong => Reply::new(500, "5.5.2", "the line is too long"),
            Error::SyntaxError { .. }
            | Error::InvalidParameter { .. }
            | Error::InvalidResponse { .. }
            | Error::NeedsMoreData { .. } => Reply::new(501, "5.5.4", "this command is not written so"),
        })
    }

    fn nonsense(&mut self, reply: Reply) -> Next {
        self.nonsense += 1;
        if self.nonsense > NONSENSE_MAX {
            return Next::Close(Reply::new(421, "4.7.0", "too many commands that make no sense"));
        }
        Next::Say(reply)
    }

    fn greet(&mut self) {
        self.greeted = true;
        self.envelope = None;
    }

    fn mail(&mut self, from: &MailFrom<Cow<'_, str>>) -> Next {
        let scenario = self.shared.scenario();
        let smtp = &scenario.smtp;
        if !self.greeted || self.envelope.is_some() {
            return self.nonsense(Reply::new(503, "5.5.1", "not now"));
        }
        if smtp.auth_required && !self.authenticated {
            return Next::Say(Reply::new(530, "5.7.0", "authentication is required"));
        }
        if from.size > smtp.size_max {
            return Next::Say(too_big());
        }
        if smtp.mails_per_connection_max.is_some_and(|max| self.mails >= max) {
            return Next::Close(Reply::new(421, "4.7.0", "enough mails over this connection"));
        }
        self.mails += 1;
        let treatment = treatment(scenario.seed, self.shared.next_request(), smtp);
        let token = token_of_sender(&from.address).map(str::to_owned);
        if treatment.fault == Some(Fault::Closing) {
            self.write_down(token.as_deref(), None, 421);
            return Next::Close(Reply::new(421, "4.3.2", "the service is closing"));
        }
        let from = from.address.clone().into_owned();
        self.envelope = Some(Envelope { from, token, recipients: Vec::new(), treatment });
        Next::Say(Reply::new(250, "2.1.0", "sender ok"))
    }

    fn recipient(&mut self, to: &str) -> Next {
        let scenario = self.shared.scenario();
        let Some(envelope) = &self.envelope else {
            return self.nonsense(Reply::new(503, "5.5.1", "whose mail is it"));
        };
        if envelope.recipients.len() >= RECIPIENTS_MAX {
            return Next::Say(Reply::new(452, "4.5.3", "too many recipients"));
        }
        let token = envelope.token.clone();
        let fates = &scenario.smtp.fates;
        let (fate, _) =
            fate_among(scenario.seed, fates, Channel::Email, to, token.as_deref().unwrap_or_default());
        if let Some(reply) = self.refusal_of_recipient(&scenario, envelope.treatment.fault, fate, to) {
            self.write_down(token.as_deref(), Some(to), reply.code);
            return Next::Say(reply);
        }
        if let Some(envelope) = &mut self.envelope {
            envelope.recipients.push((to.to_owned(), fate));
        }
        Next::Say(Reply::new(250, "2.1.5", "recipient ok"))
    }

    fn refusal_of_recipient(
        &self,
        scenario: &Scenario,
        fault: Option<Fault>,
        fate: Fate,
        to: &str,
    ) -> Option<Reply> {
        match fault {
            Some(Fault::RecipientRefused) => return Some(Reply::new(550, "5.1.1", "no such mailbox")),
            Some(Fault::RecipientDeferred) => {
                return Some(Reply::new(451, "4.3.0", "the mailbox is not to be reached now"));
            }
            Some(_) | None => {}
        }
        match fate {
            Fate::Invalid => Some(Reply::new(550, "5.1.1", "no such mailbox")),
            Fate::SoftBounced => {
                let wait = Duration::from_secs_f64(scenario.smtp.greylist_seconds);
                let (now, mailbox) = (Instant::now(), &self.shared.mailbox);
                let waited = now.duration_since(mailbox.first_asked(to, now));
                // The first time is never long enough ago, however short the wait.
                (waited < wait || waited.is_zero())
                    .then(|| Reply::new(451, "4.7.1", "greylisted: come again later"))
            }
            _ => None,
        }
    }

    fn data(&mut self) -> Next {
        match &self.envelope {
            None => self.nonsense(Reply::new(503, "5.5.1", "whose mail is it")),
            Some(envelope) if envelope.recipients.is_empty() => {
                self.nonsense(Reply::new(554, "5.5.1", "no recipients"))
            }
            Some(_) => Next::ReadMail,
        }
    }

    /// The whole mail is there; None where it was larger than it may be. Decided, written down and kept here, so that a
    /// client that goes away during the latency changes nothing. What is returned is to be done after so long.
    pub fn mail_read(&mut self, content: Option<Vec<u8>>) -> (Duration, Next) {
        let Some(envelope) = self.envelope.take() else { return (Duration::ZERO, Next::Drop) };
        let Treatment { latency, fault } = envelope.treatment;
        let token = envelope.token.as_deref().or_else(|| token_of_message_id(content.as_deref()?));
        let refusal = match (&content, fault) {
            (None, _) => Some(too_big()),
            (_, Some(Fault::Refused)) => Some(Reply::new(554, "5.7.1", "the content is refused")),
            (_, Some(Fault::Deferred)) => Some(Reply::new(451, "4.3.0", "not now: come again later")),
            // All recipients of one mail get one reply: over SMTP the content is refused for all of them.
            _ if envelope.recipients.iter().any(|(_, fate)| *fate == Fate::Rejected) => {
                Some(Reply::new(554, "5.7.1", "the content is refused"))
            }
            _ => None,
        };
        if refusal.is_some() || fault == Some(Fault::Hang) {
            let code = refusal.as_ref().map_or(0, |reply| reply.code);
            envelope.recipients.iter().for_each(|(to, _)| self.write_down(token, Some(to), code));
            return (latency, refusal.map_or(Next::Hang, Next::Say));
        }
        let at = clock::now();
        let answered = if fault == Some(Fault::Dropped) { 0 } else { 250 };
        let domain = envelope.from.rsplit_once('@').map_or("", |(_, domain)| domain);
        let mut queued_as = String::new();
        for (to, fate) in &envelope.recipients {
            let arrival =
                Arrival { channel: Channel::Email, kind: Kind::Send, token, to: Some(to), answered };
            let acceptance = Acceptance {
                fate: *fate,
                callback: "",
                origin: domain,
                body: "",
                detection: Detection::NotAsked,
                with: None,
            };
            queued_as = self.shared.ledger.accepted(at, arrival, acceptance).provider_id;
        }
        let to = envelope.recipients.into_iter().map(|(to, _)| to).collect();
        let content = content.unwrap_or_default();
        self.shared.mailbox.keep(Mail { arrived_at: at, from: envelope.from, to, content });
        let taken = Reply::new(250, "2.0.0", format!("queued as {queued_as}"));
        (latency, if answered == 0 { Next::Drop } else { Next::Say(taken) })
    }

    fn login(&mut self, mechanism: u64, initial: &str) -> Next {
        if !self.greeted || self.authenticated || self.envelope.is_some() {
            return self.nonsense(Reply::new(503, "5.5.1", "not now"));
        }
        match (mechanism, initial) {
            (AUTH_PLAIN, "") => Next::ReadLogin(Reply::new(334, "", ""), Login::Plain),
            (AUTH_PLAIN, initial) => self.login_line(Login::Plain, initial),
            // The words are those that every client knows, in Base64: "Username:".
            (AUTH_LOGIN, "") => Next::ReadLogin(Reply::new(334, "", "VXNlcm5hbWU6"), Login::User),
            (AUTH_LOGIN, initial) => self.login_line(Login::User, initial),
            _ => self.nonsense(Reply::new(504, "5.5.4", "no such mechanism")),
        }
    }

    /// A line of a login.
    pub fn login_line(&mut self, login: Login, line: &str) -> Next {
        let decoded = STANDARD.decode(line.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(word) = decoded else {
            return self.nonsense(Reply::new(501, "5.5.2", "that is no Base64, or a login given up"));
        };
        match login {
            Login::Plain => {
                let mut parts = word.split('\0').skip(1);
                let (user, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                self.log_in(user, password)
            }
            // "Password:" in Base64.
            Login::User => {
                Next::ReadLogin(Reply::new(334, "", "UGFzc3dvcmQ6"), Login::Password { user: word })
            }
            Login::Password { user } => self.log_in(&user, &word),
        }
    }

    fn log_in(&mut self, user: &str, password: &str) -> Next {
        let credentials = &self.shared.scenario().credentials;
        self.authenticated = user == credentials.smtp_user && password == credentials.smtp_password.reveal();
        match self.authenticated {
            true => Next::Say(Reply::new(235, "2.7.0", "welcome")),
            false => Next::Say(Reply::new(535, "5.7.8", "these credentials are unknown")),
        }
    }

    /// A send that creates no message.
    fn write_down(&self, token: Option<&str>, to: Option<&str>, answered: u16) {
        let arrival = Arrival { channel: Channel::Email, kind: Kind::Send, token, to, answered };
        self.shared.ledger.arrived(clock::now(), arrival, None);
    }
}

fn too_big() -> Reply {
    Reply::new(552, "5.3.4", "the mail is larger than is taken")
}

/// `bounce+<token>@…`: the address to which a bounce would come tells whose it is (wire C.2).
fn token_of_sender(address: &str) -> Option<&str> {
    let (local, _) = address.rsplit_once('@')?;
    local.split_once('+').map(|(_, token)| token)
}

/// `Message-ID: <token@…>`.
fn token_of_message_id(content: &[u8]) -> Option<&str> {
    let lines = content.split(|byte| *byte == b'\n').map(|line| line.trim_ascii());
    let mut headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| str::from_utf8(line).ok());
    let id = headers.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("message-id").then(|| value.trim())
    })?;
    id.strip_prefix('<')?.split_once('@').map(|(token, _)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_tells_its_attempt_by_its_sender_or_its_message_id() {
        for (address, token) in [
            ("bounce+abc-_9@mail.example.org", Some("abc-_9")),
            ("bounce@mail.example.org", None),
            ("", None),
        ] {
            assert_eq!(token_of_sender(address), token, "{address}");
        }
        for (content, token) in [
            ("Subject: x\r\nMessage-Id: <tok@h>\r\n\r\nhello", Some("tok")),
            ("Subject: x\r\n\r\nMessage-ID: <tok@h>", None),
            ("", None),
        ] {
            assert_eq!(token_of_message_id(content.as_bytes()), token, "{content}");
        }
    }
}
