//! `tocsin api-key`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tocsin_api::draw_key;
use tocsin_domain::rights::BuiltIn;
use tocsin_runtime::{Clock as _, Config, SystemClock};
use tocsin_store::Store;
use tocsin_store::districts::{ApiKey, District};
use tocsin_store::tenant::keys::NewKey;
use uuid::Uuid;

use super::district::{name, named};
use super::operator::{DataPath, with_store};
use super::user::known_roles;
use crate::exit::{Exit, Failure};
use crate::terminal::{print, print_json, say, table};

/// Of a key for which no role is named.
const EVERYTHING: BuiltIn = BuiltIn::Administrator;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an API key and print it, this once.
    #[command(after_long_help = "\
Examples:
  export TOCSIN_API_KEY=$(tocsin api-key add --district Springfield --name office)
  tocsin api-key add --district Springfield --name portal --role portal")]
    Add {
        #[arg(long, value_name = "NAME")]
        district: String,
        /// What the key is for.
        #[arg(long, value_name = "LABEL", value_parser = name)]
        name: String,
        /// A role of the key; administrator, which may do everything, unless said. May be given several times.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// List keys by what they are for, the oldest first. The keys themselves are not kept.
    #[command(after_long_help = "\
Examples:
  tocsin api-key list
  tocsin api-key list --district Springfield")]
    List {
        /// Of one district only.
        #[arg(long, value_name = "NAME")]
        district: Option<String>,
    },
    /// Revoke a key: from then on the API refuses it.
    #[command(after_long_help = "\
Examples:
  tocsin api-key list
  tocsin api-key revoke 01900000-0000-7000-8000-000000000001")]
    Revoke {
        /// From `tocsin api-key list`.
        id: Uuid,
    },
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| run_on(args, store).await).await
}

async fn run_on(args: Args, store: &Store) -> Result<ExitCode> {
    match args.action {
        Action::Add { district, name, roles } => {
            let district = named(store, &district).await?;
            let roles = if roles.is_empty() { vec![EVERYTHING.as_str().to_owned()] } else { roles };
            known_roles(store, &district, &roles).await?;
            let key = add_key_with(store, &district, &name, &roles).await?;
            if args.json {
                print_json(&json!({ "district": district.name, "name": name, "key": key }))?;
            } else {
                // The key alone on the output, for `export TOCSIN_API_KEY=$(tocsin api-key add …)`.
                print(format_args!("{key}\n"))?;
            }
            say(format_args!(
                "keep this key of {:?}: it is not stored and cannot be shown again",
                district.name
            ));
        }
        Action::List { district } => {
            let keys = listed(store, district.as_deref()).await?;
            if args.json {
                let keys: Vec<Value> = keys.iter().map(|(district, key)| as_json(district, key)).collect();
                print_json(&json!({ "api_keys": keys }))?;
            } else if keys.is_empty() {
                say("no keys: make one with `tocsin api-key add --district NAME --name LABEL`");
            } else {
                print(in_lines(&keys))?;
            }
        }
        Action::Revoke { id } => {
            let revoked = revoke(store, id).await?;
            if args.json {
                print_json(&json!({ "id": id, "revoked": true, "was_revoked_before": !revoked }))?;
            } else if revoked {
                print(format_args!("revoked key {id}\n"))?;
            } else {
                print(format_args!("key {id} was revoked before\n"))?;
            }
        }
    }
    Ok(Exit::Done.into())
}

/// Makes an API key of the district that may do everything, and returns it; the store keeps only its SHA-256.
pub async fn add_key(store: &Store, district: &District, name: &str) -> Result<String> {
    add_key_with(store, district, name, &[EVERYTHING.as_str().to_owned()]).await
}

async fn add_key_with(store: &Store, district: &District, name: &str, roles: &[String]) -> Result<String> {
    let key = draw_key().context("the system gives no random bytes")?;
    let new = NewKey { id: Uuid::new_v4(), name, key_hash: &Sha256::digest(&key), roles };
    store.tenant(district.id).add_own_key(&new, SystemClock.now()).await?;
    Ok(key)
}

/// The keys with their districts' names.
async fn listed(store: &Store, district: Option<&str>) -> Result<Vec<(String, ApiKey)>> {
    let districts = match district {
        Some(name) => vec![named(store, name).await?],
        None => store.districts().await?,
    };
    let keys = store.api_keys().await?.into_iter().filter_map(|key| {
        let owner = districts.iter().find(|district| district.id == key.district)?;
        Some((owner.name.clone(), key))
    });
    Ok(keys.collect())
}

/// False: it was revoked before.
async fn revoke(store: &Store, id: Uuid) -> Result<bool> {
    if store.revoke_api_key(id, SystemClock.now()).await? {
        return Ok(true);
    }
    if store.api_keys().await?.iter().any(|key| key.id == id) {
        return Ok(false);
    }
    Err(Failure::refused(format!("no key has the id {id}: `tocsin api-key list` shows them all")).into())
}

fn in_lines(keys: &[(String, ApiKey)]) -> String {
    let minute = |at: chrono::DateTime<chrono::Utc>| at.format("%F %R").to_string();
    let row = |(district, key): &(String, ApiKey)| {
        let revoked = key.revoked_at.map_or_else(|| "-".to_owned(), minute);
        let roles = key.roles.join(", ");
        [key.id.to_string(), district.clone(), minute(key.created_at), revoked, roles, key.name.clone()]
    };
    let rows: Vec<[String; 6]> = keys.iter().map(row).collect();
    table(["Id", "District", "Made (UTC)", "Revoked (UTC)", "Roles", "For"], &rows)
}

fn as_json(district: &str, key: &ApiKey) -> Value {
    json!({
        "id": key.id,
        "district": district,
        "name": key.name,
        "roles": key.roles,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    })
}

#[cfg(test)]
mod tests {
    use tocsin_store::Access;
    use tocsin_testkit::TestDatabase;

    use super::*;
    use crate::commands::district::add;

    #[tokio::test]
    async fn a_revoked_key_opens_nothing_and_stays_on_the_list() {
        let database = TestDatabase::create().await.unwrap();
        let store = Store::open(&database.url, 1, Access::Engine).unwrap();
        let mut keys = Vec::new();
        for district in ["Springfield", "Ogdenville"] {
            let district = add(&store, district.to_owned(), None, "US".to_owned()).await.unwrap();
            keys.push(add_key(&store, &district, "office").await.unwrap());
        }
        let all = listed(&store, None).await.unwrap();
        assert_eq!(all.len(), 2);
        let of_one = listed(&store, Some("Springfield")).await.unwrap();
        assert_eq!(of_one, all[..1]);
        let text = in_lines(&all);
        assert!(!keys.iter().any(|key| text.contains(key.as_str())), "{text}");

        let id = of_one[0].1.id;
        assert!(revoke(&store, id).await.unwrap());
        assert!(!revoke(&store, id).await.unwrap(), "revoked before");
        let unknown = revoke(&store, Uuid::new_v4()).await.unwrap_err();
        assert_eq!(Exit::of(&unknown), Exit::Refused);
        let owner = async |key: &str| store.district_of_key(&Sha256::digest(key)).await.unwrap();
        assert_eq!(owner(&keys[0]).await, None);
        assert_eq!(owner(&keys[1]).await, Some(all[1].1.district));
        let revoked = listed(&store, None).await.unwrap();
        assert!(revoked[0].1.revoked_at.is_some() && revoked[1].1.revoked_at.is_none());
    }
}
