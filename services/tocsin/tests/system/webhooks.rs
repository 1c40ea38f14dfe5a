//! A webhook over real TLS: from a planner's process to a receiver whose certificate its machine trusts, and to none other.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tocsin_testkit::TestVhost;
use tocsin_testkit::simulator::CallbackReceiver;
use tocsin_testkit::wait_until;

use crate::facts::WITHIN;
use crate::fleet::Fleet;

/// Endpoints are public hosts but for these.
const ON_THIS_MACHINE: &str = "accounts = []\n[webhooks]\nnetworks = [\"127.0.0.0/8\", \"::1/128\"]\n";

#[tokio::test]
async fn a_webhook_is_delivered_by_https_to_a_trusted_receiver_alone() -> Result<()> {
    let (trusted, stranger) = (CallbackReceiver::start_tls().await?, CallbackReceiver::start_tls().await?);
    let authorities = tempfile::NamedTempFile::new()?;
    std::fs::write(authorities.path(), trusted.certificate.as_deref().context("no certificate")?)?;
    let authorities = authorities.path().to_str().context("a file whose name is no text")?;
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::with_accounts_of(&vhost.amqp_url, ON_THIS_MACHINE.to_owned()).await?;
    let _planner = fleet.planner_with(&[("SSL_CERT_FILE", authorities)]).await?;
    let mut sent = Vec::new();
    for receiver in [&trusted, &stranger] {
        let url = format!("{}/hook", receiver.base_url);
        let endpoint = json!({ "url": url, "events": ["campaign.closed"] });
        let endpoint = fleet.client.ask_post("/v1/webhooks", &endpoint).await?;
        let id = endpoint["id"].as_str().context("no id")?.to_owned();
        let test = fleet.client.ask_post(&format!("/v1/webhooks/{id}/test"), &json!({})).await?;
        sent.push((id, test["id"].clone()));
    }
    let received = trusted.received_at_least(1, WITHIN).await?;
    ensure!(received[0].url.ends_with("/hook"), "{received:?}");
    let header =
        |name: &str| received[0].headers.iter().find(|(is, _)| is == name).map(|(_, value)| value.clone());
    ensure!(header("webhook-id").as_deref() == sent[0].1.as_str(), "{received:?}");
    ensure!(header("webhook-signature").is_some_and(|it| it.starts_with("v1,")), "{received:?}");
    let delivery = async |(id, _): &(String, Value)| -> Result<Value> {
        let page = fleet.client.ask_get(&format!("/v1/webhooks/{id}/deliveries")).await?;
        Ok(page["deliveries"][0].clone())
    };
    wait_until("the delivery to be recorded", WITHIN, async || {
        delivery(&sent[0]).await.is_ok_and(|it| it["state"] == "delivered" && it["status"] == 200)
    })
    .await?;
    wait_until("the stranger to be refused", WITHIN, async || {
        delivery(&sent[1]).await.is_ok_and(|it| it["fault"] == "no_connection" && it["state"] == "waiting")
    })
    .await?;
    ensure!(stranger.received().is_empty(), "told to whoever has another certificate");
    Ok(())
}
