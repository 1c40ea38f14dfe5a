//! Posted forms: what was typed, and what is wrong with it beside the field that it is about.

use tocsin_domain::rights::BuiltIn;
use tocsin_store::Tenant;

use super::page::Refused;
use crate::fields::Fault;
use crate::problem::Problem;

/// The fields of a posted form.
#[derive(Debug, Clone)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub fn of(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// What was typed there; nothing where the form has no such field.
    pub fn text(&self, name: &str) -> String {
        self.0.iter().find(|(is, _)| is == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// Of boxes with one name, those that are ticked.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(is, _)| is == name).map(|(_, value)| value.clone()).collect()
    }

    pub fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|(is, _)| is == name)
    }
}

/// What is wrong with a form. None of it: the form was not posted yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Complaints(Vec<Fault>);

impl Complaints {
    /// The faults of a request that the form made, by its members' names; every other problem is a page of its own.
    pub fn of(problem: Problem) -> Result<Self, Refused> {
        let faults = problem.errors();
        if faults.is_empty() { Err(problem.into()) } else { Ok(Self(faults.to_vec())) }
    }

    pub fn all(faults: Vec<Fault>) -> Self {
        Self(faults)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn one(field: &str, reason: &str) -> Self {
        Self(vec![Fault { field: field.to_owned(), reason: reason.to_owned() }])
    }

    /// About that field alone, and none of its entries.
    pub fn exactly(&self, field: &str, called: &str) -> Option<String> {
        self.0.iter().find(|fault| fault.field == field).map(|fault| format!("{called} {}.", fault.reason))
    }

    /// About that field, as sentences that begin with what it is called.
    pub fn about(&self, field: &str, called: &str) -> Option<String> {
        let is_of = |fault: &&Fault| {
            fault.field.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        };
        let sentences: Vec<_> =
            self.0.iter().filter(is_of).map(|fault| format!("{called} {}.", fault.reason)).collect();
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }
}

/// A box that may be ticked.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub value: String,
    pub name: String,
    pub hint: &'static str,
    pub ticked: bool,
}

/// The roles that there are in the district.
pub(crate) async fn role_choices(tenant: &Tenant, ticked: &[String]) -> Result<Vec<Choice>, Refused> {
    let choice = |value: String, hint| Choice {
        ticked: ticked.contains(&value),
        name: capitalised(&value),
        hint,
        value,
    };
    let built_in = BuiltIn::ALL.map(|role| choice(role.as_str().to_owned(), role.purpose()));
    let own = tenant.roles().await?.into_iter().map(|kept| choice(kept.role.name, ""));
    Ok(built_in.into_iter().chain(own).collect())
}

pub(crate) fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_stands_beside_its_own_field_only() {
        let fault = |field: &str| Fault { field: field.to_owned(), reason: "is odd".to_owned() };
        let complaints = Complaints(vec![fault("roles[1]"), fault("name")]);
        assert_eq!(complaints.about("roles", "A role").as_deref(), Some("A role is odd."));
        assert_eq!(complaints.about("name", "The name").as_deref(), Some("The name is odd."));
        assert_eq!(complaints.about("role", "A role"), None);
    }

    #[test]
    fn boxes_of_one_name_are_all_read() {
        let form = Form::of(b"role=a&role=b&name=x%20y");
        assert_eq!((form.all("role"), form.text("name")), (vec!["a".into(), "b".into()], "x y".into()));
        assert!(form.holds("role") && !form.holds("active") && form.text("active").is_empty());
    }
}
