//! The delivery as temporary tables, which the statements of `align` join with the directory.

use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;

use super::Directory;
use crate::StoreError;

/// Bounds what one statement's arrays hold in memory on both sides.
const ROWS_PER_STATEMENT: usize = 10_000;

const MAKE: &str = "-- store.import_directory: stage
create temporary table new_schools (source_id text primary key, name text, kind text, identifier text,
  parent_source_id text, deleted boolean) on commit drop;
create temporary table new_people (source_id text primary key, given_name text, family_name text, role smallint,
  language text, time_zone text, lists_contacts boolean, deleted boolean) on commit drop;
create temporary table new_students (person_source_id text, school_source_id text, grade text,
  active boolean, primary key (person_source_id, school_source_id)) on commit drop;
create temporary table new_contacts (student_source_id text, person_source_id text, relationship text,
  by_student boolean, by_person boolean, primary key (student_source_id, person_source_id)) on commit drop;
create temporary table new_mentions (owner_source_id text, named_source_id text,
  primary key (owner_source_id, named_source_id)) on commit drop;
create temporary table new_devices (person_source_id text, channel smallint, address text, extension text,
  position smallint) on commit drop;
create temporary table new_sessions (source_id text primary key, title text, kind text, starts_on date, ends_on date,
  school_year smallint, parent_source_id text, deleted boolean) on commit drop;
create temporary table new_classes (source_id text primary key, title text, code text, school_source_id text,
  session_source_ids text[], deleted boolean) on commit drop;
create temporary table new_class_members (source_id text primary key, class_source_id text, person_source_id text,
  role smallint, active boolean, deleted boolean) on commit drop";

/// The planner knows nothing of a new table, and what it guesses makes the joins of a large district slow.
const ANALYZE: &str = "-- store.import_directory: analyze
analyze new_schools; analyze new_people; analyze new_students; analyze new_contacts; analyze new_mentions;
analyze new_devices; analyze new_sessions; analyze new_classes; analyze new_class_members";

const SCHOOLS: &str = "-- store.import_directory: stage schools
insert into new_schools
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[])";

const PEOPLE: &str = "-- store.import_directory: stage people
insert into new_people
select * from unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::boolean[],
  $8::boolean[])";

const STUDENTS: &str = "-- store.import_directory: stage students
insert into new_students
select * from unnest($1::text[], $2::text[], $3::text[], $4::boolean[])";

const CONTACTS: &str = "-- store.import_directory: stage contacts
insert into new_contacts
select * from unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::boolean[])";

const MENTIONS: &str = "-- store.import_directory: stage mentions
insert into new_mentions
select * from unnest($1::text[], $2::text[])";

const DEVICES: &str = "-- store.import_directory: stage devices
insert into new_devices
select * from unnest($1::text[], $2::smallint[], $3::text[], $4::text[], $5::smallint[])";

const SESSIONS: &str = "-- store.import_directory: stage sessions
insert into new_sessions
select * from unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::date[], $6::smallint[], $7::text[],
  $8::boolean[])";

/// The ids of a class's sessions come as JSON: an array of arrays would have to be as long for every class.
const CLASSES: &str = "-- store.import_directory: stage classes
insert into new_classes
select source_id, title, code, school_source_id, array(select jsonb_array_elements_text(sessions)), deleted
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::boolean[])
  u(source_id, title, code, school_source_id, sessions, deleted)";

const CLASS_MEMBERS: &str = "-- store.import_directory: stage class members
insert into new_class_members
select * from unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::boolean[], $6::boolean[])";

pub(super) async fn load(transaction: &Transaction<'_>, directory: &Directory<'_>) -> Result<(), StoreError> {
    transaction.batch_execute(MAKE).await.map_err(failed())?;
    for rows in directory.schools.chunks(ROWS_PER_STATEMENT) {
        let columns: [&(dyn ToSql + Sync); 6] = [
            &column(rows, |row| row.source_id),
            &column(rows, |row| row.name),
            &column(rows, |row| row.kind),
            &column(rows, |row| row.identifier),
            &column(rows, |row| row.parent_source_id),
            &column(rows, |row| row.deleted),
        ];
        transaction.execute(SCHOOLS, &columns).await.map_err(failed())?;
    }
    for rows in directory.people.chunks(ROWS_PER_STATEMENT) {
        let columns: [&(dyn ToSql + Sync); 8] = [
            &column(rows, |row| row.source_id),
            &column(rows, |row| row.given_name),
            &column(rows, |row| row.family_name),
            &column(rows, |row| row.role.map(|role| role.number())),
            &column(rows, |row| row.language),
            &column(rows, |row| row.time_zone),
            &column(rows, |row| row.lists_contacts),
            &column(rows, |row| row.deleted),
        ];
        transaction.execute(PEOPLE, &columns).await.map_err(failed())?;
    }
    for rows in directory.students.chunks(ROWS_PER_STATEMENT) {
        let columns: [&(dyn ToSql + Sync); 4] = [
            &column(rows, |row| row.person_source_id),
            &column(rows, |row| row.school_source_id),
            &column(rows, |row| row.grade),
            &column(rows, |row| row.active),
        ];
        transaction.execute(STUDENTS, &columns).await.map_err(failed())?;
    }
    for rows in directory.contacts.chunks(ROWS_PER_STATEMENT) {
        let columns: [&(dyn ToSql + Sync); 5] = [
            &column(rows, |row| row.student_source_id),
            &column(rows, |row| row.person_source_id),
            &column(rows, |row| row.relationship),
            &column(rows, |row| row.by_student),
            &column(rows, |row| row.by_person),
        ];
        transaction.execute(CONTACTS, &columns).await.map_err(failed())?;
    }
    for rows in directory.mentions.chunks(ROWS_PER_STATEMENT) {
        let columns: [&(dyn ToSql + Sync); 2] =
            [&column(rows, |row| row.owner_source_id), &column(rows, |row| row.named_source_id)];
        transaction.execute(MENTIONS, &columns).await.map_err(failed())?;
    }
    for rows in directory.devices.chunks(ROWS_PER_STATEMENT) {
        let columns: [&(dyn ToSql + Sync); 5] = [
            &column(rows, |row| row.person_source_id),
            &column(rows, |row| row.channel.number()),
            &column(rows, |row| row.address),
            &column(rows, |row| row.extension),
            &column(rows, |row| row.position),
        ];
        transaction.execute(DEVICES, &columns).await.map_err(failed())?;
    }
    load_taught(transaction, directory).await?;
    transaction.batch_execute(ANALYZE).await.map_err(failed())
}

/// Sessions, classes and who is in them.
async fn load_taught(transaction: &Transaction<'_>, directory: &Directory<'_>) -> Result<(), StoreError> {
    for rows in directory.sessions.chunks(ROWS_PER_STATEMENT) {
        let columns: [&(dyn ToSql + Sync); 8] = [
            &column(rows, |row| row.source_id),
            &column(rows, |row| row.title),
            &column(rows, |row| row.kind),
            &column(rows, |row| row.starts_on),
            &column(rows, |row| row.ends_on),
            &column(rows, |row| row.school_year),
            &column(rows, |row| row.parent_source_id),
            &column(rows, |row| row.deleted),
        ];
        transaction.execute(SESSIONS, &columns).await.map_err(failed())?;
    }
    for rows in directory.classes.chunks(ROWS_PER_STATEMENT) {
        let columns: [&(dyn ToSql + Sync); 6] = [
            &column(rows, |row| row.source_id),
            &column(rows, |row| row.title),
            &column(rows, |row| row.code),
            &column(rows, |row| row.school_source_id),
            &column(rows, |row| serde_json::json!(row.session_source_ids)),
            &column(rows, |row| row.deleted),
        ];
        transaction.execute(CLASSES, &columns).await.map_err(failed())?;
    }
    for rows in directory.class_members.chunks(ROWS_PER_STATEMENT) {
        let columns: [&(dyn ToSql + Sync); 6] = [
            &column(rows, |row| row.source_id),
            &column(rows, |row| row.class_source_id),
            &column(rows, |row| row.person_source_id),
            &column(rows, |row| row.role.number()),
            &column(rows, |row| row.active),
            &column(rows, |row| row.deleted),
        ];
        transaction.execute(CLASS_MEMBERS, &columns).await.map_err(failed())?;
    }
    Ok(())
}

fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn failed() -> impl FnOnce(tokio_postgres::Error) -> StoreError {
    StoreError::statement("import_directory: stage")
}
