//! Vhosts by `rabbitmqctl eval`.

use std::ffi::OsStr;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use super::{PREFIX, leftover_before, new_name, process_mark};
use crate::janitor::Janitor;

/// Vhosts made by one call. A vhost more costs some milliseconds, a call about a second.
const BATCH: usize = 8;
const DEADLINE: Duration = Duration::from_secs(60);
/// Enough for 250 vhosts. Few of the handles are ever opened.
const FILE_HANDLES: u32 = 16_384;

/// Made and not yet taken. Held across the call that refills it, so that tests which start together share one call.
static READY: tokio::sync::Mutex<Vec<String>> = tokio::sync::Mutex::const_new(Vec::new());
/// Used, to be deleted by the next call.
static USED: Mutex<Vec<String>> = Mutex::new(Vec::new());
static JANITOR: OnceLock<Janitor> = OnceLock::new();

pub(super) async fn take(user: &str) -> Result<String> {
    let mut ready = READY.lock().await;
    if let Some(name) = ready.pop() {
        return Ok(name);
    }
    engage_janitor()?;
    let names: Vec<_> = (0..BATCH).map(|_| new_name()).collect();
    let used = std::mem::take(&mut *lock_used());
    eval(&refill(&names, &used, user)).await?;
    *ready = names;
    ready.pop().context("no vhost was made")
}

pub(super) fn give_back(name: &str) {
    lock_used().push(name.to_owned());
}

fn lock_used() -> MutexGuard<'static, Vec<String>> {
    USED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One expression that deletes what is used or left over, and makes what is new.
///
/// First it raises the broker's own count of file handles. A quorum queue reserves three of them whether it opens any
/// or not, so a node with the usual limit of 1024 would hang for ever once some 15 vhosts hold all our queues. Newer
/// brokers do not count, hence the `catch`.
fn refill(new: &[String], used: &[String], user: &str) -> String {
    format!(
        r#"(catch file_handle_cache:set_limit(max({FILE_HANDLES}, file_handle_cache:get_limit()))),
        By = <<"tocsin">>,
        [rabbit_vhost:delete(V, By) || V <- rabbit_vhost:list_names(), lists:member(V, [{used}]) orelse
            case V of <<"{PREFIX}", T:8/binary, "-", _/binary>> -> binary_to_integer(T, 16) < {oldest}; _ -> false end],
        [begin
            rabbit_vhost:add(V, By),
            rabbit_auth_backend_internal:set_permissions(<<"{user}">>, V, <<".*">>, <<".*">>, <<".*">>, By)
        end || V <- [{new}]],
        ok."#,
        used = binaries(used),
        new = binaries(new),
        oldest = leftover_before(),
    )
}

fn binaries(names: &[String]) -> String {
    names.iter().map(|name| format!("<<\"{name}\">>")).collect::<Vec<_>>().join(",")
}

/// Deletes this process's vhosts once it has ended.
fn engage_janitor() -> Result<()> {
    if JANITOR.get().is_some() {
        return Ok(());
    }
    let mark = format!("{PREFIX}{}-", process_mark());
    let delete_mine = format!(
        r#"[rabbit_vhost:delete(V, <<"tocsin">>) || V <- rabbit_vhost:list_names(),
            lists:prefix("{mark}", binary_to_list(V))], ok."#
    );
    let mut arguments: Vec<&OsStr> = program().iter().map(OsStr::new).collect();
    arguments.extend([OsStr::new("eval"), OsStr::new(&delete_mine)]);
    let janitor =
        Janitor::engage("exec \"$@\"", &arguments).context("cannot start the clean-up of vhosts")?;
    // Another thread's janitor would delete the same vhosts: whichever is kept will do.
    let _ = JANITOR.set(janitor);
    Ok(())
}

async fn eval(expression: &str) -> Result<()> {
    let (program, arguments) = program().split_first().context("no rabbitmqctl")?;
    let call = Command::new(program)
        .args(arguments)
        .args(["eval", expression])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let remedy = "start a broker with `scripts/services run -- …`, or set RABBITMQ_MANAGEMENT_URL";
    let output = tokio::time::timeout(DEADLINE, call)
        .await
        .with_context(|| format!("rabbitmqctl did not answer within {DEADLINE:?}: {remedy}"))?
        .with_context(|| format!("cannot run rabbitmqctl: {remedy}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || said.trim() != "ok" {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("rabbitmqctl made no vhosts: {} {}; {remedy}", said.trim(), complaint.trim());
    }
    Ok(())
}

/// Only root and the broker's own user may run it; others get there by a sudo that asks for nothing.
fn program() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() { &["rabbitmqctl"] } else { &["sudo", "-n", "rabbitmqctl"] }
}
