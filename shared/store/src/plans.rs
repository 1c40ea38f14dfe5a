//! The batched statements by name, and the session they are planned in, for the test that explains them
//! (docs/adr/0004-plans.md).

use crate::{
    budgets, campaigns, claim, consents, events, expand, expand_receipt, expire, inbox, kept, look_up,
    others, recount, release, rematch, settle, suppressions, sweep,
};

pub use crate::pool::{ENGINE_SESSION, TENANT_SESSION};

/// Pages of the api that walk a campaign by windows.
pub const WINDOWED: &[(&str, &str)] = &[
    ("receipt_part", crate::tenant::receipt::RECEIPT_PART),
    ("without_device", crate::tenant::matching::WITHOUT_DEVICE),
];

/// Pages of the api's lists that grow with a district, each in the order of an index.
pub const LISTED: &[(&str, &str)] = &[
    ("campaigns", crate::tenant::campaigns::CAMPAIGNS),
    ("own_campaigns", crate::tenant::campaigns::OWN_CAMPAIGNS),
    ("own_and_scheduled", crate::tenant::campaigns::OWN_AND_SCHEDULED),
    ("users", crate::tenant::users::USERS),
    ("own_keys", crate::tenant::keys::OWN_KEYS),
    ("audit_log", crate::tenant::audit::AUDIT_LOG),
    ("audit_of_action", crate::tenant::audit::AUDIT_OF_ACTION),
    ("audit_of_actor", crate::tenant::audit::AUDIT_OF_ACTOR),
];

/// The search by the summaries of block ranges, which no key leads to: how its session plans, and the statement.
pub fn by_summaries(parts: &[&str]) -> (&'static str, String) {
    (rematch::PLAN_BY_SUMMARIES, rematch::seek_by_summaries(parts))
}

pub const BATCHED: &[(&str, &str)] = &[
    ("expand", expand::EXPAND),
    ("expand_receipt", expand_receipt::EXPAND_RECEIPT),
    ("due_jobs", release::DUE_JOBS),
    ("hold", release::HOLD),
    ("release", release::RELEASE),
    ("give_back", release::GIVE_BACK),
    ("draw_budgets", budgets::DRAW_BUDGETS),
    ("free_places", budgets::FREE_PLACES),
    ("take_places", budgets::TAKE_PLACES),
    ("claim", claim::CLAIM),
    ("attempt_views", settle::ATTEMPT_VIEWS),
    ("apply", settle::APPLY),
    ("sweep", sweep::SWEEP),
    ("order_recalls", sweep::ORDER_RECALLS),
    ("recall_failed", sweep::RECALL_FAILED),
    ("requeue_overdue", expire::OVERDUE_RELEASES),
    ("due_claim_batches", expire::DUE_CLAIM_BATCHES),
    ("open_attempts", expire::OPEN_ATTEMPTS),
    ("finish_claim_batches", expire::FINISH_CLAIM_BATCHES),
    ("order_look_ups", look_up::ORDER_LOOK_UPS),
    ("sought", look_up::SOUGHT),
    ("others_left", others::OTHERS_LEFT),
    ("audit_campaign", recount::AUDIT_CAMPAIGN),
    ("unmatched_reports", rematch::UNMATCHED_REPORTS),
    ("match_events", rematch::MATCH_EVENTS),
    ("name_unmatched", rematch::NAME_UNMATCHED),
    ("unsought", rematch::UNSOUGHT),
    ("mark_sought", rematch::MARK_SOUGHT),
    ("kept_callbacks", kept::KEPT_CALLBACKS),
    ("record_events", events::RECORD_EVENTS),
    ("deliver_to_inbox", inbox::DELIVER_TO_INBOX),
    ("move_consents", consents::MOVE_CONSENTS),
    ("addresses", suppressions::ADDRESSES),
    ("suppress", suppressions::SUPPRESS),
    ("unsubscribe", suppressions::UNSUBSCRIBE),
    ("suppress_anywhere", suppressions::SUPPRESS_ANYWHERE),
    ("recipient_values", campaigns::RECIPIENT_VALUES),
];
