//! An OpenID Connect issuer over HTTP, which signs with real keys: discovery, keys, a page that asks who one is, tokens. It can
//! be told to lie.

mod keys;
mod pages;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tocsin_runtime::SharedClock;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use keys::Signing;

use keys::Keys;

pub const CLIENT_ID: &str = "tocsin";
/// With what a form would change.
pub const CLIENT_SECRET: &str = "a secret: 100% + more";
/// So long its tokens are valid.
const VALID_SECONDS: i64 = 300;

/// Stops when it is dropped.
#[derive(Debug)]
pub struct TestIssuer {
    /// `http://127.0.0.1:<port>`
    pub url: String,
    kept: Arc<Kept>,
    _stop: DropGuard,
}

/// What is wrong with the next tokens.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Forgery {
    #[default]
    None,
    /// The claim says this, and is signed.
    Claim(&'static str, Value),
    /// `alg` is `none`.
    Unsigned,
    /// HS256 with the public key as the secret.
    PublicAsSecret,
    /// Signed by a key that is not the issuer's, under the id of one that is.
    ForeignKey,
    /// The same, under an id that nobody knows.
    UnknownKey,
}

struct Kept {
    url: String,
    clock: SharedClock,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("url", &self.url).finish_non_exhaustive()
    }
}

struct Inner {
    /// Who comes next, as claims.
    person: Value,
    forgery: Forgery,
    signing: Signing,
    keys: Keys,
    generation: u32,
    codes: BTreeMap<String, Grant>,
    keys_asked: usize,
    /// A number is never drawn twice.
    drawn: u64,
}

/// What a code was given for.
#[derive(Debug, Clone)]
struct Grant {
    nonce: String,
    challenge: String,
    return_url: String,
}

impl TestIssuer {
    /// By the clock of those who come.
    pub async fn start(clock: SharedClock) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the issuer's port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let inner = Inner {
            person: json!({}),
            forgery: Forgery::None,
            signing: Signing::Es256,
            keys: Keys::of(1)?,
            generation: 1,
            codes: BTreeMap::new(),
            keys_asked: 0,
            drawn: 0,
        };
        let kept = Arc::new(Kept { url: url.clone(), clock, inner: Mutex::new(inner) });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(pages::configuration))
            .route("/keys", get(pages::keys))
            .route("/authorize", get(pages::ask).post(pages::answer))
            .route("/token", post(pages::token))
            .with_state(Arc::clone(&kept));
        let stop = CancellationToken::new();
        let ended = stop.clone();
        TaskTracker::new().spawn(async move {
            // An error would show as an issuer that does not answer.
            ended.run_until_cancelled(axum::serve(listener, router).into_future()).await
        });
        Ok(Self { url, kept, _stop: stop.drop_guard() })
    }

    /// Who comes next, whose email address is verified.
    pub fn welcome(&self, email: &str) {
        self.welcome_with(
            json!({ "sub": email, "email": email, "email_verified": true, "name": "Ana Ortiz" }),
        );
    }

    /// Who comes next, by these claims.
    pub fn welcome_with(&self, claims: Value) {
        self.kept.lock().person = claims;
    }

    pub fn forge(&self, forgery: Forgery) {
        self.kept.lock().forgery = forgery;
    }

    pub fn sign_by(&self, signing: Signing) {
        self.kept.lock().signing = signing;
    }

    /// From now on other keys are published and signed with.
    pub fn rotate(&self) -> Result<()> {
        let mut inner = self.kept.lock();
        inner.generation += 1;
        inner.keys = Keys::of(inner.generation)?;
        Ok(())
    }

    /// How often the keys were asked for.
    pub fn keys_asked(&self) -> usize {
        self.kept.lock().keys_asked
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token that the code is good for.
    fn token(&self, grant: &Grant) -> Result<String> {
        let now = self.clock.now().timestamp();
        let inner = self.lock();
        let mut claims = json!({
            "iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + VALID_SECONDS, "nonce": grant.nonce,
        });
        for (claim, value) in inner.person.as_object().into_iter().flatten() {
            claims[claim] = value.clone();
        }
        let (keys, signing) = (&inner.keys, inner.signing);
        match &inner.forgery {
            Forgery::None => keys.sign(signing, &keys.id(signing), &claims),
            Forgery::Claim(claim, value) => {
                claims[*claim] = value.clone();
                keys.sign(signing, &keys.id(signing), &claims)
            }
            Forgery::Unsigned => Ok(keys::without_signature(&claims)),
            Forgery::PublicAsSecret => keys.sign_with_what_is_public(&claims),
            Forgery::ForeignKey => Keys::of(0)?.sign(Signing::Es256, &keys.id(Signing::Es256), &claims),
            Forgery::UnknownKey => Keys::of(0)?.sign(Signing::Es256, "made-up", &claims),
        }
    }
}
