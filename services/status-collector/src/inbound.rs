//! What a text to one of our numbers says: a keyword to apply, and an event to keep.

use tocsin_domain::consent::keyword::{Keyword, Reading};
use tocsin_providers::InboundText;
use tocsin_store::consents::{Heard, Said};
use tocsin_store::events::Event;

use crate::Counts;
use crate::callback::Callback;
use crate::reports::{Understood, bare_event, text, unread};

/// `said` is None for a request that its adapter could not understand. Whatever a text says, it is kept as it came.
pub fn overhear(callback: &Callback, said: Option<InboundText>, counts: &Counts) -> Understood {
    let Some(said) = said else { return unread(callback) };
    let event = bare_event(callback);
    let reading = said.taken_for.map_or_else(|| Reading::of(&said.body), Reading::Keyword);
    let (keyword, word) = match reading {
        Reading::Keyword(Keyword::Stop) => (Some(Said::Stop), "stop"),
        Reading::Keyword(Keyword::Start) => (Some(Said::Start), "start"),
        Reading::Keyword(Keyword::Help) => (None, "help"),
        Reading::Review => (None, "review"),
        Reading::Other => (None, "text"),
    };
    if reading == Reading::Review {
        tracing::warn!(account = callback.account, callback.id = %callback.id,
            "a text speaks of stopping without a keyword: its event is to be read by a person");
        counts.for_review.add(1);
    }
    let heard = keyword.map(|keyword| Heard {
        account: callback.account.clone(),
        phone: said.from,
        said: keyword,
        at: callback.received_at,
        event: callback.id,
    });
    let provider_id = Some(text(said.id));
    let events = vec![Event { provider_id, provider_code: Some(word.to_owned()), ..event }];
    Understood { events, heard: heard.into_iter().collect(), ..Understood::default() }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono::DateTime;
    use tocsin_domain::Lane;
    use tocsin_providers::RawRequest;
    use uuid::Uuid;

    use super::*;

    fn callback() -> Callback {
        Callback {
            id: Uuid::from_u128(2),
            received_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            account: "sms-1".into(),
            raw: RawRequest {
                method: "POST".into(),
                url: "https://x/inbound/sms-1".into(),
                headers: vec![],
                body: Bytes::from_static(b"body"),
            },
            attempt: None,
            lane: Lane::General,
        }
    }

    fn said(body: &str, taken_for: Option<Keyword>) -> InboundText {
        InboundText { id: "SM1".into(), from: "+13125550100".into(), body: body.into(), taken_for }
    }

    #[test]
    fn a_keyword_is_applied_and_every_text_is_kept() {
        let table = [
            ("Stop.", None, Some(Said::Stop), "stop"),
            ("yes", None, Some(Said::Start), "start"),
            ("help", None, None, "help"),
            ("please stop", None, None, "review"),
            ("Ana is ill", None, None, "text"),
            // The vendor's own reading outranks ours.
            ("Ana is ill", Some(Keyword::Stop), Some(Said::Stop), "stop"),
            ("stop", Some(Keyword::Help), None, "help"),
        ];
        let counts = Counts::default();
        for (body, taken_for, expected, word) in table {
            let understood = overhear(&callback(), Some(said(body, taken_for)), &counts);
            assert_eq!(understood.heard.first().map(|heard| heard.said), expected, "{body}");
            let event = &understood.events[0];
            assert_eq!(event.provider_code.as_deref(), Some(word), "{body}");
            assert_eq!(
                (event.provider_id.as_deref(), event.raw.as_deref()),
                (Some("SM1"), Some(&b"body"[..]))
            );
        }
        assert_eq!(counts.for_review.get(), 1);
    }

    #[test]
    fn what_is_not_understood_is_kept_and_says_nothing() {
        let understood = overhear(&callback(), None, &Counts::default());
        assert!(understood.heard.is_empty() && understood.reports.is_empty());
        assert_eq!(understood.events[0].raw.as_deref(), Some(&b"body"[..]));
        assert_eq!(understood.events[0].provider_code.as_deref(), Some(tocsin_store::kept::UNPARSED));
    }
}
