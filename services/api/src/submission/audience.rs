//! Whom a campaign is for: the domain's audience, member by member.

use tocsin_domain::CampaignId;
use tocsin_domain::audience::{Audience, AudienceError, GROUPS_MAX, Role};
use tocsin_domain::receipt::{Addressed, AddressedPart};

use crate::fields::{Faults, Field, Fields, all_of, below, quoted};
use crate::openapi::shapes::{Text, shape};

/// Long enough for any source id or grade of a roster.
const ENTRY_CHARS_MAX: usize = 255;

const RECEIPT: &str = "receipt";
const ANY_OF: &str = "any_of";

shape! {
    /// Who is meant. Every list that is given narrows; at least one of `all`, the lists, `any_of` and `receipt` is.
    pub(crate) struct AudienceRequest {
        #[schemars(flatten)]
        group: GroupRequest,
        /// In place of all others: whoever is in one of these groups, once.
        #[schemars(length(min = 1, max = GROUPS_MAX))]
        any_of: Option<Vec<GroupRequest>>,
        /// In place of all others: those whom a canceled campaign reached, or may have.
        receipt: Option<ReceiptRequest>,
    }
}

shape! {
    /// One group of people.
    pub(crate) struct GroupRequest {
        /// Everybody in the district who has one of the roles.
        all: Option<bool>,
        /// Source ids of schools.
        schools: Option<Vec<Text<ENTRY_CHARS_MAX>>>,
        grades: Option<Vec<Text<ENTRY_CHARS_MAX>>>,
        /// Source ids of classes.
        classes: Option<Vec<Text<ENTRY_CHARS_MAX>>>,
        /// Each by the year in which it ends.
        #[schemars(inner(range(min = 1990, max = 2200)))]
        school_years: Option<Vec<i16>>,
        /// Source ids of students: their guardians, or with the role `student` they themselves, on behalf of these alone; no
        /// staff.
        students: Option<Vec<Text<ENTRY_CHARS_MAX>>>,
        /// Guardians unless said.
        #[schemars(length(min = 1))]
        roles: Option<Vec<Role>>,
        /// Source ids of people.
        people: Option<Vec<Text<ENTRY_CHARS_MAX>>>,
        /// Only people who prefer it.
        language: Option<String>,
        /// Also people, students and classes that are not active any more.
        include_inactive: Option<bool>,
    }
}

shape! {
    /// A part of a canceled campaign's receipt.
    pub(crate) struct ReceiptRequest {
        /// The canceled campaign.
        campaign: CampaignId,
        part: Option<AddressedPart>,
    }
}

pub(crate) fn read(fields: &mut Fields, faults: &mut Faults) -> Option<Audience> {
    const REMEDY: &str = "say whom the campaign is for, by all, schools, grades, classes, school_years, students, people \
         or any_of";
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
            // Asked first: what is taken is told to whoever looks for what may stand here.
            if fields.holds(member)
                && let Some(within) = fields.take(member)
            {
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
    let students = read_entries(fields, "students", faults);
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
        students: students?,
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
