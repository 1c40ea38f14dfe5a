-- Providers are asked about a campaign's messages when somebody wants to know (requirement 183). The release before neither
-- asks nor minds.

alter table campaigns add column refresh_asked_at timestamptz, add column refresh_due_at timestamptz;
comment on column campaigns.refresh_asked_at is 'When somebody last had its providers asked what became of its messages.';
comment on column campaigns.refresh_due_at is 'Since when planners are to order these look-ups; null once they are ordered.';
create index campaigns_refresh_due on campaigns (refresh_due_at) where refresh_due_at is not null;
