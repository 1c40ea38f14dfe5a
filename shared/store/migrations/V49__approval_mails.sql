-- Mails that tell of an approval (docs/adr/0053-approval-mails.md), accounts whose mails can have no files
-- (docs/adr/0049-attachments.md), and indexes for lists of consents and of what was done about people. The release before
-- tells nobody, and its planners and workers know nothing of files of accounts: what they configured counts as carrying some.

alter table provider_accounts add column carries_files boolean not null default true;
comment on column provider_accounts.carries_files is 'Can messages over it have files? False of a gateway whose profile has no place for them.';

alter table approvals add column page_url text;
comment on column approvals.page_url is 'Where browsers find its page; null: it is not configured where that is.';

create table approval_mails (
  district_id uuid not null,
  approval_id uuid not null,
  user_id uuid not null,
  ordinal int not null,
  state smallint not null default 1,
  due_at timestamptz not null,
  useless_at timestamptz not null,
  tries smallint not null default 0,
  account text,
  code text,
  ended_at timestamptz,
  primary key (district_id, approval_id, user_id),
  foreign key (district_id, approval_id) references approvals on delete cascade,
  constraint ended_has_its_time check ((state >= 3) = (ended_at is not null))
);
comment on table approval_mails is 'Who is told by email that an emergency waits for a second person. One mail each: what may have been sent is not sent again.';
comment on column approval_mails.ordinal is 'Which of the approval''s mails it is, as providers are told.';
comment on column approval_mails.state is '1 due, 2 a worker asks a provider, 3 sent, 4 unknown whether it was sent, 5 failed.';
comment on column approval_mails.useless_at is 'When the approval''s time is over: nobody is told after that.';
comment on column approval_mails.account is 'Where it was asked for last; another is preferred after that.';
comment on column approval_mails.code is 'What the provider said, or why it was not asked.';
create index approval_mails_due on approval_mails (useless_at, due_at) where state = 1;
select tocsin_secure('approval_mails', true);
grant insert on approval_mails to tocsin_app;

-- A page of those who are in one state is read along it: of a million phones few have opted out.
create index consents_by_state on consents (district_id, state, phone);

-- What was done about a person.
create index audit_of_people on audit (district_id, subject, at) where action like 'directory.%';
