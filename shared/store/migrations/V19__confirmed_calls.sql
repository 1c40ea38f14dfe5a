-- Recordings, and calls that are confirmed by pressing 0 (docs/adr/0027-what-calls-say-and-ask.md).
-- The release before this one reads no policy that asks for a confirmation and not outcome 51, and sums tallies without
-- this counter, which the auditor corrects: no policy may ask while its processes run.

alter table contents add column audio_url text;
comment on column contents.audio_url is 'Of calls: a recording that is played in place of the body.';

alter table tallies add column confirmed int not null default 0;
comment on column tallies.confirmed is 'Devices at which somebody pressed 0 to confirm (requirement 75).';
