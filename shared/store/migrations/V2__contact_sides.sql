-- Which of a contact's two rows named the other. A delivery of changes replaces what its rows named, no more.
-- True for what is stored already, and for what the release before this one still writes: it stays until both
-- rows came without it, or a complete delivery did.

alter table contacts
  add column by_student boolean not null default true,
  add column by_person boolean not null default true;
comment on column contacts.by_student is 'The student''s row names the person.';
comment on column contacts.by_person is 'The person''s row names the student.';
