-- One index of events instead of two (docs/adr/0021-many-in-a-message.md): every report is written once
-- and entered in each of them. A redelivered report names the same job, so that it is found by the longer key too.
-- No process of an earlier schema may be left: its inserts name the key that goes.

create unique index events_once_of_job on events (campaign_id, job_id, id, ordinal) nulls not distinct;
drop index events_once;
drop index events_by_job;
alter index events_once_of_job rename to events_once;
