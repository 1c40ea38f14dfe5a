-- Redial policies and calling windows as districts decide them, and the window that a campaign was made with.
-- The release before this one writes campaigns without a window and reads none: it would contact people outside
-- theirs, so that its planners must be gone before windows are set.

create table policies (
  district_id uuid not null references districts,
  message_type text not null,
  redial jsonb not null,
  calling_window jsonb,
  updated_at timestamptz not null,
  updated_by text not null,
  primary key (district_id, message_type)
);
comment on table policies is 'What a district decided for campaigns of one message type (decision D6). A type without a row has its lane''s defaults.';
comment on column policies.calling_window is 'Hours by weekday and holidays, in the recipient''s time zone. Null: at any hour.';
select tocsin_secure('policies', true);
grant insert, update on policies to tocsin_app;

alter table campaigns add column calling_window jsonb;
comment on column campaigns.calling_window is 'As it was when the campaign was made. Null: at any hour, which emergencies always have.';
