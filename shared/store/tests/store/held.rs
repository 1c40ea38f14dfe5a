//! Holding one statement at a named point while another runs beside it.

use std::cell::Cell;
use std::time::Duration;

use tocsin_testkit::wait_until;
use tokio_postgres::Client;

use crate::fixture::{Setting, connect};

/// The application whose statements wait at the gate.
pub const FIRST: &str = "first";
/// The application whose statements run beside.
pub const SECOND: &str = "second";

const BOUND: Duration = Duration::from_secs(30);

/// What the application [`FIRST`] changes makes it wait for the gate: it has its locks, and is not committed.
const TRIGGERS: &str = "
create function wait_at_the_gate() returns trigger language plpgsql as $$
begin
  if current_setting('application_name') = 'first' then perform pg_advisory_xact_lock_shared(4711); end if;
  return null;
end $$;
create trigger gate after update on jobs for each row execute function wait_at_the_gate();
create trigger gate after insert or update on attempts for each row execute function wait_at_the_gate();
create trigger gate after update on campaigns for each row execute function wait_at_the_gate();";

pub async fn install_gate(setting: &Setting) {
    setting.run(TRIGGERS).await;
}

/// Where the first statement is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// It has begun, so its snapshot is taken; it waits for its first job's lock.
    BeforeItsLocks,
    /// It has changed its first row, and the lock is its own.
    BeforeItsCommit,
}

/// Holds statements until it is opened.
pub struct Gate(Client);

impl Gate {
    pub async fn closed(setting: &Setting, point: Point) -> Self {
        let client = connect(&setting.database.url).await;
        let close = match point {
            Point::BeforeItsLocks => {
                "begin; select from jobs where state in (1, 2, 3) order by campaign_id, id for update"
            }
            Point::BeforeItsCommit => "begin; select pg_advisory_xact_lock(4711)",
        };
        client.batch_execute(close).await.unwrap();
        Self(client)
    }

    pub async fn open(self) {
        self.0.batch_execute("commit").await.unwrap();
    }
}

/// Returns when the application waits for a lock, or has finished; says whether it waits.
pub async fn waits(setting: &Setting, application: &str, finished: &Cell<bool>) -> bool {
    let waiting = format!(
        "select count(*) from pg_stat_activity
         where datname = current_database() and application_name = '{application}' and wait_event_type = 'Lock'"
    );
    let mut waits = false;
    let what = format!("{application} waits for a lock or has finished");
    let reached = wait_until(&what, BOUND, async || {
        waits = setting.number(&waiting).await > 0;
        waits || finished.get()
    });
    reached.await.unwrap();
    waits
}

/// Which of the two had to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    pub first: bool,
    pub second: bool,
}

/// Starts `first`, waits until it is held or through, starts `second` and waits for the same, looks by
/// `meanwhile`, and opens the gate.
pub async fn side_by_side<A, B>(
    setting: &Setting,
    point: Point,
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
    meanwhile: impl AsyncFnOnce(Waited),
) -> (A, B, Waited) {
    let gate = Gate::closed(setting, point).await;
    let (first_over, second_begins, second_over) = (Cell::new(false), Cell::new(false), Cell::new(false));
    let first = async {
        let answer = first.await;
        first_over.set(true);
        answer
    };
    let second = async {
        wait_until("the first is held", BOUND, async || second_begins.get()).await.unwrap();
        let answer = second.await;
        second_over.set(true);
        answer
    };
    let keeper = async {
        let first = waits(setting, FIRST, &first_over).await;
        second_begins.set(true);
        let second = waits(setting, SECOND, &second_over).await;
        let waited = Waited { first, second };
        meanwhile(waited).await;
        gate.open().await;
        waited
    };
    tokio::join!(first, second, keeper)
}
