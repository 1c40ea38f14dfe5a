//! What both Twilio adapters share: addresses, authentication and the meaning of an HTTP answer.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Url};
use tocsin_domain::{Channel, Outcome, sender};

use super::refusal;
use super::resource::Resource;
use super::signature::SignatureKeys;
use crate::http::{self, Body, NoReply, Reply, Within};
use crate::{AccountClient, AccountSettings, Answer, ProvidersError, RawRequest, VerifyError};

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// Which of the account's two collections an adapter works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collection {
    Calls,
    Messages,
}

impl Collection {
    fn channel(self) -> Channel {
        match self {
            Self::Calls => Channel::Voice,
            Self::Messages => Channel::Sms,
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Calls => "Calls",
            Self::Messages => "Messages",
        }
    }
}

pub(super) struct TwilioAccount {
    client: AccountClient,
    authorization: HeaderValue,
    /// `…/Accounts/{AccountSid}/Calls`, without `.json`.
    collection_url: String,
    create_url: Url,
    keys: SignatureKeys,
    pub(super) collection: Collection,
    pub(super) sender: String,
}

impl fmt::Debug for TwilioAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioAccount").field("collection", &self.collection).finish_non_exhaustive()
    }
}

impl TwilioAccount {
    pub(super) fn new(
        settings: &AccountSettings,
        client: AccountClient,
        collection: Collection,
    ) -> Result<Self, ProvidersError> {
        let base = settings.checked_base_url()?;
        if !is_sid(&settings.user, "AC") {
            return Err(settings.fault("user", "must be an AccountSid: AC and 32 hexadecimal digits"));
        }
        sender::check(collection.channel(), &settings.sender)
            .map_err(|fault| settings.fault("sender", fault))?;
        let base = base.as_str().trim_end_matches('/');
        let collection_url = format!("{base}/2010-04-01/Accounts/{}/{}", settings.user, collection.path());
        let create_url = Url::parse(&format!("{collection_url}.json"))
            .map_err(|_| settings.fault("base_url", "is not a URL"))?;
        let credentials = STANDARD.encode(format!("{}:{}", settings.user, settings.secret.reveal()));
        let mut authorization = HeaderValue::try_from(format!("Basic {credentials}"))
            .map_err(|_| settings.fault("secret", "does not fit a header"))?;
        authorization.set_sensitive(true);
        let keys = match settings.signing_keys.as_slice() {
            [] => SignatureKeys::new(std::slice::from_ref(&settings.secret)),
            keys => SignatureKeys::new(keys),
        };
        let sender = settings.sender.clone();
        Ok(Self { client, authorization, collection_url, create_url, keys, collection, sender })
    }

    /// Creates a call or message from an encoded form.
    pub(super) async fn create(&self, form: String, within: Within) -> Result<Reply, NoReply> {
        self.post(self.create_url.clone(), form, within).await
    }

    /// Changes one call or message.
    pub(super) async fn update(&self, sid: &str, form: String, deadline: Duration) -> Result<Reply, NoReply> {
        self.post(self.resource_url(sid)?, form, Within::deadline(deadline)).await
    }

    pub(super) async fn fetch(&self, sid: &str, deadline: Duration) -> Result<Reply, NoReply> {
        self.get(self.resource_url(sid)?, deadline).await
    }

    pub(super) async fn list(&self, query: &[(&str, &str)], deadline: Duration) -> Result<Reply, NoReply> {
        let mut url = self.create_url.clone();
        url.query_pairs_mut().extend_pairs(query);
        self.get(url, deadline).await
    }

    pub(super) fn verify(&self, raw: &RawRequest, _now: DateTime<Utc>) -> Result<(), VerifyError> {
        self.keys.verify(raw)
    }

    async fn post(&self, url: Url, form: String, within: Within) -> Result<Reply, NoReply> {
        let request = self.client.http().post(url).header(CONTENT_TYPE, FORM).body(form);
        self.exchange(request, within).await
    }

    async fn get(&self, url: Url, deadline: Duration) -> Result<Reply, NoReply> {
        self.exchange(self.client.http().get(url), Within::deadline(deadline)).await
    }

    async fn exchange(&self, request: RequestBuilder, within: Within) -> Result<Reply, NoReply> {
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        http::exchange(&self.client, request, within).await
    }

    /// The id came from outside: it must not change the path.
    fn resource_url(&self, sid: &str) -> Result<Url, NoReply> {
        let malformed = || NoReply::NotSent("not one of this vendor's ids".to_owned());
        let prefixes: &[&str] = match self.collection {
            Collection::Calls => &["CA"],
            Collection::Messages => &["SM", "MM"],
        };
        if !prefixes.iter().any(|prefix| is_sid(sid, prefix)) {
            return Err(malformed());
        }
        Url::parse(&format!("{}/{sid}.json", self.collection_url)).map_err(|_| malformed())
    }
}

/// What Twilio's answer to a create means (wire A.1, A.6). `outcome` maps the new resource's status.
pub(super) fn answer(reply: Result<Reply, NoReply>, outcome: fn(&Resource) -> Outcome) -> Answer {
    let reply = match reply {
        Ok(reply) => reply,
        Err(no_reply) => return no_reply.into_answer(),
    };
    if !reply.status.is_success() {
        return refusal::answer(&reply);
    }
    if matches!(reply.body, Body::Broken) {
        return Answer::Accepted { provider_id: None, outcome: None };
    }
    match serde_json::from_slice::<Resource>(reply.bytes()) {
        Ok(resource) => {
            let outcome = resource.status.is_some().then(|| outcome(&resource));
            Answer::Accepted { provider_id: resource.sid, outcome }
        }
        Err(_) => Answer::Lost { why: "an answer that is not Twilio's".to_owned() },
    }
}

/// A SID is two letters and 32 hexadecimal digits (wire A.1).
fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
