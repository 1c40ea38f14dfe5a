//! By which route a job is tried again.

use tocsin_domain::{AccountId, Channel, Lane, Outcome};
use tokio_postgres::NoTls;

use crate::stage::Stage;

#[tokio::test]
async fn a_redial_goes_by_another_account_where_its_outcome_asks_for_another_route() {
    let stage = Stage::new().await;
    let (sql, connection) = tokio_postgres::connect(&stage.database.url, NoTls).await.unwrap();
    #[allow(clippy::disallowed_methods, reason = "ends with the test's client")]
    tokio::spawn(connection);
    stage.fixture.guardians(3, Channel::Voice).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Voice]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let first = stage.fixture.account(Channel::Voice).unwrap();
    // With much less room than the first.
    stage.account("voice-2", None, Channel::Voice, 1.0).await;
    let redial = "update jobs set outcome = $1, account_id = $2, tries = 1, wait_reason = 2 where id = $3";
    let outcomes = [Outcome::Busy, Outcome::TemporarilyUnavailable, Outcome::AllRoutesUnavailable];
    for (job, outcome) in (1i32..).zip(outcomes) {
        sql.execute(redial, &[&outcome.number(), &first.0, &job]).await.unwrap();
    }
    stage.leading().await.release(Channel::Voice).await;
    let rows = sql.query("select account_id from jobs where state = 2 order by id", &[]).await.unwrap();
    let routes: Vec<bool> = rows.iter().map(|row| AccountId(row.get(0)) == first).collect();
    assert_eq!(routes, [true, false, false]);
}
