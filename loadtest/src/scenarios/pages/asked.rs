//! What is asked for: every list, with the filters that it has.

use serde_json::{Value, json};

/// Names and paths. `campaign` is the one that has recipients.
pub fn pages(campaign: &str) -> Vec<(&'static str, String)> {
    let lists = [
        ("api campaigns", "/v1/campaigns?limit=50"),
        ("api campaigns by subject", "/v1/campaigns?limit=50&sort=subject&order=asc"),
        ("api campaigns of a school", "/v1/campaigns?limit=50&school=s0007"),
        ("api campaigns by words", "/v1/campaigns?limit=50&subject=ab&created_by=author%207"),
        ("api campaigns nobody has", "/v1/campaigns?limit=50&subject=nothing%20has%20this"),
        ("api series", "/v1/series"),
        ("api templates", "/v1/templates"),
        ("api people", "/v1/people?limit=50"),
        ("api people of a school", "/v1/people?limit=50&school=s0007&grade=05"),
        ("api people of a grade", "/v1/people?limit=50&grade=05"),
        ("api people by what all have", "/v1/people?limit=50&q=reader"),
        ("api people by a name", "/v1/people?limit=50&q=abc"),
        ("api people by a phone", "/v1/people?limit=50&q=%2B120"),
        ("api people that are staff", "/v1/people?limit=50&role=staff&active=false"),
        ("api schools", "/v1/schools"),
        ("api classes", "/v1/classes?limit=50"),
        ("api classes of a school", "/v1/classes?limit=50&school=s0007"),
        ("api consents", "/v1/consents?limit=50"),
        ("api suppressions", "/v1/suppressions"),
        ("api unsubscribes", "/v1/unsubscribes"),
        ("api audit", "/v1/audit?limit=50"),
        ("api audit of an author", "/v1/audit?limit=50&actor=author%207"),
        ("api users", "/v1/users"),
        ("api keys", "/v1/api-keys"),
        ("api imports", "/v1/imports"),
        ("api approvals", "/v1/approvals"),
        ("api webhooks", "/v1/webhooks"),
        ("api a person's messages", "/v1/people/p1/communications"),
        ("page campaigns", "/campaigns"),
        ("page campaigns in progress", "/campaigns?view=in-progress"),
        ("page campaigns that ended", "/campaigns?view=ended"),
        ("page upcoming", "/upcoming"),
        ("page upcoming of all", "/upcoming?show=all"),
        ("page in progress of all", "/upcoming?tab=in-progress&show=all"),
        ("page log", "/log"),
        ("page log of all", "/log?show=all"),
        ("page log by author", "/log?show=all&sort=created_by&order=asc"),
        ("page people", "/people"),
        ("page people by what all have", "/people?q=reader"),
        ("page a person", "/people/p1"),
        ("page a person's messages", "/people/p1/communications"),
        ("page consents", "/consents"),
        ("page templates", "/templates"),
        ("page compose", "/compose"),
        ("page imports", "/imports"),
        ("page users", "/users"),
        ("page roles", "/roles"),
        ("page keys", "/keys"),
        ("page webhooks", "/webhooks"),
        ("page approvals", "/approvals"),
        ("page audit", "/audit"),
        ("page audit of an author", "/audit?actor=author%207"),
        ("page settings", "/settings"),
    ];
    let of_campaign = [
        ("api a campaign", format!("/v1/campaigns/{campaign}")),
        ("api recipients", format!("/v1/campaigns/{campaign}/recipients?limit=50")),
        ("page a campaign", format!("/campaigns/{campaign}")),
        ("api why of a recipient", format!("/v1/campaigns/{campaign}/why?recipient=1")),
        ("page recipients", format!("/campaigns/{campaign}/recipients")),
        // Nobody is called by it: all that one answer looks at is looked at.
        ("page recipients nobody is", format!("/campaigns/{campaign}/recipients?channel=voice")),
        ("page why of a recipient", format!("/campaigns/{campaign}/recipients/1")),
        ("page report", format!("/campaigns/{campaign}/report")),
    ];
    lists.into_iter().map(|(name, path)| (name, path.to_owned())).chain(of_campaign).collect()
}

/// Narrow ones and wide ones.
pub fn audiences() -> Vec<(&'static str, Value)> {
    let schools: Vec<String> = (1..=80).map(|school| format!("s{school:04}")).collect();
    vec![
        ("everybody", json!({ "all": true, "roles": ["guardian", "student", "staff"] })),
        ("all guardians", json!({ "all": true })),
        ("those who prefer Spanish", json!({ "all": true, "language": "es" })),
        ("many schools", json!({ "schools": schools })),
        ("a school", json!({ "schools": ["s0007"] })),
        ("a grade of a school", json!({ "schools": ["s0007"], "grades": ["05"] })),
        ("a grade", json!({ "grades": ["05"] })),
        ("some people", json!({ "people": ["p1", "p2", "p3"] })),
        ("a union", json!({ "any_of": [{ "schools": ["s0001"] }, { "all": true, "roles": ["staff"] }] })),
    ]
}
