-- Who answered a call, and the provider's own order of its reports (docs/adr/0017-detection-and-order.md).
-- The release before this one does not know the outcomes that detection brings (26 to 29 and 50): no policy may ask
-- for it while its processes run.

alter table attempts
  add column sequence bigint,
  add column answered smallint,
  add column detect_until timestamptz;
comment on column attempts.sequence is 'The provider''s number of the report that told the outcome.';
comment on column attempts.answered is 'The outcome that told who answered the call, be it still under way.';
comment on column attempts.detect_until is 'The call is over; until then it waits for the word who answered it.';

alter table events add column sequence bigint;
comment on column events.sequence is 'The provider''s own order of one attempt''s reports, where it numbers them.';
