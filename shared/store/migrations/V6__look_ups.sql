-- Look-ups, the later match of reports that matched no attempt, and the auditor (docs/adr/0003-schema.md).

-- Campaigns before attempts: in this order statements that are under way take them, too.
alter table campaigns add column audits int not null default 0;
alter table campaigns add column audit_due_at timestamptz default now();
comment on column campaigns.audits is 'How often its counters were recounted: two audits at once cannot both correct.';
comment on column campaigns.audit_due_at is 'When its counters are recounted next; null: never again.';
create index campaigns_audit_due on campaigns (audit_due_at) where audit_due_at is not null;

alter table attempts add column looked_up_at timestamptz;
comment on column attempts.looked_up_at is 'When a look-up at its provider was last ordered.';

-- On the default partition alone, where what matches no attempt lies: no report of an attempt touches them.
create index events_unmatched on events_default (id, ordinal)
  where district_id is null and token_campaign_id is not null;
create index events_unnamed on events_default (provider_id)
  where district_id is null and token_campaign_id is null;
create index events_default_by_id on events_default (id);
