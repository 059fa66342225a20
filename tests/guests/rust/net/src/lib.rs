//! Uses the network as it is told, and says what came of it.

mod http;
mod sockets;

use wasip2::cli::environment;

wit_bindgen::generate!({ world: "net", path: "../../wit/net.wit" });

struct Net;
export!(Net);

impl Guest for Net {
    fn send(request: Request) -> Result<Answer, String> {
        http::read(http::wait(&http::start(&request)?)?)
    }

    fn send_together(request: Request, times: u32) -> Vec<String> {
        let futures: Vec<_> = (0..times).map(|_| http::start(&request)).collect();
        let answers: Vec<_> = futures
            .into_iter()
            .map(|future| future.and_then(|future| http::wait(&future)))
            .collect();
        answers.into_iter().map(http::status).collect()
    }

    fn send_and_drop(request: Request, times: u32) -> Vec<String> {
        (0..times)
            .map(|_| http::status(http::start(&request).and_then(|future| http::wait(&future))))
            .collect()
    }

    fn send_slowly(request: Request) -> Result<Answer, String> {
        let (future, body) = http::begin(&request)?;
        let answer = http::wait(&future).and_then(http::read);
        if let Some(body) = body {
            // A server that has answered may have closed the connection.
            let _not_taken_any_more = http::write(&request, body);
        }
        answer
    }

    fn measure(request: Request) -> Result<u64, String> {
        let mut count = 0;
        http::body(&http::wait(&http::start(&request)?)?, |bytes| {
            count += bytes.len() as u64;
        })?;
        Ok(count)
    }

    fn tcp_exchange(address: String, text: String) -> Result<String, String> {
        sockets::tcp_exchange(&address, &text)
    }

    fn tcp_accept(address: String) -> Result<String, String> {
        sockets::tcp_accept(&address)
    }

    fn tcp_flood() -> (u32, String) {
        sockets::tcp_flood()
    }

    fn udp_exchange(local: String, remote: String, text: String, connected: bool) -> Result<String, String> {
        sockets::udp_exchange(&local, &remote, &text, connected)
    }

    fn udp_flood(remote: String, text: String, times: u32) -> Result<u32, String> {
        sockets::udp_flood(&remote, &text, times)
    }

    fn lookup(name: String) -> Result<Vec<String>, String> {
        sockets::lookup(&name)
    }

    fn variables() -> Vec<(String, String)> {
        environment::get_environment()
    }

    fn arguments() -> Vec<String> {
        environment::get_arguments()
    }

    fn folder() -> Option<String> {
        environment::initial_cwd()
    }
}
