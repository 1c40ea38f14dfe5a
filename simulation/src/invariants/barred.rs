//! Who opted out of texts, or whose address is suppressed, is not contacted by any claim that is granted after; and what a
//! person texted last stands, however often and in whatever order a vendor's posts arrive.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::consent::ConsentState;
use tocsin_domain::{Channel, DistrictId};
use tocsin_store::claim::Granted;

use super::{Promise, hold};
use crate::clock::SKEW_MAX;
use crate::database::{Database, district};
use crate::plan::Says;
use crate::provider::Text;
use crate::world::Campaign;

/// A STOP counts although the consent was changed so much later, by a clock that may be ahead.
const STOP_COUNTS_FOR: TimeDelta = TimeDelta::seconds(2);

#[derive(Debug, Default)]
pub struct Barred {
    addresses: HashSet<(DistrictId, Channel, String)>,
    /// Those that were barred at any time.
    ever: HashSet<(DistrictId, Channel, String)>,
    /// By district and phone, in the order in which it was said.
    said: HashMap<(usize, String), Vec<Said>>,
}

#[derive(Debug, Clone, Copy)]
struct Said {
    at: DateTime<Utc>,
    stop: bool,
}

impl Barred {
    pub fn bar(&mut self, district: DistrictId, channel: Channel, address: String) {
        self.ever.insert((district, channel, address.clone()));
        self.addresses.insert((district, channel, address));
    }

    /// Was the address barred at any time?
    pub fn was(&self, campaign: &Campaign, channel: Channel, address: &str) -> bool {
        self.ever.contains(&(district(campaign.submission.district), channel, address.to_owned()))
    }

    /// The district was told by somebody that a phone wants no more texts.
    pub fn told(&mut self, number: usize, phone: &str, at: DateTime<Utc>) {
        self.said.entry((number, phone.to_owned())).or_default().push(Said { at, stop: true });
    }

    /// A text was taken, and waits to be applied.
    pub fn texted(&mut self, text: &Text) {
        let stop = match text.says {
            Says::Stop => true,
            Says::Start => false,
            Says::Help | Says::Nothing => return,
        };
        let Some(at) = text.taken_at else { return };
        self.said.entry((text.district, text.from.clone())).or_default().push(Said { at, stop });
        if !stop {
            self.addresses.remove(&(district(text.district), Channel::Sms, text.from.clone()));
        }
    }

    /// A copy of a text was taken while the text itself may be on its way still. Whichever comes first counts, with its time.
    pub fn may_overtake(&mut self, text: &Text, at: DateTime<Utc>) {
        if let Some(said) = self.said.get_mut(&(text.district, text.from.clone())) {
            said.insert(0, Said { at, stop: text.says == Says::Stop });
        }
    }

    /// Texts were applied: whoever has opted out by now is barred.
    pub async fn heard(&mut self, database: &Database) -> Result<()> {
        for (district, phone, state) in consents(database).await? {
            if state == ConsentState::OptedOut.number() {
                self.bar(district, Channel::Sms, phone);
            }
        }
        Ok(())
    }

    pub fn granted(&self, campaigns: &[Campaign], channel: Channel, granted: &Granted) -> Result<()> {
        let campaign = campaigns.iter().find(|campaign| campaign.id == granted.attempt.job.campaign);
        let barred = campaign.is_some_and(|campaign| {
            let of = district(campaign.submission.district);
            self.addresses.contains(&(of, channel, granted.address.clone()))
        });
        hold(Promise::NobodyBarred, !barred, || {
            format!("attempt {} is to an address that is", granted.attempt)
        })
    }

    /// When every text is applied.
    pub async fn judge(&self, database: &Database) -> Result<()> {
        if self.said.is_empty() {
            return Ok(());
        }
        let stands: HashMap<(DistrictId, String), i16> = consents(database)
            .await?
            .into_iter()
            .map(|(district, phone, state)| ((district, phone), state))
            .collect();
        for ((number, phone), said) in &self.said {
            let Some(last) = said.last() else { continue };
            let state = stands.get(&(district(*number), phone.clone())).copied();
            let opted_out = state == Some(ConsentState::OptedOut.number());
            // Near to each other, and timed by two clocks, either may be the later.
            let is_clear = |stop: &Said| stop.at + STOP_COUNTS_FOR + SKEW_MAX < last.at;
            let clear = said.iter().filter(|one| one.stop).all(is_clear);
            let holds = if last.stop { opted_out } else { !clear || !opted_out };
            hold(Promise::NobodyBarred, holds, || {
                let word = if last.stop { "stop" } else { "start" };
                format!(
                    "a phone of district {number} said {word} last, and its consent is {state:?}: {said:?}"
                )
            })?;
        }
        Ok(())
    }
}

async fn consents(database: &Database) -> Result<Vec<(DistrictId, String, i16)>> {
    let rows = database.query(CONSENTS, &[]).await?;
    let read =
        |row: &tokio_postgres::Row| (DistrictId(row.get("district_id")), row.get("phone"), row.get("state"));
    Ok(rows.iter().map(read).collect())
}

const CONSENTS: &str = "select district_id, phone, state from consents";
