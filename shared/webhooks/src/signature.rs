//! Signatures of Standard Webhooks: HMAC-SHA256 over id, time and body, one for each secret that is in force.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac as _;
use uuid::Uuid;

use crate::secret::{EndpointSecret, keyed};

const ID_PREFIX: &str = "msg_";

/// The header `webhook-id` of a delivery: the same over all its attempts.
pub fn message_id(id: Uuid) -> String {
    format!("{ID_PREFIX}{}", id.simple())
}

/// None: it is not written so.
pub fn read_message_id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text.strip_prefix(ID_PREFIX)?).ok()?;
    (message_id(id) == text).then_some(id)
}

/// The header `webhook-signature`. `timestamp` is of this attempt, in seconds.
pub fn sign(secrets: &[EndpointSecret], id: &str, timestamp: i64, body: &str) -> String {
    let one = |secret: &EndpointSecret| {
        let signed = keyed(secret.bytes()).chain_update(format!("{id}.{timestamp}.")).chain_update(body);
        format!("v1,{}", STANDARD.encode(signed.finalize().into_bytes()))
    };
    secrets.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the standard's own libraries.
    #[test]
    fn a_signature_is_the_standards() {
        let secret = EndpointSecret::read("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let (id, body) =
            ("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", r#"{"email":"test@example.com","username":"test_user"}"#);
        let signature = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
        assert_eq!(sign(std::slice::from_ref(&secret), id, 1_649_367_553, body), signature);
        let other = EndpointSecret::read("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3").unwrap();
        let both = sign(&[other.clone(), secret], id, 1_649_367_553, body);
        assert_eq!(both, format!("{} {signature}", sign(&[other], id, 1_649_367_553, body)));
    }

    #[test]
    fn an_id_leads_back_and_has_no_dot() {
        let id = Uuid::from_u128(7);
        let text = message_id(id);
        assert!(read_message_id(&text) == Some(id) && !text.contains('.'), "{text}");
        for other in ["", "msg_", "msg_x", "00000000000000000000000000000007", &text.to_uppercase()] {
            assert_eq!(read_message_id(other), None, "{other}");
        }
    }
}
