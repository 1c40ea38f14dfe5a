//! What a campaign came to, row by row, for those who hold it against the promises.
//!
//! Everything is read in short keyset pages and one campaign at a time, never in one long snapshot: a snapshot
//! that is held keeps dead rows alive, which makes every release slower.

use chrono::{DateTime, Utc};
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::{AttemptState, CampaignId, Channel, JobState, Lane, Outcome};
use tokio_postgres::Row;

use crate::{Store, StoreError, row};

/// Rows of one page.
const PAGE_ROWS: usize = 10_000;

/// A campaign as a whole.
#[derive(Debug, Clone)]
pub struct CampaignFacts {
    pub id: CampaignId,
    pub lane: Lane,
    pub redial: RedialPolicy,
    /// How many recipients and jobs the expansion says it made.
    pub recipients_made: i32,
    pub jobs_made: i32,
    pub closed_at: Option<DateTime<Utc>>,
    /// Read within the cancel's transaction, so a little before its commit.
    pub canceled_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecipientFact {
    pub recipient: i32,
    pub no_device: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobFact {
    pub job: i32,
    pub recipient: i32,
    pub channel: Channel,
    /// Marked as the second appearance of a device (decision D2).
    pub duplicate: bool,
    pub state: JobState,
    /// Final when `state` is Ended.
    pub outcome: Option<Outcome>,
    /// How many attempts were ever claimed.
    pub attempts: i16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptFact {
    pub job: i32,
    pub number: i16,
    pub state: AttemptState,
    pub outcome: Option<Outcome>,
    /// By the store's clock, after the claim had its row locks.
    pub claimed_at: DateTime<Utc>,
    /// When it was settled first; later reports may have raised its outcome since.
    pub settled_at: Option<DateTime<Utc>>,
}

impl Store {
    /// None: no such campaign.
    pub async fn campaign_facts(&self, campaign: CampaignId) -> Result<Option<CampaignFacts>, StoreError> {
        const NAME: &str = "campaign_facts";
        let rows = self.rows(NAME, CAMPAIGN_FACTS, &[&campaign.0]).await?;
        let Some(found) = rows.first() else { return Ok(None) };
        Ok(Some(CampaignFacts {
            id: campaign,
            lane: row::lane(NAME, found.get("lane"))?,
            redial: row::from_json(NAME, "a redial policy", found.get("redial"))?,
            recipients_made: found.get("recipients_made"),
            jobs_made: found.get("jobs_made"),
            closed_at: found.get("closed_at"),
            canceled_at: found.get("canceled_at"),
        }))
    }

    /// How many campaigns belong to districts whose name does not begin with `prefix`.
    pub async fn campaigns_of_others(&self, prefix: &str) -> Result<i64, StoreError> {
        let rows = self.rows("campaigns_of_others", CAMPAIGNS_OF_OTHERS, &[&prefix]).await?;
        Ok(rows.first().map_or(0, |found| found.get(0)))
    }

    /// Every recipient of the campaign, in order.
    pub async fn recipient_facts(&self, campaign: CampaignId) -> Result<Vec<RecipientFact>, StoreError> {
        let read =
            |found: &Row| Ok(RecipientFact { recipient: found.get("id"), no_device: found.get("no_device") });
        let place = |fact: &RecipientFact| (fact.recipient, 0);
        self.facts(campaign, Pages { name: "recipient_facts", sql: RECIPIENT_FACTS, read, place }).await
    }

    /// Every job of the campaign, in order.
    pub async fn job_facts(&self, campaign: CampaignId) -> Result<Vec<JobFact>, StoreError> {
        let place = |fact: &JobFact| (fact.job, 0);
        self.facts(campaign, Pages { name: "job_facts", sql: JOB_FACTS, read: read_job, place }).await
    }

    /// Every attempt of the campaign, by job and number.
    pub async fn attempt_facts(&self, campaign: CampaignId) -> Result<Vec<AttemptFact>, StoreError> {
        let place = |fact: &AttemptFact| (fact.job, fact.number);
        let pages = Pages { name: "attempt_facts", sql: ATTEMPT_FACTS, read: read_attempt, place };
        self.facts(campaign, pages).await
    }

    async fn facts<T>(
        &self,
        campaign: CampaignId,
        pages: Pages<impl Fn(&Row) -> Result<T, StoreError>, impl Fn(&T) -> (i32, i16)>,
    ) -> Result<Vec<T>, StoreError> {
        let mut facts = Vec::new();
        let rows_max = PAGE_ROWS as i64;
        loop {
            let (after, after_number) = facts.last().map_or((0, 0), &pages.place);
            let page =
                self.rows(pages.name, pages.sql, &[&campaign.0, &after, &after_number, &rows_max]).await?;
            for found in &page {
                facts.push((pages.read)(found)?);
            }
            if page.len() < PAGE_ROWS {
                return Ok(facts);
            }
        }
    }
}

/// How to read one kind of fact: its statement takes the campaign, the place after which a page begins, and
/// the page's size. A place has two numbers; where one names the row, the second is 0.
struct Pages<R, P> {
    name: &'static str,
    sql: &'static str,
    read: R,
    place: P,
}

fn read_job(found: &Row) -> Result<JobFact, StoreError> {
    const NAME: &str = "job_facts";
    Ok(JobFact {
        job: found.get("id"),
        recipient: found.get("recipient_id"),
        channel: row::channel(NAME, found.get("channel"))?,
        duplicate: found.get("duplicate"),
        state: row::job_state(NAME, found.get("state"))?,
        outcome: row::optional_outcome(NAME, found.get("outcome"))?,
        attempts: found.get("attempt"),
    })
}

fn read_attempt(found: &Row) -> Result<AttemptFact, StoreError> {
    const NAME: &str = "attempt_facts";
    Ok(AttemptFact {
        job: found.get("job_id"),
        number: found.get("number"),
        state: row::attempt_state(NAME, found.get("state"))?,
        outcome: row::optional_outcome(NAME, found.get("outcome"))?,
        claimed_at: found.get("claimed_at"),
        settled_at: found.get("settled_at"),
    })
}

const CAMPAIGN_FACTS: &str = "-- store.campaign_facts
select lane, redial, recipients_made, jobs_made, closed_at, canceled_at from campaigns where id = $1";

const CAMPAIGNS_OF_OTHERS: &str = "-- store.campaigns_of_others
select count(*) from campaigns c join districts d on d.id = c.district_id where not starts_with(d.name, $1)";

const RECIPIENT_FACTS: &str = "-- store.recipient_facts
select id, no_device from recipients where campaign_id = $1 and id > $2 and $3::smallint = 0
order by id limit $4";

/// A job whose destination is missing is still told of.
const JOB_FACTS: &str = "-- store.job_facts
select j.id, j.recipient_id, j.channel, coalesce(d.duplicate, false) as duplicate, j.state, j.outcome, j.attempt
from (
  select * from jobs where campaign_id = $1 and id > $2 and $3::smallint = 0 order by id limit $4) j
left join destinations d on d.campaign_id = $1 and d.job_id = j.id
order by j.id";

const ATTEMPT_FACTS: &str = "-- store.attempt_facts
select job_id, number, state, outcome, claimed_at, settled_at from attempts
where campaign_id = $1 and (job_id, number) > ($2, $3::smallint)
order by job_id, number limit $4";
