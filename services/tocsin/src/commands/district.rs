//! `tocsin district` and `tocsin api-key`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono_tz::Tz;
use clap::Subcommand;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sha2::{Digest as _, Sha256};
use tocsin_domain::DistrictId;
use tocsin_runtime::{Clock as _, Config, SystemClock};
use tocsin_store::Store;
use tocsin_store::districts::District;
use uuid::Uuid;

use super::store::{DataPath, with_store};

/// What every key begins with, so that one that leaked is recognised.
const KEY_PREFIX: &str = "tocsin_";
const KEY_BYTES: usize = 32;
/// Of a district's name and a key's label.
const NAME_CHARS_MAX: usize = 200;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a district.
    Add {
        #[arg(value_parser = name)]
        name: String,
        /// IANA name, such as America/Chicago: calling windows and schedules are in it.
        #[arg(long, value_name = "IANA")]
        time_zone: Option<Tz>,
        /// ISO 3166 code of the country whose phone numbers are written without a country code.
        #[arg(long, default_value = "US", value_parser = region)]
        region: String,
    },
    /// List the districts.
    List,
}

#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    action: KeyAction,
}

#[derive(Debug, Subcommand)]
enum KeyAction {
    /// Make an API key and print it, this once.
    Add {
        #[arg(long, value_name = "NAME")]
        district: String,
        /// What the key is for.
        #[arg(long, value_name = "LABEL", value_parser = name)]
        name: String,
    },
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| run_on(args, store).await).await
}

async fn run_on(args: Args, store: &Store) -> Result<ExitCode> {
    match args.action {
        Action::Add { name, time_zone, region } => {
            let district = add(store, name, time_zone, region).await?;
            println!("{}", line(&district));
        }
        Action::List => {
            let districts = store.districts().await?;
            if districts.is_empty() {
                eprintln!("no districts: make one with `tocsin district add NAME`");
            }
            for district in &districts {
                println!("{}", line(district));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn run_key(args: KeyArgs, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    let KeyAction::Add { district, name } = args.action;
    with_store(config, data, async |store| {
        let district = named(store, &district).await?;
        let key = add_key(store, &district, &name).await?;
        // The key alone on the output, for `export TOCSIN_API_KEY=$(tocsin api-key add …)`.
        println!("{key}");
        eprintln!("keep this key of {:?}: it is not stored and cannot be shown again", district.name);
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// The district of that name, or an error that says which there are.
pub async fn named(store: &Store, name: &str) -> Result<District> {
    if let Some(district) = store.district_by_name(name).await? {
        return Ok(district);
    }
    let known: Vec<String> =
        store.districts().await?.into_iter().map(|district| format!("{:?}", district.name)).collect();
    let known = if known.is_empty() { "there is none yet".to_owned() } else { known.join(", ") };
    bail!("no district {name:?} ({known}): make it with `tocsin district add {name:?}`");
}

/// Makes a district; its name must be free.
pub async fn add(store: &Store, name: String, time_zone: Option<Tz>, region: String) -> Result<District> {
    let district = District {
        id: DistrictId(Uuid::new_v4()),
        name,
        time_zone: time_zone.map(|zone| zone.name().to_owned()),
        default_region: region,
    };
    if !store.add_district(&district, SystemClock.now()).await? {
        bail!("there is a district {:?} already: choose another name", district.name);
    }
    Ok(district)
}

/// Makes an API key of the district and returns it; the store keeps only its SHA-256.
pub async fn add_key(store: &Store, district: &District, name: &str) -> Result<String> {
    let mut secret = [0; KEY_BYTES];
    OsRng.try_fill_bytes(&mut secret).context("the system gives no random bytes")?;
    let key = format!("{KEY_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(secret));
    let hash = Sha256::digest(&key);
    store.add_api_key(district.id, Uuid::new_v4(), name, &hash, SystemClock.now()).await?;
    Ok(key)
}

/// `Springfield<tab>America/Chicago<tab>US<tab>id`
fn line(district: &District) -> String {
    let zone = district.time_zone.as_deref().unwrap_or("-");
    format!("{}\t{zone}\t{}\t{}", district.name, district.default_region, district.id)
}

fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) || text.chars().count() > NAME_CHARS_MAX {
        return Err(format!("write 1 to {NAME_CHARS_MAX} characters in one line"));
    }
    Ok(text.to_owned())
}

fn region(text: &str) -> Result<String, String> {
    let code = text.to_ascii_uppercase();
    let known = code.parse::<phonenumber::country::Id>().is_ok();
    if known { Ok(code) } else { Err("write the ISO 3166 code of a country, such as US".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tocsin_store::Access;
    use tocsin_testkit::TestDatabase;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_district_is_checked_before_it_is_made() {
        let parse = |words: &[&str]| Command::try_parse_from([&["district"], words].concat());
        let faults: [(&[&str], &str); 5] = [
            (&["add", " "], "1 to 200 characters"),
            (&["add", "a\tb"], "1 to 200 characters"),
            (&["add", "Springfield", "--time-zone", "CDT"], "--time-zone"),
            (&["add", "Springfield", "--region", "UX"], "ISO 3166"),
            (&["add"], "NAME"),
        ];
        for (words, fault) in faults {
            let error = parse(words).unwrap_err().to_string();
            assert!(error.contains(fault), "{words:?}: {error}");
        }
        let words = ["add", " Springfield ", "--time-zone", "America/Chicago", "--region", "ca"];
        let Action::Add { name, time_zone, region } = parse(&words).unwrap().args.action else {
            panic!("not add");
        };
        assert_eq!(
            (name.as_str(), time_zone, region.as_str()),
            ("Springfield", Some(Tz::America__Chicago), "CA")
        );
    }

    #[tokio::test]
    async fn a_district_is_found_by_its_name_and_its_key() {
        let database = TestDatabase::create().await.unwrap();
        let store = Store::open(&database.url, 1, Access::Engine).unwrap();
        let none = named(&store, "Springfield").await.unwrap_err().to_string();
        assert_eq!(
            none,
            "no district \"Springfield\" (there is none yet): make it with `tocsin district add \"Springfield\"`"
        );
        for name in ["Springfield", "Ogdenville"] {
            add(&store, name.to_owned(), None, "US".to_owned()).await.unwrap();
        }
        let unknown = named(&store, "Shelbyville").await.unwrap_err().to_string();
        assert!(unknown.contains("(\"Ogdenville\", \"Springfield\")"), "{unknown}");
        assert!(add(&store, "Springfield".to_owned(), None, "CA".to_owned()).await.is_err());

        let district = named(&store, "Springfield").await.unwrap();
        assert_eq!(district.default_region, "US");
        let (key, other) = (
            add_key(&store, &district, "console").await.unwrap(),
            add_key(&store, &district, "console").await.unwrap(),
        );
        assert!(key.starts_with("tocsin_") && key.len() == 7 + 43 && key != other);
        let owner = store.district_of_key(&Sha256::digest(&key)).await.unwrap();
        assert_eq!(owner, Some(district.id));
        assert_eq!(store.district_of_key(key.as_bytes()).await.unwrap(), None);
    }
}
