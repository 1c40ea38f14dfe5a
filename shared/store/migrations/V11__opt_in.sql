-- Messages that need an opt-in, and messages that ask for one (decision D11).

alter table districts add column opt_in_needed text[] not null default '{}';
comment on column districts.opt_in_needed is 'Message types whose texts go only to phones that opted in.';
grant update (opt_in_needed) on districts to tocsin_app;

comment on column campaigns.consent_class is
  '1 emergency, 2 school mission, 3 opt-in needed, 4 asks for an opt-in (decision D11).';
