//! `tocsin user`.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::{Value, json};
use tocsin_api::hash_password;
use tocsin_domain::address::Email;
use tocsin_domain::password::check_password;
use tocsin_domain::rights::BuiltIn;
use tocsin_runtime::{Clock as _, Config, SystemClock};
use tocsin_store::Store;
use tocsin_store::districts::District;
use tocsin_store::tenant::users::{NewUser, Saved, User, UserChange};
use uuid::Uuid;

use super::district::{name, named};
use super::operator::{DataPath, which_there_are, with_store};
use crate::exit::{Exit, Failure};
use crate::terminal::{print, print_json, say, table};

/// Rows that are asked for at once.
const PAGE: u32 = 500;

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
    /// Add a user, who can then sign in to the console.
    #[command(after_long_help = "\
The password is asked for on the terminal, or comes from a file; never from the command line, which others can see.

Examples:
  tocsin user add --district Springfield --email ana@example.org --name \"Ana García\" --role administrator
  pass show tocsin | tocsin user add --district Springfield --email ana@example.org --role viewer --password-file -")]
    Add {
        #[arg(long, value_name = "NAME")]
        district: String,
        /// To sign in with.
        #[arg(long, value_name = "ADDRESS", value_parser = email)]
        email: String,
        /// As others see it. Default: the email address.
        #[arg(long, value_name = "NAME", value_parser = name)]
        name: Option<String>,
        /// A role that every district has (administrator, communications, secretary, viewer, portal), or one of its own.
        /// May be given several times.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// List users, by district and email address.
    #[command(after_long_help = "\
Examples:
  tocsin user list
  tocsin user list --district Springfield --json")]
    List {
        /// Of one district only.
        #[arg(long, value_name = "NAME")]
        district: Option<String>,
    },
    /// Deactivate a user: their sessions end, and they cannot sign in any more.
    #[command(after_long_help = "\
Examples:
  tocsin user disable ana@example.org --district Springfield")]
    Disable {
        #[arg(value_name = "ADDRESS", value_parser = email)]
        email: String,
        #[arg(long, value_name = "NAME")]
        district: String,
    },
    /// Give a user a new password: their sessions end.
    #[command(after_long_help = "\
Examples:
  tocsin user password ana@example.org --district Springfield
  tocsin user password ana@example.org --district Springfield --password-file /run/secrets/ana")]
    Password {
        #[arg(value_name = "ADDRESS", value_parser = email)]
        email: String,
        #[arg(long, value_name = "NAME")]
        district: String,
        #[command(flatten)]
        password: PasswordSource,
    },
}

#[derive(Debug, clap::Args)]
struct PasswordSource {
    /// A file with the password in its first line; `-` reads standard input. Default: asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordSource {
    /// The password, which is one for `login`.
    fn read(&self, login: &str) -> Result<String> {
        let password = match &self.password_file {
            Some(file) if file.as_os_str() == "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).context("--password-file -: standard input")?;
                first_line(&text)
            }
            Some(file) => {
                let text = std::fs::read_to_string(file).with_context(|| {
                    format!("--password-file: cannot read {} as UTF-8 text", file.display())
                })?;
                first_line(&text)
            }
            None => asked_for()?,
        };
        check_password(&password, login)
            .map_err(|reason| Failure::refused(format!("the password {reason}")))?;
        Ok(password)
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn asked_for() -> Result<String> {
    if !std::io::stdin().is_terminal() {
        let what = "no terminal to ask for the password: give a file with --password-file FILE, or - for standard input";
        return Err(Failure::usage(what).into());
    }
    let ask = |prompt| rpassword::prompt_password(prompt).context("the terminal cannot be read");
    let password = ask("Password: ")?;
    if ask("Again: ")? != password {
        return Err(Failure::refused("the two are not the same: try again").into());
    }
    Ok(password)
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| run_on(args, store).await).await
}

async fn run_on(args: Args, store: &Store) -> Result<ExitCode> {
    match args.action {
        Action::Add { district, email, name, roles, password } => {
            let district = named(store, &district).await?;
            known_roles(store, &district, &roles).await?;
            let id = add(store, &district, &email, name, roles, password.read(&email)?).await?;
            if args.json {
                print_json(&json!({ "id": id, "district": district.name, "email": email }))?;
            } else {
                print(format_args!("added {email} to {:?}\n", district.name))?;
            }
        }
        Action::List { district } => {
            let users = listed(store, district.as_deref()).await?;
            if args.json {
                let users: Vec<Value> =
                    users.iter().map(|(district, user)| as_json(district, user)).collect();
                print_json(&json!({ "users": users }))?;
            } else if users.is_empty() {
                say(
                    "no users: add one with `tocsin user add --district NAME --email ADDRESS --role administrator`",
                );
            } else {
                print(in_lines(&users))?;
            }
        }
        Action::Disable { email, district } => {
            let district = named(store, &district).await?;
            let user = found(store, &district, &email).await?;
            let change = UserChange { active: Some(false), ..UserChange::default() };
            store.tenant(district.id).change_user(user.id, &change, SystemClock.now()).await?;
            if args.json {
                print_json(&json!({ "id": user.id, "email": email, "active": false }))?;
            } else {
                print(format_args!("deactivated {email}: all sessions ended\n"))?;
            }
        }
        Action::Password { email, district, password } => {
            let district = named(store, &district).await?;
            let user = found(store, &district, &email).await?;
            let hash = hash_password(password.read(&email)?).await?;
            store.tenant(district.id).set_password(user.id, &hash, SystemClock.now()).await?;
            if args.json {
                print_json(&json!({ "id": user.id, "email": email, "password_changed": true }))?;
            } else {
                print(format_args!("changed the password of {email}: all sessions ended\n"))?;
            }
        }
    }
    Ok(Exit::Done.into())
}

async fn add(
    store: &Store,
    district: &District,
    email: &str,
    name: Option<String>,
    roles: Vec<String>,
    password: String,
) -> Result<Uuid> {
    let new = NewUser {
        id: Uuid::new_v4(),
        login: email.to_owned(),
        display_name: name.unwrap_or_else(|| email.to_owned()),
        password_hash: hash_password(password).await?,
        roles,
    };
    match store.tenant(district.id).add_user(&new, SystemClock.now()).await? {
        Saved::Done | Saved::Unknown => Ok(new.id),
        Saved::LoginTaken => {
            let what = format!(
                "{:?} has a user {email} already: `tocsin user password` gives them a new password",
                district.name
            );
            Err(Failure::refused(what).into())
        }
    }
}

/// Refuses a role that the district has not.
pub async fn known_roles(store: &Store, district: &District, wanted: &[String]) -> Result<()> {
    let own = store.tenant(district.id).roles().await?;
    let built_in = BuiltIn::ALL.iter().map(|role| role.as_str());
    let known: Vec<&str> = built_in.chain(own.iter().map(|kept| kept.role.name.as_str())).collect();
    match wanted.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let which = which_there_are(unknown, &known);
            Err(Failure::refused(format!("--role: no role {unknown:?} ({which})")).into())
        }
    }
}

async fn listed(store: &Store, district: Option<&str>) -> Result<Vec<(String, User)>> {
    let districts = match district {
        Some(name) => vec![named(store, name).await?],
        None => store.districts().await?,
    };
    let mut all = Vec::new();
    for district in districts {
        let tenant = store.tenant(district.id);
        let mut after: Option<String> = None;
        loop {
            let users = tenant.users(after.as_deref(), PAGE).await?;
            let Some(last) = users.last() else { break };
            after = Some(last.login.clone());
            all.extend(users.into_iter().map(|user| (district.name.clone(), user)));
        }
    }
    Ok(all)
}

async fn found(store: &Store, district: &District, email: &str) -> Result<User> {
    let users = listed(store, Some(&district.name)).await?;
    let known: Vec<String> = users.iter().map(|(_, user)| user.login.clone()).collect();
    let user = users.into_iter().map(|(_, user)| user).find(|user| user.login == email);
    user.ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let which = which_there_are(email, &known);
        Failure::refused(format!("{:?} has no user {email} ({which})", district.name)).into()
    })
}

/// As it is kept: one's own address is written in any case.
fn email(text: &str) -> Result<String, String> {
    Email::parse(text).map(|email| email.as_str().to_lowercase()).map_err(|fault| fault.to_string())
}

fn in_lines(users: &[(String, User)]) -> String {
    let row = |(district, user): &(String, User)| {
        let state = if user.active { "active" } else { "deactivated" };
        let (email, name) = (user.login.clone(), user.display_name.clone());
        [email, district.clone(), state.to_owned(), user.roles.join(", "), name]
    };
    let rows: Vec<[String; 5]> = users.iter().map(row).collect();
    table(["Email", "District", "State", "Roles", "Name"], &rows)
}

fn as_json(district: &str, user: &User) -> Value {
    json!({
        "id": user.id,
        "district": district,
        "email": user.login,
        "name": user.display_name,
        "roles": user.roles,
        "active": user.active,
        "created_at": user.created_at,
        "changed_at": user.changed_at,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tocsin_store::Access;
    use tocsin_testkit::TestDatabase;

    use super::*;
    use crate::commands::district;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    async fn run(store: &Store, words: &str) -> Result<ExitCode> {
        run_on(Command::try_parse_from(words.split(' '))?.args, store).await
    }

    #[tokio::test]
    async fn a_user_is_added_listed_given_a_password_and_disabled() {
        let database = TestDatabase::create().await.unwrap();
        let store = Store::open(&database.url, 1, Access::Engine).unwrap();
        district::add(&store, "Springfield".to_owned(), None, "US".to_owned()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        std::fs::write(&file, "four random words here\n").unwrap();
        let of = format!("--district Springfield --password-file {}", file.display());

        run(&store, &format!("user add --email Ana@Example.org --role administrator --role viewer {of}"))
            .await
            .unwrap();
        let users = listed(&store, None).await.unwrap();
        let (_, ana) = &users[0];
        assert_eq!((ana.login.as_str(), ana.active), ("ana@example.org", true));
        assert_eq!(ana.roles, ["administrator", "viewer"]);
        assert!(in_lines(&users).contains("administrator, viewer"));
        let tenant = store.tenant(store.districts().await.unwrap()[0].id);
        let first = tenant.password_hash(ana.id).await.unwrap().unwrap();
        assert!(first.starts_with("$argon2id$"), "{first}");

        let again = run(&store, &format!("user add --email ana@example.org --role viewer {of}")).await;
        assert_eq!(Exit::of(&again.unwrap_err()), Exit::Refused);
        let unknown = run(&store, &format!("user add --email b@example.org --role nurse {of}")).await;
        assert!(unknown.unwrap_err().to_string().contains("no role \"nurse\""));

        run(&store, &format!("user password ana@example.org {of}")).await.unwrap();
        assert_ne!(tenant.password_hash(ana.id).await.unwrap().unwrap(), first);
        std::fs::write(&file, "short\n").unwrap();
        let short = run(&store, &format!("user password ana@example.org {of}")).await.unwrap_err();
        assert!(short.to_string().contains("the password has 5 characters"), "{short}");

        run(&store, "user disable ana@example.org --district Springfield").await.unwrap();
        assert_eq!(tenant.password_hash(ana.id).await.unwrap(), None, "not active");
        let nobody = run(&store, "user disable anna@example.org --district Springfield").await.unwrap_err();
        assert!(nobody.to_string().contains("did you mean \"ana@example.org\"?"), "{nobody}");
    }

    #[test]
    fn a_password_is_never_an_argument() {
        for words in [
            "user add --district S --email a@b.example --role viewer --password x",
            "user password a@b.example x --district S",
        ] {
            assert!(Command::try_parse_from(words.split(' ')).is_err(), "{words}");
        }
    }
}
