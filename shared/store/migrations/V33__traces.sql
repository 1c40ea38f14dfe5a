-- What traces lead by (docs/adr/0041-traces.md).

alter table campaigns add column traceparent text;
comment on column campaigns.traceparent is
  'W3C trace context of the request that made it, for the link from the campaign''s trace. Null: nobody traced it.';

alter table jobs add column released_at timestamptz;
comment on column jobs.released_at is
  'When it was released last. Null: never, or by a release of Tocsin that did not note it.';
