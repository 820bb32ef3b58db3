//! Loopback ports.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// A TCP port that is free on loopback now: `preferred` if it is, else one that the system picks.
pub(crate) fn free_port(preferred: Option<u16>) -> Result<u16> {
    if let Some(port) = preferred.filter(|port| is_free(*port)) {
        return Ok(port);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("no free TCP port on 127.0.0.1 for the registry")?;
    Ok(listener.local_addr()?.port())
}

fn is_free(port: u16) -> bool {
    port != 0 && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_kept_and_a_taken_one_is_not() {
        let port = free_port(None).unwrap();
        assert_eq!(free_port(Some(port)).unwrap(), port);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_ne!(free_port(Some(port)).unwrap(), port);
    }
}
