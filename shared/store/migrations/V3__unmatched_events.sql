-- A report whose attempt does not exist keeps the attempt that its token names, to be matched later. It has no
-- campaign of its own: campaign and district of an event are those of an attempt that exists.

alter table events
  add column token_campaign_id uuid,
  add column token_job_id int,
  add column token_number smallint;
comment on column events.token_campaign_id is 'With the two after it the attempt that an unmatched report''s token names; null where it is matched, or names none.';
