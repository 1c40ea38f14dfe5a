//! A connection to a server that can be cut.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use tocsin_runtime::Tasks;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Ground, Wiring};

pub const AMQP_PORT: u16 = 5672;
pub const POSTGRES_PORT: u16 = 5432;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cable {
    Plugged,
    Cut,
}

/// Carries every connection to `address` on to a server. While it is cut those that are open end, and new ones end at
/// once.
#[derive(Debug)]
pub struct Wire {
    /// `host:port`, in place of the server's.
    pub address: String,
    cable: watch::Sender<Cable>,
    /// Where new connections are carried to.
    server: watch::Sender<String>,
}

impl Wire {
    pub async fn to(server: &str, tasks: &Tasks) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a wire cannot listen")?;
        let address = listener.local_addr()?.to_string();
        let cable = watch::Sender::new(Cable::Plugged);
        let server = watch::Sender::new(server.to_owned());
        let (state, target, carriers) = (cable.subscribe(), server.subscribe(), tasks.clone());
        tasks.spawn("wire", async move {
            while let Ok((client, _)) = listener.accept().await {
                let (state, target) = (state.clone(), target.borrow().clone());
                carriers.spawn("wire's connection", carry(client, target, state));
            }
        });
        Ok(Self { address, cable, server })
    }

    pub fn cut(&self) {
        self.cable.send_replace(Cable::Cut);
    }

    /// New connections go to another server; those that are open stay where they are.
    pub fn turn_to(&self, server: &str) {
        self.server.send_replace(server.to_owned());
    }

    pub fn mend(&self) {
        self.cable.send_replace(Cable::Plugged);
    }
}

/// What can be cut.
#[derive(Debug, Default)]
pub struct Wires {
    pub api_to_broker: Option<Wire>,
    pub broker: Option<Wire>,
    pub database: Option<Wire>,
    pub doors: Option<Doors>,
}

/// What stands before api and collector, so that one process can take over from another.
#[derive(Debug)]
pub struct Doors {
    pub api: Wire,
    pub collector: Wire,
}

impl Wires {
    pub async fn of(wiring: Wiring, ground: &Ground, tasks: &Tasks) -> Result<Self> {
        let (broker, _) = authority(&ground.amqp_url, AMQP_PORT)?;
        let broker = Wire::to(&broker, tasks);
        Ok(match wiring {
            Wiring::Direct => Self::default(),
            Wiring::ApiToBroker => Self { api_to_broker: Some(broker.await?), ..Self::default() },
            Wiring::Doors => {
                // Nobody is there yet.
                let nobody = "127.0.0.1:1";
                let (api, collector) = (Wire::to(nobody, tasks).await?, Wire::to(nobody, tasks).await?);
                Self { doors: Some(Doors { api, collector }), ..Self::default() }
            }
            Wiring::All => {
                let database = Wire::to(&authority(&ground.database_url, POSTGRES_PORT)?.0, tasks).await?;
                Self { broker: Some(broker.await?), database: Some(database), ..Self::default() }
            }
        })
    }
}

async fn carry(mut client: TcpStream, server: String, mut state: watch::Receiver<Cable>) {
    if *state.borrow() == Cable::Cut {
        return;
    }
    // A server that is away ends the client's connection, as it would without the wire.
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = state.wait_for(|cable| *cable == Cable::Cut) => {}
    }
}

/// A URL's `host:port`, and the URL with another in its place.
pub fn authority(url: &str, default_port: u16) -> Result<(String, impl Fn(&str) -> String + use<>)> {
    let (scheme, rest) = url.split_once("://").context("an address without ://")?;
    let (before, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = before.rsplit_once('@').map_or((None, before), |(user, host)| (Some(user), host));
    let server = if host.contains(':') { host.to_owned() } else { format!("{host}:{default_port}") };
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let (scheme, path) = (scheme.to_owned(), path.to_owned());
    Ok((server, move |other: &str| format!("{scheme}://{user}{other}/{path}")))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn an_address_is_turned_to_the_wire() {
        let cases = [
            ("amqp://u:p@h:5673/v", "h:5673", "amqp://u:p@wire:1/v"),
            ("amqp://h", "h:5672", "amqp://wire:1/"),
            ("postgres://me@h/db?x=1", "h:5672", "postgres://me@wire:1/db?x=1"),
        ];
        for (url, server, turned) in cases {
            let (found, turn) = authority(url, 5672).unwrap();
            assert_eq!((found.as_str(), turn("wire:1").as_str()), (server, turned), "{url}");
        }
        assert!(authority("nowhere", 1).is_err());
    }

    #[tokio::test]
    async fn a_cut_wire_ends_what_is_open_and_carries_again_when_it_is_mended() {
        let tasks = Tasks::new();
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = server.local_addr().unwrap().to_string();
        let wire = Wire::to(&address, &tasks).await.unwrap();
        let echo = async {
            loop {
                let (mut peer, _) = server.accept().await.unwrap();
                let byte = peer.read_u8().await.unwrap();
                peer.write_u8(byte).await.unwrap();
            }
        };
        let use_it = async {
            let mut open = TcpStream::connect(&wire.address).await.unwrap();
            open.write_u8(7).await.unwrap();
            assert_eq!(open.read_u8().await.unwrap(), 7);
            let mut idle = TcpStream::connect(&wire.address).await.unwrap();
            wire.cut();
            assert!(idle.read_u8().await.is_err());
            let mut refused = TcpStream::connect(&wire.address).await.unwrap();
            assert!(refused.read_u8().await.is_err());
            wire.mend();
            let mut again = TcpStream::connect(&wire.address).await.unwrap();
            again.write_u8(8).await.unwrap();
            assert_eq!(again.read_u8().await.unwrap(), 8);
        };
        tokio::select! { () = echo => {}, () = use_it => {} }
        tasks.abort();
    }
}
