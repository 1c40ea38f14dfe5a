//! The batched statements by name, and the session they are planned in, for the test that explains them
//! (docs/adr/0004-plans.md).

use tocsin_domain::CampaignId;
use tocsin_domain::rights::Outlook;
use uuid::Uuid;

use crate::tenant::campaigns::lists::{Direction, ListQuery, Place, Sort, statement};
use crate::tenant::directory::people::{Breadth, PeopleQuery};
use crate::{
    budgets, campaigns, claim, consents, events, expand, expand_receipt, expire, inbox, kept, look_up,
    observe, others, recount, release, rematch, settle, suppressions, sweep, webhooks,
};

pub use crate::pool::{ENGINE_SESSION, TENANT_SESSION};

/// Pages of the api that walk a campaign by windows.
pub const WINDOWED: &[(&str, &str)] = &[
    ("receipt_part", crate::tenant::receipt::RECEIPT_PART),
    ("report_devices", crate::tenant::report::REPORT_DEVICES),
    ("without_device", crate::tenant::matching::WITHOUT_DEVICE),
];

/// Looks at one recipient of a campaign.
pub const OF_RECIPIENT: &[(&str, &str)] =
    &[("told_devices", crate::tenant::why::TOLD_DEVICES), ("recipient", crate::tenant::messages::RECIPIENT)];

/// What a person was sent, over campaigns.
pub const COMMUNICATIONS: &[(&str, &str)] = &[
    ("communications", crate::tenant::communications::ASCENDING),
    ("communications_descending", crate::tenant::communications::DESCENDING),
];

/// Lists of campaigns: a name, the index that a page is to be read along, and the statement, of first and of later pages.
pub fn lists() -> Vec<(String, &'static str, String)> {
    let indexes = [
        "campaigns_by_district",
        "campaigns_by_time",
        "campaigns_by_number",
        "campaigns_by_subject",
        "campaigns_by_author",
        "campaigns_by_type",
        "campaigns_by_state",
    ];
    let mut all = Vec::new();
    for (sort, index) in Sort::ALL.into_iter().zip(indexes) {
        for direction in [Direction::Descending, Direction::Ascending] {
            let place = Place { key: String::new(), id: CampaignId(Uuid::nil()) };
            for after in [None, Some(place)] {
                let name =
                    format!("campaigns_{}_{}_{}", sort.as_str(), direction as u8, u8::from(after.is_some()));
                let query = ListQuery { sort, direction, after, ..ListQuery::default() };
                all.push((name, index, statement(&query, Outlook::All)));
            }
        }
    }
    all
}

/// The list of those who see their own alone.
pub fn own_campaigns() -> String {
    statement(&ListQuery::default(), Outlook::Own(Uuid::nil()))
}

/// Pages of the api's lists that grow with a district, each in the order of an index.
pub const LISTED: &[(&str, &str)] = &[
    ("users", crate::tenant::users::USERS),
    ("own_keys", crate::tenant::keys::OWN_KEYS),
    ("audit_log", crate::tenant::audit::AUDIT_LOG),
    ("audit_of_action", crate::tenant::audit::AUDIT_OF_ACTION),
    ("audit_of_actor", crate::tenant::audit::AUDIT_OF_ACTOR),
    ("webhook_deliveries", crate::tenant::webhooks::DELIVERIES),
];

/// What is to come, over all of it.
pub const UPCOMING: &str = crate::tenant::upcoming::UPCOMING;

/// Pages of lists that are read in the order of one index, and no further than the page goes.
pub const PAGED: &[(&str, &str)] = &[
    ("list_series", crate::tenant::series::LIST_SERIES),
    ("past_occurrences", crate::tenant::series::PAST_OCCURRENCES),
    ("templates", crate::tenant::templates::TEMPLATES),
    ("approvals", crate::tenant::approvals::APPROVALS),
    ("consents", crate::tenant::consents::CONSENTS),
    ("consents_in_state", crate::tenant::consents::CONSENTS_IN_STATE),
    ("consent_history", crate::tenant::consents::CONSENT_HISTORY),
    ("suppressions", crate::tenant::suppressions::SUPPRESSIONS),
    ("unsubscribes", crate::tenant::unsubscribes::UNSUBSCRIBES),
];

/// What was done about a person.
pub const ACTIVITIES: &str = crate::tenant::directory::activities::ACTIVITIES;

/// Mails that tell of approvals, as a worker takes them.
pub const APPROVAL_MAILS: &str = crate::approval_mails::TAKE;

/// Lists of the directory and of what was delivered to it, and an estimate of an audience.
pub const DIRECTORY: &[(&str, &str)] = &[
    ("schools", crate::tenant::directory::SCHOOLS),
    ("classes", crate::tenant::directory::CLASSES),
    ("classes_of_school", crate::tenant::directory::CLASSES_OF_SCHOOL),
    ("imports", crate::tenant::imports::IMPORTS),
    ("kept_audience_size", crate::tenant::audience::KEPT_AUDIENCE_SIZE),
    ("audience_estimate", crate::tenant::audience::ESTIMATE),
];

/// What the jobs of a campaign wait for.
pub const WAITING: &str = crate::tenant::plot::WAITING;

/// A page of people, as it is asked for.
pub fn people(query: &PeopleQuery, breadth: Breadth) -> String {
    crate::tenant::directory::people::statement(query, breadth)
}

pub const BATCHED: &[(&str, &str)] = &[
    ("expand", expand::EXPAND),
    ("expand_lists", expand::EXPAND_LISTS),
    ("expand_attendance", expand::EXPAND_ATTENDANCE),
    ("expand_attendance_lists", expand::EXPAND_ATTENDANCE_LISTS),
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
    ("take", settle::TAKE),
    ("sweep", sweep::SWEEP),
    ("order_recalls", sweep::ORDER_RECALLS),
    ("recall_failed", sweep::RECALL_FAILED),
    ("requeue_overdue", expire::OVERDUE_RELEASES),
    ("due_claim_batches", expire::DUE_CLAIM_BATCHES),
    ("open_attempts", expire::OPEN_ATTEMPTS),
    ("finish_claim_batches", expire::FINISH_CLAIM_BATCHES),
    ("order_look_ups", look_up::ORDER_LOOK_UPS),
    ("sought", look_up::SOUGHT),
    ("open_since", look_up::OPEN_SINCE),
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
    ("ended_devices", webhooks::ENDED_DEVICES),
    ("observe_work", observe::OBSERVE_WORK),
];
