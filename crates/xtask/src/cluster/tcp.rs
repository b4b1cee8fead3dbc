//! A cluster that is reached over TCP, as most clients do it.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

use super::Builder;

impl Builder {
    /// Listens on the loopback address too, at a port that is free now. Whoever comes that way needs a password, which
    /// the superuser has not.
    pub fn tcp(mut self) -> Result<Self> {
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        self.port = probe.local_addr()?.port();
        Ok(self.set("listen_addresses", &Ipv4Addr::LOCALHOST.to_string()))
    }
}
