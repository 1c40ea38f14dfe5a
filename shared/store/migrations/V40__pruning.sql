-- What is only kept for a while is found by its age (docs/RUNNING.md). The release before keeps all of it.
create index approvals_over on approvals (expires_at);
create index sessions_over on sessions (ends_at);
create index imports_by_time on imports (created_at);
