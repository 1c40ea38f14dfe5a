//! One suite for every broker: each rule in `cases` runs on the in-memory broker and on RabbitMQ.
//! What only a real network can do is in `network`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation fails the test"
)]

mod cases;
mod dead_letters;
mod drained;
mod network;
mod redeclared;
mod stand;
mod vhost;

/// Runs every named case on both brokers, as a test of its own, with a bound so that a broker that
/// never answers is a failure and not a hang.
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                crate::stand::bounded(crate::cases::$case(crate::stand::Stand::memory())).await;
            })*
        }
        mod rabbitmq {
            $(#[tokio::test]
            async fn $case() {
                crate::stand::bounded(crate::cases::$case(crate::stand::Stand::rabbitmq())).await;
            })*
        }
    };
}

conformance!(
    a_message_arrives_once_with_its_bytes_and_headers,
    a_batch_is_what_is_there_and_at_most_max,
    a_queue_receives_only_its_own_messages,
    each_message_of_a_batch_gets_its_own_answer,
    what_a_vanished_consumer_had_is_delivered_again,
    what_an_acker_may_still_settle_stays_out,
    acknowledging_out_of_order_settles_exactly_those,
    settling_twice_settles_once,
    the_prefetch_bounds_what_is_unsettled,
    control_reaches_every_living_session_and_only_those,
    a_dead_letter_keeps_bytes_headers_and_reason,
    a_part_goes_to_the_dead_letters_and_its_message_stays_unsettled,
    a_message_that_keeps_killing_its_consumer_becomes_a_dead_letter,
    what_is_given_back_goes_to_another_consumer,
    a_session_cut_by_the_broker_is_lost_and_stays_lost,
    a_publisher_opens_a_new_session_after_a_loss,
    a_stopped_consumer_gets_nothing_more_and_may_still_settle,
    closing_writes_the_acknowledgements_first,
    purging_empties_a_queue_and_says_how_much,
    ten_thousand_messages_are_confirmed_and_consumed_once,
    dead_letters_are_looked_at_any_number_of_times_and_stay,
    a_dead_letter_goes_back_to_its_queue_as_it_was_published,
    what_the_broker_buried_itself_says_where_it_was,
    a_dead_letter_that_is_thrown_away_is_gone_and_no_other,
);
