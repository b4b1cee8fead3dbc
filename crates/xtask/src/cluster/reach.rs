//! Where the server of a cluster is reached: at its socket, and, for clients that do not know sockets, over TCP.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result};

use super::{Builder, Cluster};

impl Builder {
    /// Listens on the loopback address too, at a port that is free now. Whoever comes that way needs a password, which
    /// the superuser has not.
    pub fn tcp(mut self) -> Result<Self> {
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        self.port = probe.local_addr()?.port();
        Ok(self.set("listen_addresses", &Ipv4Addr::LOCALHOST.to_string()))
    }
}

impl Cluster {
    /// How to reach database `dbname`.
    pub fn config(&self, dbname: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config.host_path(&self.socket_dir).port(self.port).user(&self.account.name).dbname(dbname);
        config
    }

    /// As `config`, for libpq and its relatives.
    pub fn conninfo(&self, dbname: &str) -> String {
        let (host, user) = (self.socket_dir.display(), &self.account.name);
        format!("host={host} port={} user={user} dbname={dbname}", self.port)
    }

    /// Where the socket lies; give it to clients as the host.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The port number, which is part of the name of the socket too.
    pub fn port(&self) -> u16 {
        self.port
    }
}
