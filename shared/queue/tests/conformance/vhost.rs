//! A fresh virtual host on a real RabbitMQ for each test.
//!
//! They are made by `rabbitmqctl eval`, or by the management API when RABBITMQ_MANAGEMENT_URL
//! (`http://user:password@host:port`) is set. A call costs most of a second whatever it does, so
//! virtual hosts are made and removed several at a time. They are not all kept to the end: each
//! quorum queue reserves file handles, and a server with the usual limit of 1024 stops accepting
//! connections at some 450 queues, without a word.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

const DEFAULT_URL: &str = "amqp://guest:guest@127.0.0.1:5672";

/// How many are made at a time.
const POOL: usize = 8;

/// How many that were used wait to be removed together.
const DONE_MAX: usize = 4;

struct Pool {
    made: usize,
    free: Vec<String>,
    done: Vec<String>,
    held: usize,
}

static HOSTS: Mutex<Pool> = Mutex::new(Pool { made: 0, free: Vec::new(), done: Vec::new(), held: 0 });

fn hosts() -> MutexGuard<'static, Pool> {
    HOSTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gone, with everything in it, some time after it is dropped.
pub struct VirtualHost {
    name: String,
}

impl VirtualHost {
    pub fn take() -> Self {
        let mut hosts = hosts();
        if hosts.free.is_empty() {
            let first = hosts.made;
            let names: Vec<String> =
                (first..first + POOL).map(|n| format!("tocsin-queue-{}-{n}", std::process::id())).collect();
            make(&names);
            hosts.made += POOL;
            hosts.free = names;
        }
        hosts.held += 1;
        Self { name: hosts.free.pop().expect("just filled") }
    }

    pub fn url(&self) -> String {
        format!("{}/{}", server(), self.name)
    }

    /// The server closes every connection to this virtual host.
    pub fn close_connections(&self) {
        match management() {
            None => {
                rabbitmqctl(&["close_all_connections", "--vhost", &self.name, "cut by a test"]);
            }
            Some(api) => {
                // The list follows the connections by some seconds.
                let path = format!("/api/vhosts/{}/connections", self.name);
                let names = loop {
                    let names = json_names(&api.call("GET", &path, ""));
                    if !names.is_empty() {
                        break names;
                    }
                };
                for name in names {
                    api.call("DELETE", &format!("/api/connections/{}", percent(&name)), "");
                }
            }
        }
    }
}

impl Drop for VirtualHost {
    fn drop(&mut self) {
        let mut hosts = hosts();
        hosts.held -= 1;
        hosts.done.push(self.name.clone());
        if hosts.held == 0 || hosts.done.len() >= DONE_MAX {
            let mut names = std::mem::take(&mut hosts.done);
            if hosts.held == 0 {
                names.append(&mut hosts.free);
            }
            remove(&names);
        }
    }
}

fn server() -> String {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| DEFAULT_URL.to_owned());
    let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or(authority);
    format!("amqp://{authority}")
}

/// The user the tests connect as, who needs all permissions on what is made.
fn user() -> String {
    let server = server();
    let userinfo = server.trim_start_matches("amqp://").rsplit_once('@').map_or("guest", |(info, _)| info);
    userinfo.split(':').next().unwrap_or("guest").to_owned()
}

fn make(names: &[String]) {
    match management() {
        Some(api) => {
            for name in names {
                api.call("PUT", &format!("/api/vhosts/{name}"), "");
                let all = r#"{"configure":".*","write":".*","read":".*"}"#;
                api.call("PUT", &format!("/api/permissions/{name}/{}", user()), all);
            }
        }
        None => {
            let user = user();
            eval(&format!(
                r#"[begin
                    ok = rabbit_vhost:add(V, <<"{user}">>),
                    ok = rabbit_auth_backend_internal:set_permissions(
                        <<"{user}">>, V, <<".*">>, <<".*">>, <<".*">>, <<"{user}">>)
                end || V <- [{}]], ok."#,
                erlang_list(names)
            ));
        }
    }
}

fn remove(names: &[String]) {
    match management() {
        Some(api) => names.iter().for_each(|name| {
            api.call("DELETE", &format!("/api/vhosts/{name}"), "");
        }),
        None => eval(&format!(
            r#"[rabbit_vhost:delete(V, <<"{}">>) || V <- [{}]], ok."#,
            user(),
            erlang_list(names)
        )),
    }
}

fn erlang_list(names: &[String]) -> String {
    names.iter().map(|name| format!(r#"<<"{name}">>"#)).collect::<Vec<_>>().join(",")
}

fn eval(expression: &str) {
    let answer = rabbitmqctl(&["eval", expression]);
    assert_eq!(answer.trim(), "ok", "rabbitmqctl eval {expression}");
}

fn rabbitmqctl(arguments: &[&str]) -> String {
    let output = Command::new("rabbitmqctl").args(arguments).output().expect(
        "these tests need RabbitMQ: its rabbitmqctl on the path, or RABBITMQ_MANAGEMENT_URL and AMQP_URL set",
    );
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "rabbitmqctl {arguments:?}: {answer}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    answer
}

struct Management {
    authority: String,
    authorization: String,
}

fn management() -> Option<Management> {
    let url = std::env::var("RABBITMQ_MANAGEMENT_URL").ok()?;
    let rest = url.strip_prefix("http://").expect("RABBITMQ_MANAGEMENT_URL begins with http://");
    let (userinfo, authority) = rest.trim_end_matches('/').rsplit_once('@').unwrap_or(("guest:guest", rest));
    Some(Management {
        authority: authority.trim_end_matches('/').to_owned(),
        authorization: base64(userinfo.as_bytes()),
    })
}

impl Management {
    /// One request on a connection of its own; the answer's body.
    fn call(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.authority).expect("RABBITMQ_MANAGEMENT_URL answers");
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.authority,
            self.authorization,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).unwrap_or_default();
        assert!(
            status.starts_with('2') || (method == "DELETE" && status == "404"),
            "{method} {path}: {head}"
        );
        body.to_owned()
    }
}

/// The `"name"` of each object in a list.
fn json_names(json: &str) -> Vec<String> {
    json.split("\"name\":\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let sextet = word >> (18 - 6 * position) & 63;
            text.push(if position <= chunk.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}
