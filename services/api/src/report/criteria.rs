//! Whom a campaign was for, in the words of a report (requirements 48 and 185).

use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_store::tenant::campaigns::NewCampaign;
use tocsin_store::{StoreError, Tenant};

use crate::console::words;

/// Of longer lists the rest is counted.
const NAMES_MAX: usize = 40;

pub(super) async fn criteria(
    tenant: &Tenant,
    made: &NewCampaign,
) -> Result<Vec<(String, String)>, StoreError> {
    let audience = &made.audience;
    let mut facts = vec![("Deliver To", deliver_to(audience)), ("Messages", messages(made.mode).to_owned())];
    if let Some(addressed) = &audience.receipt {
        let corrected = tenant.campaign(addressed.campaign).await?;
        let number =
            corrected.map_or_else(|| "a canceled message".to_owned(), |it| format!("message {}", it.number));
        facts.push(("Correction Of", format!("those whom {number} reached or may have reached")));
    } else {
        if let Some(schools) = audience.by_schools() {
            let known = tenant.school_names(schools).await?;
            let schools = schools.iter().map(|id| {
                let name = known.iter().find(|(known, _)| known == id).map(|(_, name)| name.as_str());
                name.unwrap_or(id)
            });
            facts.push(("Schools", listed(schools, "All")));
        }
        facts.push(("Grades", listed(audience.grades.iter().map(String::as_str), "All")));
        let lists =
            [("Classes", &audience.classes), ("Students", &audience.students), ("People", &audience.people)];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            facts.push((name, listed(list.iter().map(String::as_str), "All")));
        }
        let enrollment = match audience.include_inactive {
            true => "Active or not",
            false => "Message Only Active Students",
        };
        facts.push(("Enrollment Filter", enrollment.to_owned()));
        let language = audience.language.as_deref().map_or("No Language Preference", words::language);
        facts.push(("Limit delivery to contacts that speak", language.to_owned()));
    }
    Ok(facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn deliver_to(audience: &Audience) -> String {
    let roles: Vec<&str> = audience
        .roles
        .iter()
        .map(|role| match role {
            Role::Guardian => "Contacts of students",
            Role::Student => "Students",
            Role::Staff => "Staff",
        })
        .collect();
    roles.join(", ")
}

fn messages(mode: DedupeMode) -> &'static str {
    match mode {
        DedupeMode::PerDevice => "One Message For Each Device",
        DedupeMode::PerDeviceAndStudent => "Message For Each Student",
    }
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>, none: &str) -> String {
    let count = names.len();
    if count == 0 {
        return none.to_owned();
    }
    let mut text = names.take(NAMES_MAX).collect::<Vec<_>>().join(", ");
    if count > NAMES_MAX {
        text.push_str(&format!(" and {} more", count - NAMES_MAX));
    }
    text
}
