//! `wassette serve`: an MCP server for many clients, over Streamable HTTP.

use super::run::{builtins, server_options};
use super::stop::stopped;
use super::{issuer, ready, variables};
use crate::cli::ServeArgs;
use crate::config::Config;
use crate::descriptors;
use crate::exit::Exit;
use crate::logins::create_private;
use crate::output::{note, shown};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;
use wassette_host::Host;
use wassette_mcp::{
    Access, AccountLimits, ENDPOINT, HttpOptions, HttpServer, Listener, Listeners, Membership, Names,
    TlsError, Token,
};

/// Where is listened unless told otherwise.
const PORT: u16 = 9001;

/// What a socket's address begins with.
const UNIX: &str = "unix:";

/// Connections at a time. Each needs a descriptor and a few kB.
const CONNECTIONS_MAX: usize = 10_000;

/// Sessions at a time; each takes some 50 kB.
const SESSIONS_MAX: usize = 1_000;

/// Bytes of one message, as over standard input.
const BODY_BYTES_MAX: usize = 4 << 20;

/// The file of a socket, where there are any.
#[cfg(unix)]
type Socket = crate::socket::SocketFile;
#[cfg(not(unix))]
type Socket = std::convert::Infallible;

/// Where is listened.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Address(SocketAddr),
    Socket(PathBuf),
}

pub(crate) async fn run(config: &Config, args: &ServeArgs) -> Result<(), Exit> {
    descriptors::allow_all();
    let place = place(args, |name| std::env::var(name).ok())?;
    let (listener, _socket) = listen(&place, args)?;
    let address = listener.address();
    let host = variables::open(config, &args.run.variables).await?;
    let access = access(config, args, &place, &host)?;
    let (membership, processes, _socket_of_process) = join(config).await;
    let options = HttpOptions {
        names: names(args, &place)?,
        admin_names: admin_names(args)?,
        access,
        limits: AccountLimits {
            requests_per_second: args.requests_per_second,
            ..AccountLimits::default()
        },
        connections_max: CONNECTIONS_MAX,
        sessions_max: SESSIONS_MAX,
        body_bytes_max: BODY_BYTES_MAX,
        membership,
    };
    let builtins = builtins(&args.run, args.enable_builtin_tools);
    let admin = match args.admin_address {
        Some(address) => Some(bind("--admin-address", address)?),
        None => None,
    };
    let server = Arc::new(HttpServer::new(
        host.clone(),
        server_options(config, builtins),
        options,
    ));
    tell(&place, address, args);
    let stop = stopped().map_err(Exit::failed)?;
    let listeners = Listeners {
        clients: listener,
        admin,
        processes,
    };
    let loading = async {
        if let Some(file) = &args.run.manifest {
            ready::loaded(config, &host, file).await;
        }
        tokio::join!(ready::told(&host, &server), host.follow_feeds()).1
    };
    tokio::select! {
        served = server.serve(listeners, stop) => served.map_err(Exit::failed),
        never = loading => match never {},
    }
}

/// Lets other processes that serve the same store reach this one. Without that it serves alone.
#[cfg(unix)]
async fn join(config: &Config) -> (Option<Membership>, Option<Listener>, Option<Socket>) {
    match crate::others::join(&config.component_dir.value, std::time::SystemTime::now()).await {
        Ok((membership, listener, file)) => (Some(membership), Some(listener), Some(file)),
        Err(error) => {
            note(&format!(
                "warning: other processes that serve this store do not find this one's sessions and tasks: {error}"
            ));
            (None, None, None)
        }
    }
}

#[cfg(not(unix))]
async fn join(_config: &Config) -> (Option<Membership>, Option<Listener>, Option<Socket>) {
    (None, None, None)
}

/// Where to listen: what is typed, else what the environment says as platforms set it, else this machine only.
fn place(args: &ServeArgs, variable: impl Fn(&str) -> Option<String>) -> Result<Place, Exit> {
    if let Some(text) = &args.bind_address {
        if let Some(path) = text.strip_prefix(UNIX) {
            return std::path::absolute(path)
                .map(Place::Socket)
                .map_err(|error| Exit::usage(format!("`{}` is no path: {error}", shown(text))));
        }
        let address = text.parse().map_err(|_| {
            Exit::usage(format!("`{}` is no address", shown(text)))
                .with_hint("write an IP address and a port, such as `127.0.0.1:9001`, or `unix:PATH`")
        });
        return address.map(Place::Address);
    }
    let wrong = |name: &str, value: &str| {
        Exit::usage(format!(
            "`{name}={}` in the environment cannot be used",
            shown(value)
        ))
    };
    let port = variable("PORT").map_or(Ok(PORT), |text| text.parse().map_err(|_| wrong("PORT", &text)));
    let ip = variable("BIND_HOST").map_or(Ok(IpAddr::from([127, 0, 0, 1])), |text| match text.as_str() {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        _ => text.parse().map_err(|_| wrong("BIND_HOST", &text)),
    });
    Ok(Place::Address(SocketAddr::new(ip?, port?)))
}

/// `option` says where to listen.
fn bind(option: &str, address: SocketAddr) -> Result<Listener, Exit> {
    Listener::tcp(address).map_err(|error| {
        Exit::failed(anyhow::anyhow!("cannot listen on {address}: {error}")).with_hint(format!(
            "`{option}` chooses another; port 0 takes any that is free"
        ))
    })
}

/// A listener, and what must live as long.
fn listen(place: &Place, args: &ServeArgs) -> Result<(Listener, Option<Socket>), Exit> {
    match place {
        Place::Address(address) => Ok((with_tls(bind("--bind-address", *address)?, args)?, None)),
        Place::Socket(_) if args.tls_certificate.is_some() => Err(Exit::usage(
            "`--tls-certificate` and `--tls-key` are for an address, and a socket has no TLS",
        )
        .with_hint("leave them away: only this user reaches the socket; a proxy before it may do TLS")),
        #[cfg(unix)]
        Place::Socket(path) => {
            let bound = crate::socket::bind(path, std::time::SystemTime::now());
            let listener = bound.and_then(|(listener, file)| Ok((Listener::unix(listener)?, Some(file))));
            listener.map_err(|error| {
                let path = path.display().to_string();
                Exit::failed(anyhow::anyhow!("cannot listen on {}: {error}", shown(&path)))
            })
        }
        #[cfg(not(unix))]
        Place::Socket(_) => Err(Exit::usage("there are no Unix sockets here")),
    }
}

fn with_tls(listener: Listener, args: &ServeArgs) -> Result<Listener, Exit> {
    match (&args.tls_certificate, &args.tls_key) {
        (Some(certificate), Some(key)) => {
            let read = |path: &Path| std::fs::read(path).map_err(|error| Exit::unreadable(path, error));
            let (chain, secret) = (read(certificate)?, zeroize::Zeroizing::new(read(key)?));
            listener.with_tls(&chain, &secret).map_err(|error| {
                let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
                let (file, hint) = match &error {
                    TlsError::Chain(_) => (certificate, "`--tls-certificate` is a file with `-----BEGIN CERTIFICATE-----`, the server's own first"),
                    TlsError::Key(_) => (key, "`--tls-key` is a file with `-----BEGIN PRIVATE KEY-----`, which no password protects"),
                    TlsError::Use(_) => (certificate, "`--tls-key` is the key of the first certificate in `--tls-certificate`"),
                };
                Exit::failed(error).about(&file).with_hint(hint)
            })
        }
        _ => Ok(listener),
    }
}

fn names(args: &ServeArgs, place: &Place) -> Result<Names, Exit> {
    match place {
        Place::Address(address) => with_allowed(Names::loopback().with_address(address.ip()), args),
        Place::Socket(_) => with_allowed(Names::of_socket(), args),
    }
}

/// Never those of a socket: the operator's programs come to an address.
fn admin_names(args: &ServeArgs) -> Result<Names, Exit> {
    let names = Names::loopback();
    match args.admin_address {
        Some(address) => with_allowed(names.with_address(address.ip()), args),
        None => Ok(names),
    }
}

fn with_allowed(mut names: Names, args: &ServeArgs) -> Result<Names, Exit> {
    for host in &args.allowed_hosts {
        names = names
            .with_host(host)
            .map_err(|error| Exit::usage(format!("`--allowed-host {}`: {error}", shown(host))))?;
    }
    // Clients that authenticate with an authorization server reach us by the name that it knows.
    let resource = args
        .oauth
        .oauth_resource
        .as_deref()
        .and_then(|text| Url::parse(text).ok());
    if let Some(host) = resource.as_ref().and_then(Url::host_str) {
        names = names
            .with_host(host)
            .map_err(|error| Exit::usage(format!("`--oauth-resource`: {error}")))?;
    }
    for origin in &args.allowed_origins {
        names = names
            .with_origin(origin)
            .map_err(|error| Exit::usage(format!("`--allowed-origin {}`: {error}", shown(origin))))?;
    }
    Ok(names)
}

/// Who may come. Nobody can forget to say so: without a word there is a token.
fn access(config: &Config, args: &ServeArgs, place: &Place, host: &Host) -> Result<Access, Exit> {
    if args.no_auth {
        return Ok(Access::Open);
    }
    if let Some(issuer) = &args.oauth.oauth_issuer {
        return issuer::access(issuer, &args.oauth, host, &config.current_dir);
    }
    if args.token_file.is_none() && matches!(place, Place::Socket(_)) {
        // The socket's file lets nobody but this user in.
        return Ok(Access::Open);
    }
    let path = args.token_file.clone().unwrap_or_else(|| config.http_token());
    token(&path).map(Access::Token)
}

/// Reads the token, or makes one and shows it, this once.
fn token(path: &Path) -> Result<Token, Exit> {
    let at = shown(&path.display().to_string());
    let text = match wassette_host::read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = Token::make().map_err(Exit::failed)?;
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|error| Exit::unreadable(folder, error))?;
            }
            if !create_private(path, format!("{text}\n").as_bytes())? {
                // Another process made one at the same moment.
                return token(path);
            }
            note(&format!(
                "clients must send this token, which is shown this once and kept in {at}:\n\n    Authorization: Bearer {text}\n"
            ));
            text
        }
        Err(error) => return Err(Exit::unreadable(path, error)),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path)
            .map_err(|error| Exit::unreadable(path, error))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(Exit::denied(format!("others can read the token in {at}"))
                .with_hint("`chmod 600` it, or delete it: a new one is made"));
        }
    }
    Token::new(text.trim()).map_err(|error| {
        Exit::usage(format!("{at} has no token: {error}")).with_hint("delete the file: a new one is made")
    })
}

/// Says where clients find the server, and what is dangerous about it.
fn tell(place: &Place, address: Option<SocketAddr>, args: &ServeArgs) {
    let is_tls = args.tls_key.is_some();
    if let Some(admin) = args.admin_address.filter(|admin| !admin.ip().is_loopback()) {
        note(&format!(
            "warning: everybody who reaches {admin} can read the metrics (`--admin-address`)"
        ));
    }
    match (place, address) {
        (Place::Socket(path), _) => note(&format!(
            "serving on the socket {}",
            shown(&path.display().to_string())
        )),
        (Place::Address(address), bound) => {
            let address = bound.unwrap_or(*address);
            let scheme = if is_tls { "https" } else { "http" };
            note(&format!("serving {scheme}://{address}{ENDPOINT}"));
            let is_far = !address.ip().is_loopback();
            if is_far && args.no_auth {
                note("warning: everybody who reaches this address can call every tool (`--no-auth`)");
            } else if is_far && !is_tls {
                note(
                    "warning: tokens and answers travel unencrypted; give `--tls-certificate` and `--tls-key`, or put a proxy with TLS before it",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn args(words: &[&str]) -> ServeArgs {
        let words = ["wassette", "serve"].iter().chain(words);
        let crate::cli::Command::Serve(args) = crate::cli::Cli::parse_from(words).command else {
            panic!("another command");
        };
        *args
    }

    fn placed(words: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        match place(&args(words), find) {
            Ok(Place::Address(address)) => Ok(address.to_string()),
            Ok(Place::Socket(path)) => Ok(path.display().to_string()),
            Err(exit) => Err(exit.message().to_owned()),
        }
    }

    #[test]
    fn is_served_on_this_machine_unless_told_otherwise() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(placed(&[], &[]), ok("127.0.0.1:9001"));
        assert_eq!(placed(&[], &[("PORT", "80")]), ok("127.0.0.1:80"));
        assert_eq!(placed(&[], &[("BIND_HOST", "0.0.0.0")]), ok("0.0.0.0:9001"));
        assert_eq!(
            placed(&["--bind-address", "[::1]:0"], &[("PORT", "80")]),
            ok("[::1]:0")
        );
        assert_eq!(
            placed(&["--bind-address", "unix:/run/w.sock"], &[]),
            ok("/run/w.sock")
        );
        for (words, variables) in [
            (&["--bind-address", "localhost"][..], &[][..]),
            (&[], &[("PORT", "http")]),
            (&[], &[("BIND_HOST", "example.com")]),
        ] {
            assert!(placed(words, variables).is_err(), "{words:?} {variables:?}");
        }
    }
}
