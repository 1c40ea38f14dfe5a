//! A worker that is held between its stages: what it has in hand is kept here, until the driver lets it go on.

use std::sync::Arc;

use anyhow::Result;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AccountId, AttemptKey, Channel, Lane, WorkerId};
use tocsin_providers::Whose;
use tocsin_runtime::Clock as _;
use tocsin_store::claim::Claim;
use tocsin_worker::stages::{Answered, Batch, Outcomes, Permitted, Sent, Stages, Standing};
use tocsin_worker::{Worker, WorkerSettings};
use uuid::Uuid;

use super::{Account, Campaign, PUBLIC_URL, World};
use crate::clock::SimulatedClock;
use crate::invariants::claims::Grant;
use crate::invariants::tokens::Permits;
use crate::invariants::{Promise, Watch, broken, emergency, hold, windows};
use crate::plan::Stage;
use crate::provider::{Effect, Ledger, Refusal, Request};

/// Claims that may be under way at once, as in the pipeline.
const CLAIMS_AT_ONCE: usize = 3;
const PREFETCH: [u16; 3] = [8; 3];
/// Places of the process.
const IN_FLIGHT_MAX: usize = 8;

#[derive(Debug)]
pub struct SimulatedWorker {
    pub worker: Worker,
    pub frozen: bool,
    channels: Vec<Channel>,
    /// None: its session is lost, and it has not opened another.
    stages: Option<Stages>,
    permitted: Vec<(Channel, Vec<Permitted>)>,
    answered: Vec<(Channel, Answered)>,
    batches: Vec<(Channel, Batch)>,
    sent: Vec<(Vec<AttemptKey>, Sent)>,
    outcomes: Outcomes,
}

/// What a step of a worker is judged with.
struct Eyes<'a> {
    watch: &'a mut Watch,
    campaigns: &'a [Campaign],
    accounts: &'a [Account],
    ledger: &'a std::sync::Mutex<Ledger>,
    clock: &'a SimulatedClock,
}

impl SimulatedWorker {
    pub fn start(world: &World<'_>, clock: &SimulatedClock, id: Uuid) -> Result<Self> {
        let settings = WorkerSettings {
            channels: world.channels.clone(),
            prefetch: PREFETCH,
            in_flight_max: IN_FLIGHT_MAX,
            public_url: PUBLIC_URL.to_owned(),
            token_keys: world.token_keys.clone(),
        };
        let worker = Worker::new(
            WorkerId(id),
            world.database.store.clone(),
            Arc::new(world.broker.clone()),
            clock.shared(),
            Arc::clone(&world.registry),
            settings,
        );
        Ok(Self {
            worker,
            frozen: false,
            channels: world.channels.clone(),
            stages: None,
            permitted: Vec::new(),
            answered: Vec::new(),
            batches: Vec::new(),
            sent: Vec::new(),
            outcomes: Vec::new(),
        })
    }

    /// Has it nothing left in hand, nor any job that waits?
    pub fn is_done(&self) -> bool {
        let waits = self.stages.as_ref().is_some_and(|stages| {
            self.channels.iter().any(|channel| stages.waiting(*channel).next().is_some())
        });
        !waits
            && self.permitted.is_empty()
            && self.answered.is_empty()
            && self.batches.is_empty()
            && self.sent.is_empty()
            && self.outcomes.is_empty()
    }

    /// Takes in what is there. Returns whether there is anything to work on.
    pub async fn takes_in(&mut self) -> Result<bool> {
        self.connect().await?;
        if let Some(stages) = &mut self.stages {
            stages.obey().await;
            for channel in &self.channels {
                for lane in Lane::ALL {
                    stages.take_in(*channel, lane).await;
                }
            }
        }
        Ok(!self.is_done())
    }

    /// A lost session takes the jobs with it that wait.
    pub async fn lose_session(&mut self) {
        if let Some(stages) = self.stages.take() {
            stages.lose().await;
        }
    }

    /// It is gone, with all that it has in hand.
    pub async fn crash(mut self, world: &mut World<'_>) {
        self.lose_session().await;
        let permitted: usize = self.permitted.iter().map(|(_, jobs)| jobs.len()).sum();
        let granted: usize = self.answered.iter().map(|(_, answered)| granted(answered)).sum();
        let batched: usize = self.batches.iter().map(|(_, batch)| batch.claims.len()).sum();
        world.watch.tokens.lost += (permitted + granted + batched) as u64;
        let attempts: Vec<AttemptKey> = self.sent.iter().flat_map(|(attempts, _)| attempts.clone()).collect();
        world.ledger().answered(&attempts);
    }

    /// It finishes what is claimed, gives back what is not, and leaves.
    pub async fn stop(mut self, world: &mut World<'_>) -> Result<()> {
        for stage in [Stage::Claim, Stage::Settle, Stage::Send, Stage::Answer, Stage::Record] {
            self.stage(world, stage).await?;
        }
        if let Some(stages) = self.stages.take() {
            stages.leave().await;
        }
        self.worker.drop_leases().await?;
        world.watch.leases.left(self.worker.id());
        Ok(())
    }

    pub async fn renew(&mut self, world: &mut World<'_>) -> Result<()> {
        let (before, now) = (self.worker.standings(), world.now());
        self.worker.renew_leases().await?;
        // A debt that is paid with what is there.
        world.watch.paid(&before, &self.worker.standings(), now);
        world.watch.leases.renewed(self.worker.id(), &self.worker.standings(), now);
        world.watch.throttles.renewed(world.database, self.worker.id()).await?;
        world.watch.leases.judge(&world.accounts, now)
    }

    /// Recalls and look-ups that wait.
    pub async fn serve(&mut self, world: &mut World<'_>) -> Result<()> {
        self.connect().await?;
        let Some(stages) = &mut self.stages else { return Ok(()) };
        let mut served = 0;
        for channel in &self.channels {
            served += stages.recall(*channel).await?;
            served += stages.look_up(*channel).await?;
        }
        if served > 0 {
            world.watch.callbacks.look(world.database).await?;
        }
        Ok(())
    }

    pub async fn stage(&mut self, world: &mut World<'_>, stage: Stage) -> Result<()> {
        if matches!(stage, Stage::Obey | Stage::TakeIn | Stage::Permit) {
            self.connect().await?;
        }
        let mut eyes = Eyes {
            watch: &mut world.watch,
            campaigns: &world.campaigns,
            accounts: &world.accounts,
            ledger: &world.ledger,
            clock: &world.clock,
        };
        match stage {
            Stage::Obey => self.obey().await,
            Stage::TakeIn => self.take_in(&mut eyes).await?,
            Stage::Permit => self.permit(&mut eyes).await?,
            Stage::Claim if self.permitted.is_empty() => {}
            Stage::Claim => {
                self.claim(&mut eyes).await?;
                world.watch.calls.judge(world.database, &world.accounts).await?;
            }
            Stage::Settle => self.settle().await,
            Stage::Send => self.send(&mut eyes).await?,
            Stage::Answer => self.answer(&mut eyes),
            Stage::Record if self.outcomes.is_empty() => {}
            Stage::Record => {
                let outcomes = std::mem::take(&mut self.outcomes);
                let now = world.now();
                for settled in &outcomes {
                    let report = &settled.report;
                    let grant = world.watch.claims.granted.get(&report.attempt);
                    world.watch.untaken.recorded(report.attempt, &report.kind, grant, now);
                }
                self.worker.record(outcomes).await?;
                world.watch.callbacks.look(world.database).await?;
            }
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<()> {
        if self.stages.as_ref().is_some_and(Stages::is_lost) {
            self.lose_session().await;
        }
        if self.stages.is_none() {
            self.stages = Some(Stages::open(&self.worker).await?);
        }
        Ok(())
    }

    async fn obey(&mut self) {
        if let Some(stages) = &mut self.stages {
            stages.obey().await;
        }
    }

    async fn take_in(&mut self, eyes: &mut Eyes<'_>) -> Result<()> {
        let Some(stages) = &mut self.stages else { return Ok(()) };
        let before = self.worker.standings();
        for channel in &self.channels {
            for lane in Lane::ALL {
                stages.take_in(*channel, lane).await;
            }
        }
        let after = self.worker.standings();
        spent(eyes, &before, &after, &[])
    }

    async fn permit(&mut self, eyes: &mut Eyes<'_>) -> Result<()> {
        let Some(stages) = &mut self.stages else { return Ok(()) };
        for channel in &self.channels {
            stages.give_back_overdue(*channel).await;
            if self.permitted.iter().filter(|(of, _)| of == channel).count() >= CLAIMS_AT_ONCE {
                continue;
            }
            let before = self.worker.standings();
            let permitted = stages.permits(*channel);
            let after = self.worker.standings();
            spent(eyes, &before, &after, &permitted)?;
            emergency::permitted(&permitted, stages.waiting(*channel))?;
            if !permitted.is_empty() {
                self.permitted.push((*channel, permitted));
            }
        }
        Ok(())
    }

    async fn claim(&mut self, eyes: &mut Eyes<'_>) -> Result<()> {
        let (worker, now) = (self.worker.id(), eyes.clock.now());
        for (channel, permitted) in std::mem::take(&mut self.permitted) {
            let Some(answered) = self.worker.ask(permitted).await else {
                return Err(broken(Promise::NothingFails, "a claim failed in the store"));
            };
            eyes.watch.tokens.denied += answered.void.len() as u64;
            for answer in &answered.answers {
                let Claim::Granted(granted) = answer else {
                    eyes.watch.tokens.denied += 1;
                    continue;
                };
                let attempt = granted.attempt;
                eyes.watch.cancels.granted(attempt)?;
                eyes.watch.barred.granted(eyes.campaigns, channel, granted)?;
                hold(
                    Promise::NeverAboveTheLimit,
                    eyes.watch.leases.is_valid(granted.account, worker, now),
                    || format!("attempt {attempt} was granted without a lease"),
                )?;
                let campaign = eyes.campaigns.iter().find(|campaign| campaign.id == attempt.job.campaign);
                if let Some(campaign) = campaign {
                    windows::granted(campaign, attempt, now)?;
                    let Watch { claims, callbacks, .. } = &mut *eyes.watch;
                    claims.needed(attempt, &campaign.redial, &callbacks.known)?;
                }
                let Some(permitted) = answered.permitted.get(&(attempt.job, granted.account)) else {
                    continue;
                };
                let (generation, account) = (permitted.job.generation, permitted.share.account);
                eyes.watch.claims.note(attempt, Grant { generation, account, at: now })?;
            }
            self.answered.push((channel, answered));
        }
        Ok(())
    }

    async fn settle(&mut self) {
        for (channel, answered) in std::mem::take(&mut self.answered) {
            let batches = self.worker.settle(channel, answered).await;
            self.batches.extend(batches.into_iter().map(|batch| (channel, batch)));
        }
    }

    async fn send(&mut self, eyes: &mut Eyes<'_>) -> Result<()> {
        let worker = self.worker.id();
        for (channel, batch) in std::mem::take(&mut self.batches) {
            let attempts: Vec<AttemptKey> =
                batch.claims.iter().map(|claimed| claimed.grant.attempt).collect();
            let recipients: Vec<(AttemptKey, String)> = match channel {
                Channel::Inbox => {
                    batch.claims.iter().map(|one| (one.grant.attempt, one.grant.address.clone())).collect()
                }
                Channel::Voice | Channel::Sms | Channel::Email => Vec::new(),
            };
            let earlier = ledger(eyes).requests.len();
            let sent = self.worker.send(channel, batch).await;
            let is_late = |kind: &ReportKind| *kind == ReportKind::NotAsked;
            let late = sent.settled.iter().filter(|settled| is_late(&settled.report.kind)).count();
            eyes.watch.tokens.not_asked += late as u64;
            if channel == Channel::Inbox {
                note_messages(eyes, &recipients, &sent);
            }
            let requests = ledger(eyes).requests[earlier..].to_vec();
            let is_asked =
                |attempt: &&AttemptKey| requests.iter().any(|request| request.attempt == **attempt);
            eyes.watch.calls.over(attempts.iter().filter(|attempt| !is_asked(attempt)).copied());
            for request in &requests {
                let heard = self.worker.knows_canceled(request.attempt.job.campaign);
                eyes.watch.cancels.requested(request, heard)?;
                let grant = eyes.watch.claims.requested(request)?;
                hold(
                    Promise::NeverAboveTheLimit,
                    eyes.watch.leases.counts(grant.account, worker, request.at),
                    || format!("attempt {} was requested long after its lease", request.attempt),
                )?;
                note_refusal(eyes, worker, grant.account, request);
            }
            self.sent.push((attempts, sent));
        }
        Ok(())
    }

    /// The answers have come: the places are free, and the outcomes wait to be recorded.
    fn answer(&mut self, eyes: &mut Eyes<'_>) {
        for (attempts, sent) in std::mem::take(&mut self.sent) {
            let over = ledger(eyes).answered(&attempts);
            eyes.watch.calls.over(over.into_iter());
            let Sent { settled, places } = sent;
            self.outcomes.extend(settled);
            drop(places);
        }
    }
}

fn ledger<'a>(eyes: &'a Eyes<'_>) -> std::sync::MutexGuard<'a, Ledger> {
    eyes.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn spent(
    eyes: &mut Eyes<'_>,
    before: &[Standing],
    after: &[Standing],
    permitted: &[Permitted],
) -> Result<()> {
    let now = eyes.clock.now();
    for (account, tokens) in eyes.watch.tokens.step(before, after, Permits::of(permitted), eyes.accounts)? {
        eyes.watch.limits.took(account, now, tokens);
    }
    Ok(())
}

/// The inbox has no provider that would witness it: what was asked of the store is noted here, and at the end held against
/// the messages.
fn note_messages(eyes: &Eyes<'_>, recipients: &[(AttemptKey, String)], sent: &Sent) {
    let (at, mut ledger) = (eyes.clock.now(), ledger(eyes));
    for settled in sent.settled.iter().filter(|settled| settled.report.kind != ReportKind::NotAsked) {
        let attempt = settled.report.attempt;
        let Some((_, to)) = recipients.iter().find(|(of, _)| *of == attempt) else { continue };
        let account = eyes.accounts.iter().find(|account| account.channel == Channel::Inbox);
        ledger.requests.push(Request {
            account: account.map_or_else(String::new, |account| account.name.clone()),
            channel: Channel::Inbox,
            attempt,
            from: None,
            to: to.clone(),
            at,
            effect: Effect::Accepted,
            refusal: None,
            stopped: false,
            open: false,
            provider_id: String::new(),
        });
    }
}

/// What a refusal means for the account, or for its number.
fn note_refusal(eyes: &mut Eyes<'_>, worker: WorkerId, by: AccountId, request: &Request) {
    let sender =
        eyes.accounts.iter().find(|account| account.id == by).and_then(|account| account.sender.as_ref());
    match request.refusal {
        Some(Refusal::Sender) => eyes.watch.senders.refused(by),
        Some(Refusal::Throttled(whose, retry_after)) => {
            let slowed = match (whose, sender) {
                (Whose::Account, Some(sender)) => sender.account,
                (Whose::Account, None) | (Whose::Sender, _) => by,
            };
            eyes.watch.throttles.told(worker, slowed, retry_after);
        }
        Some(Refusal::Device | Refusal::NotReached) | None => {}
    }
}

fn granted(answered: &Answered) -> usize {
    answered.answers.iter().filter(|answer| matches!(answer, Claim::Granted(_))).count()
}
