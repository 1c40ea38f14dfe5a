-- A district of PEOPLE people with about two and a half devices each, CAMPAIGNS campaigns that are over, and one more whose
-- report has ROWS rows. Numbers are nobody's (exchange 555).
insert into schools (district_id, source_id, name, kind)
  select 'DISTRICT', 's' || lpad(n::text, 4, '0'), 'School ' || n, 'school' from generate_series(1, 200) n
  on conflict do nothing;
insert into classes (district_id, source_id, title, school_source_id, session_source_ids, school_year)
  select 'DISTRICT', 'c' || lpad(n::text, 6, '0'), 'Class ' || n, 's' || lpad((n % 200 + 1)::text, 4, '0'), '{}', 2026
  from generate_series(1, greatest(PEOPLE / 40, 1)) n;
insert into people (district_id, source_id, given_name, family_name, role, active, language)
  select 'DISTRICT', 'p' || n, initcap(substr(md5('given' || n % 4000), 1, 7)), initcap(substr(md5('family' || n % 30000), 1, 9)),
    case when n <= PEOPLE * 3 / 10 then 2 when n <= PEOPLE * 95 / 100 then 1 else 3 end, n % 50 <> 0,
    case when n % 5 = 0 then 'es' else 'en' end
  from generate_series(1, PEOPLE) n;
insert into students (district_id, person_id, school_source_id, grade, active)
  select district_id, id, 's' || lpad((id % 200 + 1)::text, 4, '0'), lpad((id % 13)::text, 2, '0'), id % 40 <> 0
  from people where district_id = 'DISTRICT' and role = 2;
insert into contacts (district_id, person_id, student_id, relationship)
  select g.district_id, g.id, s.id, 'parent'
  from people g
  cross join lateral (values (7), (11)) times(many)
  join people s on s.district_id = g.district_id
    and s.source_id = 'p' || (substr(g.source_id, 2)::bigint * times.many % (PEOPLE * 3 / 10) + 1)
  where g.district_id = 'DISTRICT' and g.role = 1 and (times.many = 7 or g.id % 2 = 0)
  on conflict do nothing;
insert into devices (district_id, person_id, channel, address, position)
  select district_id, id, c, case c when 3 then 'reader' || id || '@example.org' when 4 then 'portal' || id
    else '+1' || 201 + id % 789 || '555' || lpad((id / 789 % 10000)::text, 4, '0') end, 1
  from people cross join generate_series(1, 4) c
  where district_id = 'DISTRICT' and (role <> 2 or c >= 3) and (c < 4 or id % 3 = 0) and (id + c) % 9 <> 0;
insert into consents (district_id, phone, state, changed_at, source)
  select distinct on (address) district_id, address, 2 + (id % 20 = 0)::int, now(), 'keyword' from devices
  where district_id = 'DISTRICT' and channel = 2 order by address limit PEOPLE / 4
  on conflict do nothing;
insert into audit (district_id, at, actor, action, subject)
  select 'DISTRICT', now() - n * interval '1 minute', 'author ' || n % 50, 'campaign.create', n::text
  from generate_series(1, CAMPAIGNS * 3) n;
insert into campaigns (id, district_id, client_key, request_hash, state, lane, mode, consent_class, message_type, subject,
    channels, audience, redial, created_by, created_at, scheduled_at, expires_at, expanded_at, started_at, ended_at, closed_at)
  select overlay(gen_random_uuid()::text placing substr(uuid7_floor(now() - n * interval '20 minutes')::text, 1, 13) from 1 for 13)::uuid,
    'DISTRICT', 'pages ' || n, '', case when n % 400 = 0 then 1 else 5 end, 3, 1, 2,
    (array['general', 'attendance', 'behavior', 'priority'])[n % 4 + 1], 'Subject ' || substr(md5(n::text), 1, 12), '{2,3}',
    jsonb_build_object('all', n % 2 = 0, 'schools', case when n % 2 = 0 then '[]'::jsonb
      else jsonb_build_array('s' || lpad((n % 200 + 1)::text, 4, '0')) end, 'grades', '[]'::jsonb,
      'people', '[]'::jsonb, 'roles', '["guardian"]'::jsonb, 'language', null, 'include_inactive', false),
    '{"attempts_max": 3, "wait_seconds": 300, "machines": false}', 'author ' || n % 50, now() - n * interval '20 minutes',
    case when n % 400 = 0 then now() + n * interval '1 minute' else now() - n * interval '20 minutes' end, now() + interval '9 days',
    now(), now(), case when n % 400 <> 0 then now() end, case when n % 400 <> 0 then now() end
  from generate_series(1, CAMPAIGNS) n;
insert into contents (campaign_id, ordinal, district_id, body)
  select id, 1, district_id, 'Text' from campaigns where district_id = 'DISTRICT';
insert into campaigns (id, district_id, client_key, request_hash, state, lane, mode, consent_class, message_type, subject,
    channels, audience, redial, created_by, created_at, scheduled_at, expires_at, expanded_at, started_at, ended_at, closed_at,
    recipients_made, jobs_made)
  select 'REPORTED', 'DISTRICT', 'reported', '', 5, 3, 1, 2, 'general', 'Reported', '{2}',
    '{"all": true, "schools": [], "grades": [], "people": [], "roles": ["guardian"], "language": null, "include_inactive": false}',
    '{"attempts_max": 3, "wait_seconds": 300, "machines": false}', 'author', now(), now(), now(), now(), now(), now(), now(),
    ROWS, ROWS;
insert into contents (campaign_id, ordinal, district_id, body) values ('REPORTED', 1, 'DISTRICT', 'Text');
insert into recipients (campaign_id, district_id, person_id, id, no_device, name, merge_values, first_job)
  select 'REPORTED', 'DISTRICT', n, n, false, 'Reader ' || n, '{}', n from generate_series(1, ROWS) n;
insert into recipient_people (campaign_id, district_id, person_id, recipient_id)
  select 'REPORTED', 'DISTRICT', n, n from generate_series(1, ROWS) n;
insert into destinations (campaign_id, district_id, device_id, job_id, channel, duplicate, address)
  select 'REPORTED', 'DISTRICT', n, n, 2, false, '+1' || 201 + n % 789 || '555' || lpad((n / 789)::text, 4, '0')
  from generate_series(1, ROWS) n;
insert into jobs (campaign_id, district_id, ended_at, id, recipient_id, generation, channel, lane, state, attempt, tries,
    dispatched, outcome)
  select 'REPORTED', 'DISTRICT', now(), n, n, 1, 2, 3, 4, 1, 1, 1, 1 from generate_series(1, ROWS) n;
insert into attempts (campaign_id, district_id, worker_id, claimed_at, send_by, settled_at, job_id, account_id, generation,
    version, number, state, outcome, result, provider_id)
  select 'REPORTED', 'DISTRICT', gen_random_uuid(), now(), now(), now(), n, 1, 1, 1, 1, 3, 1, 1, 'SM' || n
  from generate_series(1, ROWS) n;
insert into tallies (campaign_id, district_id, channel, recipients, devices, attempts, successful)
  values ('REPORTED', 'DISTRICT', 0, ROWS, 0, 0, 0), ('REPORTED', 'DISTRICT', 2, 0, ROWS, ROWS, ROWS);
analyze;
