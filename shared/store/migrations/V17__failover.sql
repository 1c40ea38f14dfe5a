-- Accounts that fail give way to the others of their channel (docs/adr/0025-failover.md).
-- The release before this one neither tells answers nor heeds health: beside it, an account is judged by what the new
-- workers see.

alter table provider_accounts
  add column health smallint not null default 5 check (health between 1 and 5),
  add column health_since timestamptz,
  add column health_epoch int not null default 0,
  add column falls int not null default 0;
comment on column provider_accounts.health is 'Of an account: 1 resting, 2 on trial, 3 a quarter, 4 half, 5 full. Where no other account of its channel is better it is used as if it were full.';
comment on column provider_accounts.health_since is 'When it came to that; null: it never failed.';
comment on column provider_accounts.health_epoch is 'Counts changes of health. What workers tell of answers before the last one says nothing any more.';
comment on column provider_accounts.falls is 'How often it failed lately: it rests longer each time.';

alter table leases
  add column health_epoch int not null default 0,
  add column answers int not null default 0,
  add column failures int not null default 0;
comment on column leases.answers is 'Answers of the provider to this worker in the last half minute, since the account came to the health of that epoch.';
comment on column leases.failures is 'Of these, errors, answers that were lost, and slow ones.';
