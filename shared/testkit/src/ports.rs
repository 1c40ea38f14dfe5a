//! Ports for servers of one's own.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result};

/// Ports that are free now. All are held until the last is known, so that they differ.
pub fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let mut held = Vec::with_capacity(COUNT);
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
