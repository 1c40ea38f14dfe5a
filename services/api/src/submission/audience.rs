//! Whom a campaign is for: the domain's audience, member by member.

use tocsin_domain::audience::{Audience, Role};

use crate::fields::{Faults, Field, Fields, all_of, below};

/// Long enough for any source id or grade of a roster.
const ENTRY_CHARS_MAX: usize = 255;

pub(super) fn read(fields: &mut Fields, faults: &mut Faults) -> Option<Audience> {
    const REMEDY: &str = "say whom the campaign is for, by all, schools, grades or people";
    let field = fields.required("audience", REMEDY, faults)?;
    let path = field.path.clone();
    let mut fields = field.object(faults)?;
    let defaults = Audience::default();
    let all = read_flag(&mut fields, "all", faults);
    let schools = read_entries(&mut fields, "schools", faults);
    let grades = read_entries(&mut fields, "grades", faults);
    let people = read_entries(&mut fields, "people", faults);
    let roles = match fields.take("roles") {
        None => Some(defaults.roles),
        Some(field) => read_roles(field, faults),
    };
    let language = fields.take("language").map(|field| field.string(faults));
    let include_inactive = read_flag(&mut fields, "include_inactive", faults);
    fields.finish(faults);
    let audience = Audience {
        all: all?,
        schools: schools?,
        grades: grades?,
        roles: roles?,
        people: people?,
        language: match language {
            None => None,
            Some(read) => Some(read?),
        },
        include_inactive: include_inactive?,
    };
    if let Err(fault) = audience.validate() {
        let at = match fault.field() {
            "audience" => path,
            member => below(&path, member),
        };
        faults.add(at, fault.to_string());
    }
    Some(audience)
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

fn read_roles(field: Field, faults: &mut Faults) -> Option<Vec<Role>> {
    all_of(field.list(faults)?, |entry| entry.one_of(&Role::ALL, role_name, faults))
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Guardian => "guardian",
        Role::Student => "student",
        Role::Staff => "staff",
    }
}
