-- A delivery to a webhook is sent again by hand, and what a roster's deliveries change of contacts and enrolments is kept. The
-- release before this one sends such a delivery like any other; what its imports change is not kept.

-- It waits as it did at first, with its id and its body.
grant update (state, attempts, next_at) on webhook_deliveries to tocsin_app;
comment on column webhook_deliveries.attempts is 'Since it was made, or last sent again by hand.';

create table roster_changes (
  district_id uuid not null references districts,
  id bigint generated always as identity,
  student_id bigint not null,
  contact_id bigint,
  school_source_id text,
  at timestamptz not null,
  actor text not null,
  begins boolean not null,
  primary key (district_id, student_id, id),
  constraint contact_or_school check ((contact_id is null) <> (school_source_id is null))
);
comment on table roster_changes is 'Contacts and enrolments that began or ended by a delivery of the roster. What is done by hand stands on the audit.';
comment on column roster_changes.contact_id is 'The person who is contacted on behalf of the student, or no more.';
comment on column roster_changes.school_source_id is 'Where the student is enrolled, or no more.';
comment on column roster_changes.actor is 'Who applied the delivery.';
create index roster_changes_of_contact on roster_changes (district_id, contact_id, id) where contact_id is not null;
create index roster_changes_by_age on roster_changes (at);
select tocsin_secure('roster_changes', true);
grant insert on roster_changes to tocsin_app;
