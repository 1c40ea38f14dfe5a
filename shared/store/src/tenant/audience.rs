//! How many an audience is, while its author still changes the filters. What expansion would make in rows is counted
//! from the other end here: from schools, classes and lists to people, by whole tables where that is quicker.

mod estimate;
mod kept;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::{Channel, DistrictId};
use tokio_postgres::types::ToSql;

pub(crate) use self::estimate::ESTIMATE;
pub use self::estimate::Estimate;
pub(crate) use self::kept::KEPT_AUDIENCE_SIZE;
use super::Tenant;
use crate::{StoreError, row};

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub struct SizeQuery<'a> {
    /// Not a receipt's.
    pub audience: &'a Audience,
    pub channels: &'a [Channel],
    pub mode: DedupeMode,
    /// Its devices are those that are not declined for it.
    pub message_type: &'a str,
}

/// How many there are, before duplicates and whoever may not be contacted are taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Size {
    /// Unique people (requirement 49).
    pub recipients: u64,
    /// Of these, those without an available and selected device (requirement 50).
    pub no_device: u64,
    pub devices: BTreeMap<Channel, u64>,
}

impl Tenant {
    /// The exact count. Of a large district it takes seconds: see [`Tenant::audience_estimate`].
    pub async fn audience_size(&self, query: &SizeQuery<'_>) -> Result<Size, StoreError> {
        self.sized(query).await.map(|(size, _)| size)
    }

    /// With the version of the directory that was counted.
    async fn sized(&self, query: &SizeQuery<'_>) -> Result<(Size, i64), StoreError> {
        const NAME: &str = "audience_size";
        let channels: Vec<i16> = query.channels.iter().map(|channel| channel.number()).collect();
        let per_student = query.mode == DedupeMode::PerDeviceAndStudent;
        let (sql, mut parameters) = size_statement(&self.district, query.audience);
        parameters[1] = &channels;
        parameters[2] = &query.message_type;
        parameters[3] = &per_student;
        let rows = self.rows(NAME, &sql, &parameters).await?;
        let mut size = Size::default();
        for found in &rows {
            let count = found.get::<_, i64>("count").unsigned_abs();
            match found.get::<_, i16>("channel") {
                0 => size.recipients = count,
                -1 => size.no_device = count,
                number => {
                    size.devices.insert(row::channel(NAME, number)?, count);
                }
            }
        }
        for channel in query.channels {
            size.devices.entry(*channel).or_default();
        }
        let version = rows.first().map_or(0, |found| found.get("directory_version"));
        Ok((size, version))
    }

    /// Which of these source ids the district has, in no order.
    pub async fn known_people(&self, source_ids: &[String]) -> Result<Vec<String>, StoreError> {
        let rows = self.rows("known_people", KNOWN_PEOPLE, &[&self.district.0, &source_ids]).await?;
        Ok(rows.iter().map(|found| found.get(0)).collect())
    }
}

type Parameters<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// The statement for this audience, of its groups' own conditions and no others, so that each is planned for what it
/// is. Parameters 2 to 4 are left for the caller.
fn size_statement<'a>(district: &'a DistrictId, audience: &'a Audience) -> (String, Parameters<'a>) {
    let mut parameters: Parameters<'a> = vec![&district.0, &0_i16, &0_i16, &0_i16];
    let groups: Vec<String> =
        audience.groups().iter().map(|group| group_statement(group, &mut parameters)).collect();
    (format!("{HEAD}{}{TAIL}", groups.join("\n  union all\n")), parameters)
}

/// The people of one group, each with the student that they are addressed for, if any.
fn group_statement<'a>(group: &'a Audience, parameters: &mut Parameters<'a>) -> String {
    let mut place = |parameter: &'a (dyn ToSql + Sync)| {
        parameters.push(parameter);
        format!("${}", parameters.len())
    };
    let schools = (!group.schools.is_empty()).then(|| place(&group.schools));
    let grades = (!group.grades.is_empty()).then(|| place(&group.grades));
    let classes = (!group.classes.is_empty()).then(|| place(&group.classes));
    let years = (!group.school_years.is_empty()).then(|| place(&group.school_years));
    let about = (!group.students.is_empty()).then(|| place(&group.students));
    let people = (!group.people.is_empty()).then(|| place(&group.people));
    let language = group.language.as_ref().map(|language| place(language));
    let by_class = classes.is_some() || years.is_some();

    let members = |role: i16| {
        let mut members = format!(
            "select m.person_id from class_members m
      join classes k on k.district_id = $1 and k.source_id = m.class_source_id
      where m.district_id = $1 and m.role = {role}"
        );
        if !group.include_inactive {
            members.push_str(" and m.active and k.active");
        }
        narrow(&mut members, "m.class_source_id", classes.as_deref());
        narrow(&mut members, "k.school_year", years.as_deref());
        narrow(&mut members, "k.school_source_id", schools.as_deref());
        members
    };
    let mut students = "select s.person_id from students s where s.district_id = $1".to_owned();
    if !group.include_inactive {
        students.push_str(" and s.active");
    }
    narrow(&mut students, "s.school_source_id", schools.as_deref());
    narrow(&mut students, "s.grade", grades.as_deref());
    if by_class {
        let _ = write!(students, " and s.person_id in ({})", members(Role::Student.number()));
    }
    if let Some(about) = &about {
        let named = "select q.id from people q where q.district_id = $1 and q.source_id";
        let _ = write!(students, " and s.person_id in ({named} = any({about}))");
    }

    let wants = |role| group.roles.contains(&role);
    let mut ways = Vec::new();
    if wants(Role::Guardian) {
        ways.push(format!(
            "select c.person_id as id, c.student_id as about from contacts c
      where c.district_id = $1 and c.student_id in ({students})"
        ));
    }
    if wants(Role::Student) {
        // A student of whatever role is addressed, and on their own behalf only as a student.
        ways.push(format!(
            "select e.person_id, case when e.role = 2 then e.person_id end from (
        select s.person_id, q.role from ({students}) s join people q on q.district_id = $1 and q.id = s.person_id) e"
        ));
    }
    if wants(Role::Staff) && grades.is_none() && about.is_none() {
        let mut staff =
            "select q.id, null::bigint from people q where q.district_id = $1 and q.role = 3".to_owned();
        if schools.is_some() || by_class {
            let _ = write!(staff, " and q.id in ({})", members(Role::Staff.number()));
        }
        ways.push(staff);
    }
    if let Some(people) = &people
        && schools.is_none()
        && grades.is_none()
        && about.is_none()
        && !by_class
    {
        ways.push(format!(
            "select q.id, null::bigint from people q where q.district_id = $1 and q.source_id = any({people})"
        ));
    }
    if ways.is_empty() {
        ways.push("select null::bigint, null::bigint where false".to_owned());
    }
    let mut statement = format!(
        "  select p.id, w.about from (
    {}) w(id, about)
  join people p on p.district_id = $1 and p.id = w.id where true",
        ways.join("\n    union all\n    ")
    );
    if !group.include_inactive {
        statement.push_str(" and p.active");
    }
    if let Some(language) = language {
        let _ = write!(statement, " and p.language = {language}");
    }
    narrow(&mut statement, "p.source_id", people.as_deref());
    // What no way to be addressed has asked about is a parameter all the same, and PostgreSQL wants its type.
    let lists = [&schools, &grades, &classes, &about].map(|place| (place, "text[]"));
    let given = lists.into_iter().chain([(&years, "smallint[]")]);
    for (place, kind) in given.filter_map(|(place, kind)| Some((place.as_ref()?, kind))) {
        let _ = write!(statement, " and {place}::{kind} is not null");
    }
    statement
}

fn narrow(statement: &mut String, column: &str, list: Option<&str>) {
    if let Some(list) = list {
        let _ = write!(statement, " and {column} = any({list})");
    }
}

const HEAD: &str = "-- store.audience_size
with addressed as (
";

/// In mode 2, `$4`, a person is addressed once for each student. A row of channel 0 counts people, one of -1 those
/// without a device.
const TAIL: &str = "
), people_of as (
  select id, case when $4::boolean then greatest(count(distinct about), 1) else 1 end as messages
  from addressed group by id
), owned as (
  select p.id, p.messages,
    count(*) filter (where d.channel = 1) as voice, count(*) filter (where d.channel = 2) as sms,
    count(*) filter (where d.channel = 3) as email, count(*) filter (where d.channel = 4) as inbox
  from people_of p
  left join devices d on d.district_id = $1 and d.person_id = p.id and d.channel = any($2::smallint[])
    and not $3::text = any(d.declined)
  group by p.id, p.messages
), summed as (
  select count(*) as people, count(*) filter (where voice + sms + email + inbox = 0) as without,
    coalesce(sum(messages * voice), 0)::bigint as voice, coalesce(sum(messages * sms), 0)::bigint as sms,
    coalesce(sum(messages * email), 0)::bigint as email, coalesce(sum(messages * inbox), 0)::bigint as inbox
  from owned
)
select channel, count, (select directory_version from districts where id = $1) as directory_version
from summed cross join lateral (values
  (0::smallint, people), (-1::smallint, without), (1::smallint, voice), (2::smallint, sms), (3::smallint, email),
  (4::smallint, inbox)) v(channel, count)
where channel <= 0 or channel = any($2)";

pub(crate) const KNOWN_PEOPLE: &str = "-- store.known_people
select source_id from people where district_id = $1 and source_id = any($2::text[])";
