//! One mail, one envelope, one recipient: MAIL, RCPT, DATA, all within the request's deadline.

use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailParameter};
use lettre::transport::smtp::response::Severity;
use tocsin_domain::Outcome;
use tokio::time::timeout;

use super::account::SmtpAccount;
use super::message::{Letter, compose};
use super::relay::Relay;
use super::reply::{self, Failure, Stage};
use crate::{Answer, SendRequest};

/// A kept connection that is as slow as this has most likely gone without a word.
const KEPT_ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// The answer is known; only the connection is at stake.
const RESET_TIMEOUT: Duration = Duration::from_millis(500);
const START_MAIL_INPUT: u16 = 354;
/// Of files, at a time, each a third longer than it is.
const COPIES: usize = 5;

pub(super) async fn send(account: &SmtpAccount, request: &SendRequest) -> Answer {
    // Encoded once by us and once on its way out, with what it is encoded from.
    let Some(_room) = account.room.take(&request.files, COPIES, request.start_within).await else {
        return Answer::NotStarted;
    };
    let letter = match compose(account, request) {
        Ok(letter) => letter,
        Err(answer) => return answer,
    };
    let mut stage = Stage::Connect;
    match timeout(request.deadline, deliver(&account.relay, &letter, &mut stage)).await {
        Ok(Ok(())) => {
            Answer::Accepted { provider_id: Some(letter.message_id), outcome: Some(Outcome::EmailSent) }
        }
        Ok(Err(failure)) => reply::answer(stage, failure),
        Err(_) => reply::answer(stage, Failure::Broken("no answer in time".to_owned())),
    }
}

/// Wherever this is given up, the connection is dropped with it: one in the middle of a mail is never kept.
async fn deliver(relay: &Relay, letter: &Letter, stage: &mut Stage) -> Result<(), Failure> {
    let mut connection = begin(relay, letter, stage).await?;
    let said = transmit(&mut connection, letter, stage).await;
    match &said {
        Ok(()) => relay.keep(connection),
        Err(failure) if failure.leaves_the_connection() => {
            if let Ok(Ok(_)) = timeout(RESET_TIMEOUT, connection.command(Rset)).await {
                relay.keep(connection);
            }
        }
        Err(_) => {}
    }
    said
}

/// A connection whose MAIL is accepted. A kept one may have been closed by the relay: MAIL finds that out, and
/// with nothing of the mail said yet another connection is no second request.
async fn begin(relay: &Relay, letter: &Letter, stage: &mut Stage) -> Result<AsyncSmtpConnection, Failure> {
    if let Some(mut kept) = relay.take() {
        *stage = Stage::Mail;
        match timeout(KEPT_ANSWER_TIMEOUT, mail(&mut kept, letter)).await {
            Ok(Ok(())) => return Ok(kept),
            Ok(Err(failure)) if failure.leaves_the_connection() => return Err(failure),
            Ok(Err(_)) | Err(_) => {}
        }
    }
    let mut connection = relay.connect(stage).await?;
    *stage = Stage::Mail;
    mail(&mut connection, letter).await?;
    Ok(connection)
}

async fn mail(connection: &mut AsyncSmtpConnection, letter: &Letter) -> Result<(), Failure> {
    let mut parameters = vec![];
    if letter.needs_utf8() {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Failure::Unspeakable);
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    connection.command(Mail::new(Some(letter.return_path.clone()), parameters)).await?;
    Ok(())
}

async fn transmit(
    connection: &mut AsyncSmtpConnection,
    letter: &Letter,
    stage: &mut Stage,
) -> Result<(), Failure> {
    *stage = Stage::Rcpt;
    connection.command(Rcpt::new(letter.to.clone(), vec![])).await?;
    *stage = Stage::Data;
    if !connection.command(Data).await?.has_code(START_MAIL_INPUT) {
        return Err(Failure::Broken("an answer to DATA that is none".to_owned()));
    }
    *stage = Stage::Content;
    let said = connection.message(&letter.bytes).await?;
    match said.code().severity {
        Severity::PositiveCompletion => Ok(()),
        Severity::PositiveIntermediate
        | Severity::TransientNegativeCompletion
        | Severity::PermanentNegativeCompletion => {
            Err(Failure::Broken("an answer to the mail that is none".to_owned()))
        }
    }
}
