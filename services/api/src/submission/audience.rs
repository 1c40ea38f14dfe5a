//! Whom a campaign is for: the domain's audience, member by member.

use tocsin_domain::CampaignId;
use tocsin_domain::audience::{Audience, AudienceError, Role};
use tocsin_domain::receipt::{Addressed, AddressedPart};

use crate::fields::{Faults, Field, Fields, all_of, below, quoted};

/// Long enough for any source id or grade of a roster.
const ENTRY_CHARS_MAX: usize = 255;

const RECEIPT: &str = "receipt";
const ANY_OF: &str = "any_of";

pub(crate) fn read(fields: &mut Fields, faults: &mut Faults) -> Option<Audience> {
    const REMEDY: &str =
        "say whom the campaign is for, by all, schools, grades, classes, school_years, people or any_of";
    let field = fields.required("audience", REMEDY, faults)?;
    let path = field.path.clone();
    let mut fields = field.object(faults)?;
    if fields.holds(RECEIPT) {
        return read_receipt(fields, faults).map(Audience::of_receipt);
    }
    let filters = read_filters(&mut fields, faults);
    fields.take(RECEIPT);
    let any_of = match fields.take(ANY_OF) {
        None => Some(Vec::new()),
        Some(field) => read_groups(field, faults),
    };
    fields.finish(faults);
    let audience = Audience { any_of: any_of?, ..filters? };
    if let Err(fault) = audience.validate() {
        let at = match fault.field().as_str() {
            "audience" => path,
            member => below(&path, member),
        };
        faults.add(at, fault.to_string());
    }
    Some(audience)
}

fn read_groups(field: Field, faults: &mut Faults) -> Option<Vec<Audience>> {
    let path = field.path.clone();
    let entries = field.list(faults)?;
    if entries.is_empty() {
        faults.add(path, "is empty: list the groups whose union is meant, or leave it out");
    }
    all_of(entries, |entry| {
        let mut fields = entry.object(faults)?;
        let group = read_filters(&mut fields, faults);
        for member in [RECEIPT, ANY_OF] {
            if let Some(within) = fields.take(member) {
                faults.add(within.path, AudienceError::WithinGroups(member).to_string());
            }
        }
        fields.finish(faults);
        group
    })
}

/// What one group is said by.
fn read_filters(fields: &mut Fields, faults: &mut Faults) -> Option<Audience> {
    let defaults = Audience::default();
    let all = read_flag(fields, "all", faults);
    let schools = read_entries(fields, "schools", faults);
    let grades = read_entries(fields, "grades", faults);
    let classes = read_entries(fields, "classes", faults);
    let school_years = match fields.take("school_years") {
        None => Some(Vec::new()),
        Some(field) => {
            field.list(faults).and_then(|entries| all_of(entries, |entry| read_year(entry, faults)))
        }
    };
    let people = read_entries(fields, "people", faults);
    let roles = match fields.take("roles") {
        None => Some(defaults.roles),
        Some(field) => read_roles(field, faults),
    };
    let language = fields.take("language").map(|field| field.string(faults));
    let include_inactive = read_flag(fields, "include_inactive", faults);
    Some(Audience {
        all: all?,
        schools: schools?,
        grades: grades?,
        classes: classes?,
        school_years: school_years?,
        roles: roles?,
        people: people?,
        language: match language {
            None => None,
            Some(read) => Some(read?),
        },
        include_inactive: include_inactive?,
        any_of: Vec::new(),
        receipt: None,
    })
}

fn read_year(field: Field, faults: &mut Faults) -> Option<i16> {
    field.integer(1990..=2200, faults).and_then(|year| i16::try_from(year).ok())
}

/// Those whom a canceled campaign contacted, or may have: nothing else narrows them.
fn read_receipt(mut fields: Fields, faults: &mut Faults) -> Option<Addressed> {
    let field = fields.take(RECEIPT)?;
    for filter in Audience::FILTERS {
        if let Some(beside) = fields.take(filter) {
            faults.add(beside.path, AudienceError::BesideReceipt(filter).to_string());
        }
    }
    if let Some(beside) = fields.take(ANY_OF) {
        faults.add(beside.path, AudienceError::BesideReceipt(ANY_OF).to_string());
    }
    fields.finish(faults);
    let mut fields = field.object(faults)?;
    let campaign = fields
        .required("campaign", "give the id of the canceled campaign", faults)
        .and_then(|field| field.parsed(faults, read_campaign));
    let part =
        fields.take("part").map(|field| field.one_of(&AddressedPart::ALL, AddressedPart::as_str, faults));
    fields.finish(faults);
    let part = match part {
        None => AddressedPart::default(),
        Some(read) => read?,
    };
    Some(Addressed { campaign: campaign?, part })
}

fn read_campaign(text: &str) -> Result<CampaignId, String> {
    text.parse().map_err(|_| format!("{} is no campaign's id", quoted(text)))
}

fn read_flag(fields: &mut Fields, name: &'static str, faults: &mut Faults) -> Option<bool> {
    fields.take(name).map_or(Some(false), |field| field.boolean(faults))
}

/// Blank entries are the domain's to refuse.
fn read_entries(fields: &mut Fields, name: &'static str, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(field) = fields.take(name) else { return Some(Vec::new()) };
    all_of(field.list(faults)?, |entry| {
        let path = entry.path.clone();
        let text = entry.string(faults)?;
        if text.chars().count() > ENTRY_CHARS_MAX {
            faults
                .add(path, format!("is longer than {ENTRY_CHARS_MAX} characters: give the roster's own id"));
        }
        Some(text)
    })
}

pub(crate) fn read_roles(field: Field, faults: &mut Faults) -> Option<Vec<Role>> {
    all_of(field.list(faults)?, |entry| entry.one_of(&Role::ALL, role_name, faults))
}

pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Guardian => "guardian",
        Role::Student => "student",
        Role::Staff => "staff",
    }
}
