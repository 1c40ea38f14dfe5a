-- A delivery to a webhook is sent again by hand: it waits as it did at first, with its id and its body. The release before
-- this one sends it like any other.
grant update (state, attempts, next_at) on webhook_deliveries to tocsin_app;
comment on column webhook_deliveries.attempts is 'Since it was made, or last sent again by hand.';
