//! `X-Twilio-Signature` (wire A.5): HMAC-SHA1 over the URL and the form's parameters.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::form::Form;
use crate::keys::hmac_sha1;
use crate::{RawRequest, Secret, VerifyError, VerifyFault};

pub const HEADER: &str = "X-Twilio-Signature";
const SHA1_BYTES: usize = 20;

/// The tokens a callback may be signed with: more than one while a token is rotated.
#[derive(Clone)]
pub struct SignatureKeys(Vec<Hmac<Sha1>>);

impl fmt::Debug for SignatureKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignatureKeys").field(&self.0.len()).finish()
    }
}

impl SignatureKeys {
    pub fn new(tokens: &[Secret]) -> Self {
        Self(tokens.iter().map(hmac_sha1).collect())
    }

    /// Signs as Twilio does, with the first token: for whoever plays the vendor.
    pub fn sign(&self, url: &str, form: &Form<'_>) -> Option<String> {
        Some(STANDARD.encode(tag(self.0.first()?, url, &sorted_parameters(form))))
    }

    pub fn verify(&self, raw: &RawRequest) -> Result<(), VerifyError> {
        let refused = |fault| VerifyError { fault, http_status: 403 };
        let header = raw.header(HEADER).ok_or_else(|| refused(VerifyFault::Missing))?;
        let given = STANDARD.decode(header).map_err(|_| refused(VerifyFault::Malformed))?;
        let signed = signed_parameters(raw).ok_or_else(|| refused(VerifyFault::Mismatch))?;
        let spellings = spellings(&raw.url);
        let matches = self
            .0
            .iter()
            .any(|key| spellings.iter().any(|url| tag(key, url, &signed).as_slice().ct_eq(&given).into()));
        if matches { Ok(()) } else { Err(refused(VerifyFault::Mismatch)) }
    }
}

/// What the signature covers beside the URL. None when the body is not covered by anything.
fn signed_parameters(raw: &RawRequest) -> Option<String> {
    if raw.method.eq_ignore_ascii_case("GET") || raw.body.is_empty() {
        return Some(String::new());
    }
    let is_form = raw
        .header("content-type")
        .is_some_and(|kind| kind.trim_start().starts_with("application/x-www-form-urlencoded"));
    if is_form {
        return Some(sorted_parameters(&Form::parse(&raw.body)));
    }
    let query = raw.url.split_once('?')?.1;
    let (_, expected) = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "bodySHA256")?;
    let expected = hex::decode(expected.as_bytes()).ok()?;
    bool::from(Sha256::digest(&raw.body).as_slice().ct_eq(&expected)).then(String::new)
}

/// Keys in byte order; of a repeated key the distinct values, sorted.
fn sorted_parameters(form: &Form<'_>) -> String {
    let mut pairs: Vec<(&str, &str)> = form.pairs().iter().map(|(key, value)| (&**key, &**value)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut text = String::with_capacity(pairs.iter().map(|(key, value)| key.len() + value.len()).sum());
    for (key, value) in pairs {
        text.push_str(key);
        text.push_str(value);
    }
    text
}

fn tag(key: &Hmac<Sha1>, url: &str, parameters: &str) -> [u8; SHA1_BYTES] {
    key.clone().chain_update(url).chain_update(parameters).finalize().into_bytes().into()
}

/// The URL as it is, without its port, and with its scheme's port: Twilio signs any of them.
fn spellings(url: &str) -> Vec<String> {
    let mut all = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else { return all };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host_start = authority.rfind('@').map_or(0, |at| at + 1);
    // The colons of a bracketed IPv6 address belong to no port.
    let bracket = authority[host_start..].rfind(']').map_or(host_start, |index| host_start + index);
    match authority[bracket..].find(':') {
        Some(colon) => all.push(format!("{scheme}://{}{path}", &authority[..bracket + colon])),
        None => {
            let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
            all.push(format!("{scheme}://{authority}:{port}{path}"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const P: &str =
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
    const JSON: &str = r#"{"property": "value", "boolean": true}"#;
    const JSON_URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";

    fn request(url: &str, kind: &str, body: &str, signature: Option<&str>) -> RawRequest {
        let mut headers = vec![("content-type".to_owned(), kind.to_owned())];
        headers.extend(signature.map(|text| ("x-twilio-signature".to_owned(), text.to_owned())));
        let body = Bytes::copy_from_slice(body.as_bytes());
        RawRequest { method: "POST".into(), url: url.into(), headers, body }
    }

    fn form(url: &str, body: &str, signature: &str) -> RawRequest {
        request(url, "application/x-www-form-urlencoded; charset=UTF-8", body, Some(signature))
    }

    fn verify(raw: &RawRequest) -> Result<(), VerifyFault> {
        SignatureKeys::new(&[Secret::new("12345")]).verify(raw).map_err(|error| error.fault)
    }

    #[test]
    fn the_published_vectors_are_accepted() {
        let more = format!("{P}&ReasonConferenceEnded=test&Reason=Participant");
        let vectors = [
            (URL, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (URL, P, "kvajT1Ptam85bY51eRf/AJRuM3w="),
            ("https://mycompany.com:443/myapp.php?foo=1&bar=2", P, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", P, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
            (
                URL,
                "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
                "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            ),
            (URL, more.as_str(), "vOEb5UThFn24KEfnOFLQY2AE5FY="),
        ];
        for (url, body, signature) in vectors {
            assert_eq!(verify(&form(url, body, signature)), Ok(()), "{signature}");
        }
        let json = request(JSON_URL, "application/json", JSON, Some("a9nBmqA0ju/hNViExpshrM61xv4="));
        assert_eq!(verify(&json), Ok(()));
    }

    #[test]
    fn a_change_of_url_parameter_or_key_is_a_mismatch() {
        let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        let changed_url = form("https://mycompany.com/myapp.php?foo=1&bar=3", P, signature);
        let changed_body = form(URL, &P.replace("1234&From", "1235&From"), signature);
        let more = form(URL, &format!("{P}&X="), signature);
        for raw in [changed_url, changed_body, more] {
            assert_eq!(verify(&raw), Err(VerifyFault::Mismatch));
        }
        let other_key = SignatureKeys::new(&[Secret::new("54321")]);
        let error = other_key.verify(&form(URL, P, signature)).unwrap_err();
        assert_eq!((error.fault, error.http_status), (VerifyFault::Mismatch, 403));
    }

    #[test]
    fn the_old_and_the_new_token_are_accepted_while_it_is_rotated() {
        let keys = SignatureKeys::new(&[Secret::new("new"), Secret::new("12345")]);
        assert!(keys.verify(&form(URL, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")).is_ok());
        let by_new = keys.sign(URL, &Form::parse(P.as_bytes())).unwrap();
        assert!(keys.verify(&form(URL, P, &by_new)).is_ok());
        assert_eq!(verify(&form(URL, P, &by_new)), Err(VerifyFault::Mismatch));
    }

    #[test]
    fn a_json_body_must_be_covered_by_its_hash() {
        let signature = "a9nBmqA0ju/hNViExpshrM61xv4=";
        let changed = request(JSON_URL, "application/json", "{}", Some(signature));
        assert_eq!(verify(&changed), Err(VerifyFault::Mismatch));
        let keys = SignatureKeys::new(&[Secret::new("12345")]);
        let of_url_alone = keys.sign(URL, &Form::default()).unwrap();
        let uncovered = request(URL, "application/json", JSON, Some(&of_url_alone));
        assert_eq!(verify(&uncovered), Err(VerifyFault::Mismatch));
    }

    #[test]
    fn nothing_is_appended_for_a_get() {
        let keys = SignatureKeys::new(&[Secret::new("12345")]);
        let signature = keys.sign(URL, &Form::default()).unwrap();
        let raw = RawRequest { method: "GET".into(), ..request(URL, "", "", Some(&signature)) };
        assert_eq!(verify(&raw), Ok(()));
    }

    #[test]
    fn a_missing_or_unreadable_signature_is_told_apart() {
        let kind = "application/x-www-form-urlencoded";
        assert_eq!(verify(&request(URL, kind, P, None)), Err(VerifyFault::Missing));
        assert_eq!(verify(&request(URL, kind, P, Some("?"))), Err(VerifyFault::Malformed));
        assert_eq!(verify(&request(URL, kind, P, Some(""))), Err(VerifyFault::Mismatch));
    }

    #[test]
    fn a_url_is_tried_with_and_without_its_port() {
        let table = [
            ("https://h/p", "https://h:443/p"),
            ("http://h?q=1", "http://h:80?q=1"),
            ("https://h:8443/p", "https://h/p"),
            ("https://u:p@h/p", "https://u:p@h:443/p"),
            ("https://u:p@h:1/p", "https://u:p@h/p"),
            ("https://[::1]/p", "https://[::1]:443/p"),
            ("https://[::1]:1/p", "https://[::1]/p"),
        ];
        for (url, other) in table {
            assert_eq!(spellings(url), [url, other]);
        }
    }
}
