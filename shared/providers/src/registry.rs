//! The configured accounts by name, each behind its adapter.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tocsin_domain::Channel;

use crate::account::{AccountSettings, ProviderKind};
use crate::gateway::{self, Gateway};
use crate::mailgun::MailgunEmail;
use crate::smtp::SmtpEmail;
use crate::twilio::{TwilioSms, TwilioVoice};
use crate::{AccountClient, CONNECTIONS_MAX, Provider, ProvidersError};

/// Built at start. Each account over HTTP has a client of its own, and so its own connections, so many at most: one that
/// hangs takes none of another's.
#[derive(Debug, Default)]
pub struct Registry {
    /// Replaced one by one when secrets change. What was taken before goes on with the old.
    providers: RwLock<HashMap<String, Registered>>,
}

#[derive(Debug)]
struct Registered {
    provider: Arc<dyn Provider>,
    /// Its adapter's, and the next one's: what both have open is within the account's bound. None: it came from elsewhere.
    client: Option<AccountClient>,
}

impl Registry {
    /// Fails on the first account with a fault, naming account and key.
    pub fn build(accounts: Vec<AccountSettings>) -> Result<Self, ProvidersError> {
        let mut providers: HashMap<String, Registered> = HashMap::with_capacity(accounts.len());
        for account in accounts {
            let client = client_of(&account)?;
            let provider = adapter(&account, client.clone())?;
            let registered = Registered { provider, client: Some(client) };
            if providers.insert(account.name.clone(), registered).is_some() {
                return Err(ProvidersError::DuplicateAccount(account.name));
            }
        }
        Ok(Self { providers: RwLock::new(providers) })
    }

    /// Of every account, in no order.
    pub fn names(&self) -> Vec<String> {
        self.providers.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    pub fn get(&self, name: &str) -> Option<Arc<dyn Provider>> {
        let providers = self.providers.read().unwrap_or_else(PoisonError::into_inner);
        providers.get(name).map(|registered| Arc::clone(&registered.provider))
    }

    /// Puts another adapter in the place of the account's: its secrets have changed.
    pub fn replace(&self, account: &AccountSettings) -> Result<(), ProvidersError> {
        let mut providers = self.providers.write().unwrap_or_else(PoisonError::into_inner);
        let known = providers.get(&account.name).and_then(|registered| registered.client.clone());
        let client = known.map_or_else(|| client_of(account), Ok)?;
        let provider = adapter(account, client.clone())?;
        providers.insert(account.name.clone(), Registered { provider, client: Some(client) });
        Ok(())
    }

    /// Can messages over this account have files with them? They are the mails', and a gateway's if its profile says where.
    pub fn carries_files(account: &AccountSettings) -> bool {
        match account.kind {
            ProviderKind::Mailgun | ProviderKind::Smtp => true,
            ProviderKind::Twilio => false,
            ProviderKind::Gateway => {
                account.channel == Channel::Email
                    && gateway::carries_files(account.profile.as_deref().unwrap_or_default())
            }
        }
    }

    /// What is wrong with an account, if anything.
    pub fn check(account: &AccountSettings) -> Result<(), ProvidersError> {
        adapter(account, client_of(account)?).map(drop)
    }
}

/// Adapters that are there already, each under its account's name.
impl FromIterator<(String, Arc<dyn Provider>)> for Registry {
    fn from_iter<I: IntoIterator<Item = (String, Arc<dyn Provider>)>>(providers: I) -> Self {
        let registered = |(name, provider)| (name, Registered { provider, client: None });
        Self { providers: RwLock::new(providers.into_iter().map(registered).collect()) }
    }
}

fn client_of(account: &AccountSettings) -> Result<AccountClient, ProvidersError> {
    AccountClient::new(account.connections_max.unwrap_or(CONNECTIONS_MAX))
}

fn adapter(account: &AccountSettings, client: AccountClient) -> Result<Arc<dyn Provider>, ProvidersError> {
    match (account.kind, account.channel) {
        (ProviderKind::Twilio, Channel::Voice) => Ok(Arc::new(TwilioVoice::new(account, client)?)),
        (ProviderKind::Twilio, Channel::Sms) => Ok(Arc::new(TwilioSms::new(account, client)?)),
        (ProviderKind::Mailgun, Channel::Email) => Ok(Arc::new(MailgunEmail::new(account, client)?)),
        (ProviderKind::Smtp, Channel::Email) => Ok(Arc::new(SmtpEmail::new(account)?)),
        (ProviderKind::Gateway, Channel::Voice | Channel::Sms | Channel::Email) => {
            Ok(Arc::new(Gateway::new(account, client)?))
        }
        (ProviderKind::Gateway, Channel::Inbox) => {
            Err(account.fault("channel", "a gateway serves voice, sms and email"))
        }
        (ProviderKind::Twilio, Channel::Email | Channel::Inbox) => {
            Err(account.fault("channel", "twilio serves voice and sms"))
        }
        (ProviderKind::Mailgun, Channel::Voice | Channel::Sms | Channel::Inbox) => {
            Err(account.fault("channel", "mailgun serves email"))
        }
        (ProviderKind::Smtp, Channel::Voice | Channel::Sms | Channel::Inbox) => {
            Err(account.fault("channel", "smtp serves email"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn sms() -> AccountSettings {
        AccountSettings {
            name: "sms-1".into(),
            channel: Channel::Sms,
            kind: ProviderKind::Twilio,
            base_url: "https://api.twilio.com".into(),
            user: "AC00000000000000000000000000000001".into(),
            secret: Secret::new("hush"),
            signing_keys: vec![],
            sender: "+15005550006".into(),
            domain: None,
            ca_file: None,
            profile: None,
            connections_max: None,
        }
    }

    fn email() -> AccountSettings {
        AccountSettings {
            name: "mail-1".into(),
            channel: Channel::Email,
            kind: ProviderKind::Mailgun,
            base_url: "https://api.mailgun.net".into(),
            user: "api".into(),
            signing_keys: vec![Secret::new("signing")],
            sender: "School <office@mail.example.org>".into(),
            domain: Some("mail.example.org".into()),
            ..sms()
        }
    }

    #[test]
    fn accounts_are_found_by_name() {
        let registry = Registry::build(vec![sms(), email()]).unwrap();
        assert_eq!(registry.get("sms-1").unwrap().name(), "twilio-sms");
        assert_eq!(registry.get("mail-1").unwrap().name(), "mailgun");
        assert!(registry.get("other").is_none());
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for (base_url, allowed) in [
            ("http://127.0.0.1:9000", true),
            ("http://localhost:9000", true),
            ("http://[::1]:9000", true),
            ("http://10.0.0.7", false),
            ("http://localhost.example.org", false),
            ("ftp://127.0.0.1", false),
        ] {
            let account = AccountSettings { base_url: base_url.into(), ..sms() };
            assert_eq!(Registry::build(vec![account]).is_ok(), allowed, "{base_url}");
        }
    }

    #[test]
    fn a_text_account_sends_from_a_short_code_or_a_messaging_service_and_a_call_account_does_not() {
        for sender in ["88788", "MG0123456789abcdef0123456789abcdef"] {
            let text = AccountSettings { sender: sender.into(), ..sms() };
            let call = AccountSettings { channel: Channel::Voice, ..text.clone() };
            assert!(Registry::build(vec![text]).is_ok(), "{sender}");
            let fault = Registry::build(vec![call]).unwrap_err().to_string();
            assert!(fault.contains("sender: is no number in E.164"), "{fault}");
        }
    }

    #[test]
    fn a_fault_names_account_and_key_and_no_secret() {
        let table: Vec<(AccountSettings, &str)> = vec![
            (AccountSettings { name: "a/b".into(), ..sms() }, "name"),
            (AccountSettings { sender: " ".into(), ..sms() }, "sender"),
            (AccountSettings { sender: "5005550006".into(), ..sms() }, "sender"),
            (AccountSettings { user: "SK1".into(), ..sms() }, "user"),
            (AccountSettings { secret: Secret::new(""), ..sms() }, "secret"),
            (AccountSettings { base_url: "twilio".into(), ..sms() }, "base_url"),
            (AccountSettings { base_url: "https://u:hush@api.twilio.com".into(), ..sms() }, "base_url"),
            (AccountSettings { channel: Channel::Email, ..sms() }, "channel"),
            (AccountSettings { channel: Channel::Sms, ..email() }, "channel"),
            (AccountSettings { domain: None, ..email() }, "domain"),
            (AccountSettings { domain: Some("a/../b".into()), ..email() }, "domain"),
            (AccountSettings { sender: "office".into(), ..email() }, "sender"),
            (AccountSettings { signing_keys: vec![], ..email() }, "signing_keys"),
            (AccountSettings { signing_keys: vec![Secret::new("")], ..email() }, "signing_keys"),
        ];
        for (account, key) in table {
            let name = account.name.clone();
            let text = Registry::build(vec![account]).unwrap_err().to_string();
            assert!(text.contains(&format!("{name:?}: {key}: ")), "{text}");
            assert!(!text.contains("hush"), "{text}");
        }
    }

    #[test]
    fn two_accounts_of_one_name_are_refused() {
        assert!(matches!(
            Registry::build(vec![sms(), sms()]),
            Err(ProvidersError::DuplicateAccount(name)) if name == "sms-1"
        ));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?}", sms(), Registry::build(vec![sms(), email()]).unwrap());
        assert!(!shown.contains("hush") && !shown.contains("signing\""), "{shown}");
    }
}
