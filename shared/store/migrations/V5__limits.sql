-- What the provider says of an account, what its workers need, and what it holds.

alter table provider_accounts
  add column reserve int not null default 0 check (reserve >= 0),
  add column depth int check (depth > 0),
  add column backoff_rate double precision check (backoff_rate > 0),
  add column backoff_full double precision check (backoff_full > 0),
  add column backoff_since timestamptz,
  add column held_until timestamptz,
  add constraint reserve_leaves_some check (reserve = 0 or reserve < concurrency);
comment on column provider_accounts.concurrency is 'Requests open at once; of voice, calls until they end.';
comment on column provider_accounts.reserve is 'The part of concurrency that general jobs never get.';
comment on column provider_accounts.depth is 'Attempts that the provider may hold: asking or accepted. Null: no limit.';
comment on column provider_accounts.backoff_rate is 'What the rate fell to when the provider throttled the account. What it has risen to since is computed, not written.';
comment on column provider_accounts.backoff_full is 'Where the rise ends if the account has no rate of its own.';
comment on column provider_accounts.backoff_since is 'The last fall: the next one is no sooner than a lease''s term later.';
comment on column provider_accounts.held_until is 'Retry-After: nothing is sent before.';

alter table leases
  add column general int,
  add column counted_rate double precision,
  add column counted_burst int,
  add column counted_concurrency int,
  add column counted_general int,
  add column demand int not null default 1,
  add column used_per_second double precision not null default 0,
  add column turn_at timestamptz;
comment on column leases.epoch is 'Counts renewals. A worker that names the latest has taken that share, and given up all before it.';
comment on column leases.general is 'The part of concurrency that general jobs may take.';
comment on column leases.counted_rate is 'What the worker may still be using: no less than the share, and whatever of earlier ones it has not said to have given up.';
comment on column leases.demand is 'Tokens that the worker used or lacked since it asked last. 0: it is idle and keeps a small share.';
comment on column leases.turn_at is 'When its share began not to be empty, or to be empty again: where not all can be served, workers take turns.';

create table held (
  account_id int not null,
  worker_id uuid not null,
  attempts int not null
);
comment on table held is 'Insert-only changes of the number of attempts that are asking or accepted, by account and the worker that claimed them; folded by a tick.';
select tocsin_secure('held'::regclass, false);
