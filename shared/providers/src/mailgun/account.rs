//! Where a Mailgun domain is reached and how requests to it are authenticated (wire B.1).

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};

use super::letter::Form;
use super::signature::SignatureKeys;
use crate::file::Room;
use crate::http::{self, NoReply, Reply, Within};
use crate::{AccountClient, AccountSettings, ProvidersError};

pub(super) struct MailgunAccount {
    client: AccountClient,
    authorization: HeaderValue,
    messages_url: Url,
    events_url: Url,
    pub(super) keys: SignatureKeys,
    pub(super) sender: String,
    /// For mails with files.
    pub(super) room: Room,
}

impl fmt::Debug for MailgunAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailgunAccount").finish_non_exhaustive()
    }
}

impl MailgunAccount {
    pub(super) fn new(settings: &AccountSettings, client: AccountClient) -> Result<Self, ProvidersError> {
        let base = settings.checked_base_url()?;
        let domain = settings.checked_domain()?;
        if !settings.sender.contains('@') || settings.sender.contains(['\r', '\n']) {
            return Err(settings.fault("sender", "must be an email address"));
        }
        if settings.signing_keys.is_empty() {
            return Err(
                settings.fault("signing_keys", "needs the webhook signing key: it is not the API key")
            );
        }
        let base = base.as_str().trim_end_matches('/');
        let url = |what: &str| {
            Url::parse(&format!("{base}/v3/{domain}/{what}"))
                .map_err(|_| settings.fault("base_url", "is not a URL"))
        };
        let (messages_url, events_url) = (url("messages")?, url("events")?);
        let credentials = STANDARD.encode(format!("{}:{}", settings.user, settings.secret.reveal()));
        let mut authorization = HeaderValue::try_from(format!("Basic {credentials}"))
            .map_err(|_| settings.fault("secret", "does not fit a header"))?;
        authorization.set_sensitive(true);
        let keys = SignatureKeys::new(&settings.signing_keys);
        let sender = settings.sender.clone();
        Ok(Self { client, authorization, messages_url, events_url, keys, sender, room: Room::default() })
    }

    pub(super) async fn post_message(&self, form: Form, within: Within) -> Result<Reply, NoReply> {
        let request = self
            .client
            .http()
            .post(self.messages_url.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, form.content_type)
            .body(form.body);
        http::exchange(&self.client, request, within).await
    }

    pub(super) async fn get_events(
        &self,
        query: &[(&str, &str)],
        deadline: Duration,
    ) -> Result<Reply, NoReply> {
        let mut url = self.events_url.clone();
        url.query_pairs_mut().extend_pairs(query);
        let request = self.client.http().get(url).header(AUTHORIZATION, self.authorization.clone());
        http::exchange(&self.client, request, Within::deadline(deadline)).await
    }
}
