//! `tocsin district`.

use std::process::ExitCode;

use anyhow::Result;
use chrono_tz::Tz;
use clap::Subcommand;
use serde_json::{Value, json};
use tocsin_domain::DistrictId;
use tocsin_runtime::{Clock as _, Config, SystemClock};
use tocsin_store::Store;
use tocsin_store::districts::District;
use uuid::Uuid;

use super::operator::{DataPath, which_there_are, with_fit_store};
use crate::embedded::DataDirectory;
use crate::exit::{Exit, Failure};
use crate::terminal::{print, print_json, say, table};

/// Of a district's name and a key's label.
const NAME_CHARS_MAX: usize = 200;

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
    /// Make a district.
    #[command(after_long_help = "\
Examples:
  tocsin district add Springfield --time-zone America/Chicago
  tocsin district add Calgary --time-zone America/Edmonton --region CA")]
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
    /// Set a district's time zone: that of recipients whose own is not known.
    #[command(after_long_help = "\
Examples:
  tocsin district time-zone Springfield America/Chicago")]
    TimeZone {
        #[arg(value_parser = name)]
        name: String,
        /// IANA name, such as America/Chicago.
        #[arg(value_name = "IANA")]
        time_zone: Tz,
    },
    /// Set a district's weight: its part of what is released where districts wait for one account.
    #[command(after_long_help = "\
Examples:
  tocsin district weight Springfield 3")]
    Weight {
        #[arg(value_parser = name)]
        name: String,
        /// 1 to 100; a district has 1 unless it was given another.
        #[arg(value_parser = clap::value_parser!(i32).range(1..=100))]
        weight: i32,
    },
    /// List the districts.
    #[command(after_long_help = "\
Examples:
  tocsin district list
  tocsin district list --json | jq -r '.districts[].name'")]
    List,
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    let adds = matches!(args.action, Action::Add { .. });
    let fit = |directory: &DataDirectory| if adds { takes_districts(directory) } else { Ok(()) };
    with_fit_store(config, data, fit, async |store| run_on(args, store).await).await
}

/// `tocsin up` would no longer start on a sample with a real district beside it: its providers are simulated.
fn takes_districts(directory: &DataDirectory) -> Result<()> {
    if directory.sample().is_none() {
        return Ok(());
    }
    let what = format!(
        "the data directory {} holds the sample district, whose providers are simulated, and nothing else: give \
         another directory with --data",
        directory.path().display()
    );
    Err(Failure::refused(what).into())
}

async fn run_on(args: Args, store: &Store) -> Result<ExitCode> {
    match args.action {
        Action::Add { name, time_zone, region } => {
            let district = add(store, name, time_zone, region).await?;
            if args.json {
                print_json(&as_json(&district))?;
            } else {
                print(format_args!("made district {:?}, id {}\n", district.name, district.id))?;
            }
        }
        Action::TimeZone { name, time_zone } => {
            let mut district = named(store, &name).await?;
            store.set_time_zone(district.id, time_zone.name()).await?;
            district.time_zone = Some(time_zone.name().to_owned());
            if args.json {
                print_json(&as_json(&district))?;
            } else {
                print(format_args!("set the time zone of {:?} to {time_zone}\n", district.name))?;
            }
        }
        Action::Weight { name, weight } => {
            let mut district = named(store, &name).await?;
            store.set_weight(district.id, weight).await?;
            district.weight = weight;
            if args.json {
                print_json(&as_json(&district))?;
            } else {
                print(format_args!("set the weight of {:?} to {weight}\n", district.name))?;
            }
        }
        Action::List => {
            let districts = store.districts().await?;
            if args.json {
                let districts: Vec<Value> = districts.iter().map(as_json).collect();
                print_json(&json!({ "districts": districts }))?;
            } else if districts.is_empty() {
                say("no districts: make one with `tocsin district add NAME`");
            } else {
                print(listed(&districts))?;
            }
        }
    }
    Ok(Exit::Done.into())
}

/// The district of that name, or an error that says which there are.
pub async fn named(store: &Store, name: &str) -> Result<District> {
    if let Some(district) = store.district_by_name(name).await? {
        return Ok(district);
    }
    let districts = store.districts().await?;
    let known: Vec<&str> = districts.iter().map(|district| district.name.as_str()).collect();
    let which = which_there_are(name, &known);
    let what = format!("no district {name:?} ({which}): make it with `tocsin district add {name:?}`");
    Err(Failure::refused(what).into())
}

/// Makes a district; its name must be free.
pub async fn add(store: &Store, name: String, time_zone: Option<Tz>, region: String) -> Result<District> {
    let district = District {
        id: DistrictId(Uuid::new_v4()),
        name,
        time_zone: time_zone.map(|zone| zone.name().to_owned()),
        default_region: region,
        weight: 1,
    };
    if !store.add_district(&district, SystemClock.now()).await? {
        let what = format!("there is a district {:?} already: choose another name", district.name);
        return Err(Failure::refused(what).into());
    }
    Ok(district)
}

fn listed(districts: &[District]) -> String {
    let row = |district: &District| {
        let zone = district.time_zone.clone().unwrap_or_else(|| "-".to_owned());
        let weight = district.weight.to_string();
        [district.name.clone(), zone, district.default_region.clone(), weight, district.id.to_string()]
    };
    let rows: Vec<[String; 5]> = districts.iter().map(row).collect();
    table(["Name", "Time zone", "Region", "Weight", "Id"], &rows)
}

fn as_json(district: &District) -> Value {
    json!({
        "id": district.id,
        "name": district.name,
        "time_zone": district.time_zone,
        "region": district.default_region,
        "weight": district.weight,
    })
}

pub(super) fn name(text: &str) -> Result<String, String> {
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
    use sha2::{Digest as _, Sha256};
    use tocsin_store::Access;
    use tocsin_testkit::TestDatabase;

    use super::*;
    use crate::commands::keys::add_key;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_district_is_checked_before_it_is_made() {
        let parse = |words: &[&str]| Command::try_parse_from([&["district"], words].concat());
        let faults: [(&[&str], &str); 7] = [
            (&["add", " "], "1 to 200 characters"),
            (&["add", "a\tb"], "1 to 200 characters"),
            (&["add", "Springfield", "--time-zone", "CDT"], "--time-zone"),
            (&["add", "Springfield", "--region", "UX"], "ISO 3166"),
            (&["add"], "NAME"),
            (&["weight", "Springfield", "0"], "1..=100"),
            (&["weight", "Springfield", "101"], "1..=100"),
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
        assert!(unknown.contains("(known: \"Ogdenville\", \"Springfield\")"), "{unknown}");
        assert!(add(&store, "Springfield".to_owned(), None, "CA".to_owned()).await.is_err());

        let district = named(&store, "Springfield").await.unwrap();
        assert_eq!((district.default_region.as_str(), district.weight), ("US", 1));
        let words = ["district", "weight", "Springfield", "3"];
        run_on(Command::try_parse_from(words).unwrap().args, &store).await.unwrap();
        assert_eq!(named(&store, "Springfield").await.unwrap().weight, 3);
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
