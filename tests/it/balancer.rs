//! Two processes that serve one store, behind a balancer that sends each request to the next of them.

use crate::http::Server;
use crate::real_clients::{node, script};
use crate::support::Home;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

pub(crate) struct Balanced {
    balancer: Child,
    _servers: [Server; 2],
    pub(crate) address: String,
}

impl Balanced {
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        let servers = [(); 2].map(|()| Server::open(home, arguments));
        let mut balancer = node()
            .arg(script("balancer.mjs"))
            .args(servers.iter().map(|server| &server.address))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(balancer.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        Self {
            balancer,
            _servers: servers,
            address: format!("127.0.0.1:{}", port.trim()),
        }
    }
}

impl Drop for Balanced {
    fn drop(&mut self) {
        let _killed = self.balancer.kill();
        let _reaped = self.balancer.wait();
    }
}
