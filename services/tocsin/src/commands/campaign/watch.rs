//! `tocsin campaign watch`: bars on a terminal, else lines, else JSON lines.

use std::time::Duration;

use anyhow::Result;
use tocsin_domain::CampaignId;

use crate::client::{Client, Detail, read};
use crate::terminal::{in_colour_of, print};
use crate::view::board::Board;

/// How often a watched campaign is asked for.
const EVERY: Duration = Duration::from_secs(1);

/// Returns when the campaign has ended.
pub(super) async fn run(api: &Client, id: CampaignId, as_json: bool) -> Result<()> {
    if as_json { json_lines(api, id).await } else { board(api, id).await }
}

async fn json_lines(api: &Client, id: CampaignId) -> Result<()> {
    loop {
        let answer = api.get(&format!("/v1/campaigns/{id}")).await?;
        print(format_args!("{answer}\n"))?;
        if !answer["ended_at"].is_null() {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn board(api: &Client, id: CampaignId) -> Result<()> {
    let mut board = Board::new()?;
    let mut last = None;
    loop {
        let detail: Detail = read(api.get(&format!("/v1/campaigns/{id}")).await?)?;
        if last != Some(detail.state) {
            let state = in_colour_of(detail.state, detail.state.as_str());
            board.say(&format!("Message ID {} is {state}: {}", detail.number, detail.subject))?;
            last = Some(detail.state);
        }
        board.show(std::slice::from_ref(&detail))?;
        if detail.ended_at.is_some() {
            board.clear()?;
            print("\n")?;
            return super::page(api, &detail).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}
