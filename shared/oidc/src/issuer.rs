//! One issuer: where a browser is sent, and who it is that comes back with a code.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use form_urlencoded::byte_serialize;
use reqwest::Url;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::claims::{Identity, TokenFault, check};
use crate::discovery::{self, Document, Endpoints, SecretIn};
use crate::http::{self, Http};
use crate::keys::{KeySet, Keys, Signed};
use crate::token::Token;
use crate::{OidcError, address};

/// Addresses change seldom, and a key that an issuer takes out of its set is one no longer.
const FRESH: TimeDelta = TimeDelta::hours(1);
/// A token that names an unknown key makes us ask for the keys again, but whoever makes such tokens not more often.
const BETWEEN_LOOKS: TimeDelta = TimeDelta::seconds(60);

/// As it is configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// As the issuer writes itself, letter by letter.
    pub issuer: String,
    pub client_id: String,
    /// None: a public client, which PKCE alone protects.
    pub client_secret: Option<ClientSecret>,
    /// Where browsers come back to. The issuer knows it too, and takes no other.
    pub return_url: String,
    /// `openid` among them.
    pub scopes: Vec<String>,
    /// The claim that users are known by.
    pub login_claim: String,
    pub groups_claim: Option<String>,
}

#[derive(Clone)]
pub struct ClientSecret(String);

impl ClientSecret {
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// What was drawn for one sign-in: secrets of at least 43 letters, digits, - and _.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// Comes back with the browser.
    pub state: String,
    /// Comes back in the token.
    pub nonce: String,
    /// Goes to the issuer with the code: who has the code alone has nothing (RFC 7636).
    pub verifier: String,
}

/// Clones share what was learned of the issuer.
#[derive(Debug, Clone)]
pub struct Issuer {
    settings: Arc<Settings>,
    http: Http,
    learned: Arc<Mutex<Learned>>,
}

#[derive(Debug, Default)]
struct Learned {
    endpoints: Option<(Endpoints, DateTime<Utc>)>,
    keys: Option<(Keys, DateTime<Utc>)>,
    /// When they were last asked for, whatever came of it.
    keys_asked_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Answer {
    id_token: String,
}

impl Issuer {
    pub fn new(settings: Settings) -> Result<Self, OidcError> {
        Ok(Self { settings: Arc::new(settings), http: Http::new()?, learned: Arc::default() })
    }

    pub fn return_url(&self) -> &str {
        &self.settings.return_url
    }

    /// Where the browser is sent.
    pub async fn begin(&self, challenge: &Challenge, now: DateTime<Utc>) -> Result<String, OidcError> {
        let mut url = self.endpoints(now).await?.authorization;
        let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(&challenge.verifier));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.return_url)
            .append_pair("scope", &self.settings.scopes.join(" "))
            .append_pair("state", &challenge.state)
            .append_pair("nonce", &challenge.nonce)
            .append_pair("code_challenge", &proof)
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Who came back with this code. `says` is whom the answer names as its issuer (RFC 9207), where it does.
    pub async fn finish(
        &self,
        code: &str,
        says: Option<&str>,
        challenge: &Challenge,
        now: DateTime<Utc>,
    ) -> Result<Identity, OidcError> {
        let endpoints = self.endpoints(now).await?;
        let is_other = says.map_or(endpoints.names_itself, |issuer| issuer != self.settings.issuer);
        if is_other {
            return Err(OidcError::Token(TokenFault::Issuer));
        }
        let token = self.fetch(&endpoints, code, &challenge.verifier).await?;
        let token = Token::read(&token).map_err(OidcError::Token)?;
        match self.signed(&endpoints, &token, now).await? {
            Signed::Yes => {}
            Signed::No => return Err(OidcError::Token(TokenFault::Signature)),
            Signed::UnknownKey => return Err(OidcError::Token(TokenFault::UnknownKey)),
        }
        check(&token.claims, &self.settings, &challenge.nonce, now).map_err(OidcError::Token)
    }

    async fn endpoints(&self, now: DateTime<Utc>) -> Result<Endpoints, OidcError> {
        if let Some((endpoints, at)) = &self.learned().endpoints
            && is_within(*at, now, FRESH)
        {
            return Ok(endpoints.clone());
        }
        let at = format!("{}{}", self.settings.issuer.trim_end_matches('/'), discovery::PATH);
        let url = address::url(&at).map_err(|_| OidcError::Discovery("the issuer is no https address"))?;
        let document: Document = self.http.get("configuration", url).await?;
        let endpoints = document.check(&self.settings.issuer)?;
        self.learned().endpoints = Some((endpoints.clone(), now));
        Ok(endpoints)
    }

    /// Trades the code for a token.
    async fn fetch(&self, endpoints: &Endpoints, code: &str, verifier: &str) -> Result<String, OidcError> {
        const WHAT: &str = "token endpoint";
        let Settings { client_id, client_secret, return_url, .. } = &*self.settings;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", return_url.as_str()),
            ("code_verifier", verifier),
        ];
        let authorization = match (client_secret, endpoints.secret) {
            (Some(ClientSecret(secret)), SecretIn::Header) => Some(basic(client_id, secret)),
            (Some(ClientSecret(secret)), SecretIn::Form) => {
                form.extend([("client_id", client_id.as_str()), ("client_secret", secret)]);
                None
            }
            (None, _) => {
                form.push(("client_id", client_id));
                None
            }
        };
        let response = self.http.post(WHAT, endpoints.token.clone(), &form, authorization.as_deref()).await?;
        match response.status().as_u16() {
            200 => Ok(http::json::<Answer>(WHAT, response).await?.id_token),
            // `invalid_grant`, and every fault of ours: the answer's text is for whoever operates the issuer.
            400 => Err(OidcError::Code),
            status => Err(OidcError::Status { what: WHAT, status }),
        }
    }

    /// By the keys that we have, or by those that there are now.
    async fn signed(
        &self,
        endpoints: &Endpoints,
        token: &Token<'_>,
        now: DateTime<Utc>,
    ) -> Result<Signed, OidcError> {
        if let Some(keys) = self.kept_keys(now) {
            let signed = keys.signed(token);
            if signed != Signed::UnknownKey {
                return Ok(signed);
            }
        }
        if !self.may_look(now) {
            return Ok(Signed::UnknownKey);
        }
        let set: KeySet = self.http.get("key set", Url::clone(&endpoints.keys)).await?;
        let keys = Keys::from(set);
        let signed = keys.signed(token);
        self.learned().keys = Some((keys, now));
        Ok(signed)
    }

    fn kept_keys(&self, now: DateTime<Utc>) -> Option<Keys> {
        let kept = self.learned().keys.clone();
        kept.filter(|(_, at)| is_within(*at, now, FRESH)).map(|(keys, _)| keys)
    }

    /// Counts this look. Without any keys, each sign-in may look.
    fn may_look(&self, now: DateTime<Utc>) -> bool {
        let mut learned = self.learned();
        let was_lately = learned.keys_asked_at.is_some_and(|at| is_within(at, now, BETWEEN_LOOKS));
        let may = learned.keys.is_none() || !was_lately;
        if may {
            learned.keys_asked_at = Some(now);
        }
        may
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A clock that was set back makes nothing last longer.
fn is_within(at: DateTime<Utc>, now: DateTime<Utc>, span: TimeDelta) -> bool {
    (TimeDelta::zero()..span).contains(&(now - at))
}

/// RFC 6749, section 2.3.1: both as in a form, then as for HTTP.
fn basic(client_id: &str, secret: &str) -> String {
    let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", escaped(client_id), escaped(secret))))
}
