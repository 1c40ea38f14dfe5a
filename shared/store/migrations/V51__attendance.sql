-- Of one student's absence a guardian hears once a day (docs/adr/0056-attendance-once-a-day.md). The release before marks no day: what
-- its planners expand neither counts nor is held back.

alter table campaigns add column attendance_day date;
comment on column campaigns.attendance_day is 'Of an attendance message, but for tests and corrections: the day in its district''s time zone on which its expansion began.';
create index campaigns_of_attendance on campaigns (district_id, attendance_day) where attendance_day is not null;

alter table recipients add column told_by uuid;
comment on column recipients.told_by is 'The attendance message of the same day by which the person was told of these students already, or is about to be.';
