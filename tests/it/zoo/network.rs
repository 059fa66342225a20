//! Attacks on the network, on names, on the environment and on secrets.

use super::cage::{Cage, loopback};
use super::web::{Canary, Web};
use super::zoo;
use std::io::Read as _;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;
use wassette_policy::AccessKind::{Environment, Http, Resolve, Socket};

/// What no guest may ever see.
const SECRET: &str = "s3cr3t-v4lue-0123456789";

/// A granted server; the attack gets its input and is held.
#[track_caller]
fn held_at(cage: &mut Cage, web: &Web, least: usize) {
    let outcome = cage.attack();
    let told = outcome.held(least);
    cage.say(format!("{told}, {} requests arrived", web.heads().len()));
}

/// A server to which a secret is sent; gives it and the port.
fn with_secret(cage: &mut Cage) -> Web {
    let web = cage.web("");
    cage.permissions(&format!(
        "  secrets: {{allow: [{{name: \"token\", host: \"http://granted.example:{}/\", header: \"Authorization\", format: \"Bearer {{secret}}\"}}]}}\n",
        web.port()
    ));
    cage.secret("token", SECRET);
    web
}

zoo! {
    ip_spellings "N2" "the loopback address in thirty spellings" => |cage| {
        let web = cage.web("");
        cage.input(web.port());
        let outcome = cage.attack();
        let told = outcome.held(30);
        outcome.denied(Http);
        assert_eq!(web.heads().len(), 1, "only the granted name arrived: {:#?}", web.heads());
        cage.say(told);
    };
    name_spellings "N6 N7" "names that look like a granted one, or are beside a wildcard" => |cage| {
        let web = cage.web("");
        let port = web.port();
        cage.network(&format!("{{host: \"*.wild.example:{port}\", schemes: [http]}}")).input(port);
        merge_network(cage);
        // All lead to the server, so that nothing but the policy keeps the guest from it.
        for name in ["a.wild.example", "a.b.wild.example", "evilgranted.example", "granted.example.evil.example", "a.granted.example",
            "granted.exampleevil", "example", "xn--grnted-3nf.example", "evil.example", "wild.example", "evilwild.example",
            "a.wild.example.evil.example"] {
            cage.name(name, &["127.0.0.1"]);
        }
        let outcome = cage.attack();
        let told = outcome.held(24);
        outcome.denied(Http);
        assert_eq!(web.heads().len(), 5, "{:#?}", web.heads());
        cage.say(told);
    };
    metadata_address "N1 N2" "the address at which clouds hand out credentials" => |cage| {
        let web = cage.web("");
        cage.name("metadata.google.internal", &["169.254.169.254"]).name("metadata.example", &["169.254.169.254"]);
        cage.network("{host: \"metadata.example\", schemes: [http]}");
        merge_network(cage);
        let outcome = cage.attack();
        let told = outcome.held(12);
        outcome.lists("169.254.169.254");
        assert_eq!(web.heads().len(), 1);
        cage.say(told);
    };
    private_by_name "N1" "a granted name that leads to private addresses" => |cage| {
        let web = cage.web("");
        let canary = Canary::start();
        for (index, address) in ["127.0.0.1", "10.0.0.5", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
            "::1", "fd00::1", "fe80::1", "::ffff:10.0.0.5", "64:ff9b::a00:5", "224.0.0.1"].iter().enumerate() {
            let name = format!("name{index}.example");
            let authority = format!("{name}:{}", canary.port());
            cage.name(&name, &[address]).input(&authority);
            cage.network(&format!("{{host: \"{authority}\", schemes: [http]}}"));
        }
        merge_network(cage);
        let outcome = named(cage, "granted_name");
        let told = outcome.held(52);
        outcome.lists("10.0.0.5");
        canary.alone();
        assert_eq!(web.heads().len(), 1);
        cage.say(format!("{told}, nobody was dialled"));
    };
    rebinding "N1" "a granted name that leads to another address each time" => |cage| {
        let web = Web::start();
        // At another address of loopback and the same port, where this machine has one.
        let canary = Canary::at(&format!("127.0.0.2:{}", web.port()));
        let authority = format!("rebind.example:{}", web.port());
        cage.input(&authority).network(&format!("{{host: \"{authority}\", schemes: [http]}}, {}", loopback(web.port())));
        for address in ["127.0.0.1", "127.0.0.2", "10.0.0.5", "::1", "169.254.169.254", "::ffff:127.0.0.2"] {
            cage.name("rebind.example", &[address]);
        }
        let outcome = cage.attack();
        let told = outcome.held(5);
        outcome.lists("127.0.0.2").lists("10.0.0.5");
        if let Some(canary) = canary {
            canary.alone();
        }
        assert_eq!(web.heads().len(), 1);
        cage.say(told);
    };
    mixed_records "N1" "a granted name with one private address among public ones" => |cage| {
        let web = cage.web("");
        let canary = Canary::start();
        let authority = format!("mixed.example:{}", canary.port());
        cage.name("mixed.example", &["127.0.0.1", "192.0.2.1"]).name("mixed.example", &["192.0.2.1", "127.0.0.1"]).input(&authority);
        cage.network(&format!("{{host: \"{authority}\", schemes: [http]}}"));
        merge_network(cage);
        let outcome = named(cage, "granted_name");
        let told = outcome.held(4);
        canary.alone();
        assert_eq!(web.heads().len(), 1);
        cage.say(told);
    };
    redirect "N10 N1" "follows a granted host to one that is not" => |cage| {
        let canary = Canary::start();
        let web = Web::redirecting(&format!("http://127.0.0.1:{}/private", canary.port()));
        let port = web.port();
        cage.name("granted.example", &["127.0.0.1"]);
        cage.network(&format!("{{host: \"granted.example:{port}\", schemes: [http]}}, {}", loopback(port)));
        cage.input(format!("granted.example:{port}")).input(format!("127.0.0.1:{}", canary.port()))
            .input(format!("localhost:{}", canary.port())).input(format!("granted.example:{}", canary.port()));
        let outcome = cage.attack();
        let told = outcome.held(4);
        outcome.denied(Http);
        canary.alone();
        cage.say(told);
    };
    other_port "N3" "another port of a granted host" => |cage| {
        let web = cage.web("");
        let canary = Canary::start();
        cage.input(format!("granted.example:{}", canary.port()));
        held_at(cage, &web, 7);
        canary.alone();
        assert_eq!(web.heads().len(), 1);
    };
    other_scheme "N4" "plain HTTP and other schemes where https was granted" => |cage| {
        let web = Web::start();
        cage.name("granted.example", &["127.0.0.1"]);
        cage.network(&format!("{{host: \"granted.example:{0}\"}}, {1}", web.port(), loopback(web.port())));
        cage.input(format!("granted.example:{}", web.port()));
        held_at(cage, &web, 7);
        assert_eq!(web.heads().len(), 0);
    };
    userinfo "N5" "`@` and other ways to write two hosts in one" => |cage| {
        let web = cage.web("");
        let canary = cage.canary();
        held_at(cage, &web, 14);
        canary.alone();
        assert_eq!(web.heads().len(), 1);
    };
    encoded_path "N5 N13" "dots and slashes, plain and encoded, out of a granted path" => |cage| {
        let web = cage.web(", paths: [\"/v1/**\"]");
        held_at(cage, &web, 15);
        web.never("admin");
    };
    method "N13" "methods that were not granted" => |cage| {
        let web = cage.web(", methods: [GET]");
        held_at(cage, &web, 16);
        assert!(web.heads().iter().all(|head| head.starts_with("GET / HTTP/1.1")), "{:#?}", web.heads());
    };
    method_override "N13" "methods and paths that were not granted, in headers that servers know" => |cage| {
        let web = cage.web(", methods: [POST], paths: [\"/items/**\"]");
        held_at(cage, &web, 8);
        let heads = web.heads();
        assert!(heads.len() == 2 && heads.iter().all(|head| !head.to_lowercase().contains("override")), "{heads:#?}");
    };
    host_header "N8" "another host in the header" => |cage| {
        let web = cage.web("");
        held_at(cage, &web, 10);
        let heads = web.heads();
        assert!(heads.iter().all(|head| head.to_lowercase().matches("\nhost: granted.example").count() == 1), "{heads:#?}");
    };
    crlf "N5" "line breaks in headers, paths and methods" => |cage| {
        let web = cage.web("");
        held_at(cage, &web, 25);
        web.never("injected");
        web.never("smuggled");
    };
    content_length "N8" "lengths that contradict the body" => |cage| {
        let web = cage.web("");
        held_at(cage, &web, 10);
        web.never("smuggled");
    };
    transfer_encoding "N8" "a transfer encoding of its own" => |cage| {
        let web = cage.web("");
        held_at(cage, &web, 12);
        web.never("/smuggled HTTP");
        web.never("gzip");
    };
    connect "N9" "a tunnel through a granted host" => |cage| {
        let web = cage.web("");
        held_at(cage, &web, 12);
        assert_eq!(web.heads().len(), 1, "{:#?}", web.heads());
    };
    upgrade "N9" "another protocol over a granted connection" => |cage| {
        let web = cage.web("");
        held_at(cage, &web, 8);
        web.never("websocket");
        web.never("h2c");
    };
    unsent_requests "E3" "requests that are never sent" => |cage| {
        let outcome = cage.attack();
        let told = outcome.ended("limit of 4096 live");
        cage.say(told);
    };
    field_flood "E3" "headers without end" => |cage| {
        let outcome = cage.attack();
        let told = outcome.ended("the component trapped");
        cage.say(told);
    };
    slow_head "N14" "a server that never answers" => |cage| {
        let _web = cage.web("");
        let outcome = cage.limits("time: \"2s\"").attack();
        let told = outcome.ended("time limit of 2s");
        cage.say(told);
    };
    slow_body "N14" "a server that sends a byte now and then" => |cage| {
        let _web = cage.web("");
        let outcome = cage.limits("time: \"2s\"").attack();
        let told = outcome.ended("time limit of 2s");
        cage.say(told);
    };
    endless_body "N14 E3" "a server that never stops sending" => |cage| {
        let _web = cage.web("");
        let outcome = cage.limits("ingress: \"8Mi\"").attack();
        let told = outcome.ended("limit of 8 MiB received");
        assert!(outcome.usage.memory_bytes < 32 << 20);
        cage.say(told);
    };
    zero_timeout "E6" "timeouts of nothing and of centuries" => |cage| {
        let _web = cage.web("");
        let outcome = cage.attack();
        outcome.held(0);
        cage.say(format!("{} requests, no panic", outcome.saw("answer").len() + 2));
    };
    parallel_requests "N14" "200 requests at once" => |cage| {
        let web = cage.web("");
        let outcome = cage.limits("time: \"2s\"").attack();
        let told = outcome.ended("time limit of 2s");
        assert!(web.most() <= 8, "{} at a time", web.most());
        cage.say(format!("at most {} at a time; {told}", web.most()));
    };
    request_flood "N14" "requests without end" => |cage| {
        let web = cage.web("");
        let outcome = cage.limits("requests: 20").attack();
        let told = outcome.ended("limit of 20 requests");
        assert_eq!(web.heads().len(), 20);
        cage.say(told);
    };
    egress_flood "N14" "sends out more than it may" => |cage| {
        let web = cage.web("");
        let outcome = cage.limits("egress: \"1Mi\"").attack();
        let told = outcome.ended("limit of 1 MiB sent");
        assert!(web.swallowed() <= 1 << 20, "{}", web.swallowed());
        cage.say(told);
    };
    url_exfil "N16" "data in the query of a URL" => |cage| {
        let web = cage.web("");
        let canary = cage.canary();
        let outcome = cage.attack();
        let told = outcome.held(1);
        assert!(!format!("{:?}", outcome.accesses).contains("TOPSECRETQUERY"), "{:#?}", outcome.accesses);
        canary.alone();
        assert_eq!(web.heads().len(), 1);
        cage.say(format!("{told}, no query in the report"));
    };
    header_bomb "N14 E3" "heads of 16 MiB and 100,000 headers" => |cage| {
        let web = cage.web("");
        held_at(cage, &web, 3);
    };
    lying_length "N14" "answers that are not what they announce" => |cage| {
        let web = cage.web("");
        held_at(cage, &web, 6);
    };
    tcp_without_rule "N11" "raw sockets of a component with HTTP only" => |cage| {
        let web = cage.web("");
        let canary = cage.canary();
        cage.input(format!("127.0.0.1:{}", web.port())).input("8.8.8.8:53");
        let outcome = cage.attack();
        let told = outcome.held(6);
        outcome.denied(Socket);
        canary.alone();
        assert_eq!(web.heads().len(), 1);
        cage.say(told);
    };
    tcp_other_port "N11 N3" "raw connections to another port and address" => |cage| {
        let open = Canary::start();
        socket_rule(cage, open.port(), "tcp");
        cage.input(format!("127.0.0.1:{}", open.port()));
        let canary = cage.canary();
        cage.input(format!("127.0.0.2:{}", open.port())).input("169.254.169.254:80").input(format!("0.0.0.0:{}", open.port()));
        let outcome = cage.attack();
        let told = outcome.held(6);
        outcome.denied(Socket);
        canary.alone();
        assert_eq!(open.visits(), 1);
        cage.say(told);
    };
    udp_after_connect "N11" "datagrams to others from a connected socket" => |cage| {
        let open = UdpSocket::bind("127.0.0.1:0").unwrap();
        open.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let port = open.local_addr().unwrap().port();
        socket_rule(cage, port, "udp");
        cage.input(format!("127.0.0.1:{port}"));
        let canary = cage.canary();
        let outcome = cage.attack();
        let told = outcome.held(5);
        canary.alone();
        assert!(open.recv_from(&mut [0; 16]).is_ok(), "the granted one was reached");
        cage.say(told);
    };
    tcp_flood "E3" "sockets and connections without end" => |cage| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        socket_rule(cage, port, "tcp");
        let outcome = cage.input(format!("127.0.0.1:{port}")).attack();
        assert!(outcome.number("sockets") <= 64, "{:?}", outcome.result);
        cage.say(format!("{} sockets, and no more", outcome.number("sockets")));
    };
    tcp_egress "N11 E3" "sends out more than it may over a raw connection" => |cage| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let swallowed = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            drop(stream.read_to_end(&mut bytes));
            bytes.len()
        });
        socket_rule(cage, port, "tcp");
        let outcome = cage.input(format!("127.0.0.1:{port}")).limits("egress: \"1Mi\"").attack();
        let told = outcome.ended("limit of 1 MiB sent");
        assert!(swallowed.join().unwrap() <= 1 << 20);
        cage.say(told);
    };
    dns_lookup "N12" "lookups that carry data" => |cage| {
        let port = Canary::start().port();
        cage.name("granted.example", &["127.0.0.1"]).name("attacker.example", &["192.0.2.1"]).name("x.wild.example", &["192.0.2.1"]);
        cage.network(&format!("{{host: \"granted.example:{port}\", schemes: [http]}}, {{host: \"*.wild.example\"}}, {}", loopback(port)));
        let outcome = cage.input("granted.example").attack();
        let told = outcome.held(17);
        outcome.denied(Resolve).lists("attacker.example");
        cage.say(told);
    };
    bind_privileged "N11" "local addresses nobody granted" => |cage| {
        let open = Canary::start();
        socket_rule(cage, open.port(), "tcp");
        cage.input(format!("127.0.0.1:{}", open.port()));
        let outcome = cage.attack();
        let told = outcome.held(16);
        outcome.denied(Socket);
        cage.say(told);
    };
    environment "E8 E9" "variables, arguments and input of the server" => |cage| {
        cage.permissions("  environment: {allow: [\"GRANTED\", {key: \"MODE\", value: \"strict\"}]}\n");
        cage.variable("GRANTED", "yes").variable("AWS_SECRET_ACCESS_KEY", SECRET).variable("PATH", "/bin");
        let outcome = cage.input("GRANTED").input("MODE").attack();
        outcome.held(5);
        outcome.never(SECRET);
        let mut seen: Vec<_> = outcome.saw("variables").join(" ").split(' ').map(str::to_owned).collect();
        seen.sort();
        assert_eq!(seen, ["GRANTED=yes", "MODE=strict"]);
        cage.say("two granted variables and nothing else");
    };
    environment_without_grant "E9" "the environment of a component without grants" => |cage| {
        cage.variable("AWS_SECRET_ACCESS_KEY", SECRET);
        let outcome = named(cage, "environment");
        outcome.held(5);
        outcome.denied(Environment).never(SECRET);
        cage.say("nothing, and the report says that it was asked for");
    };
    secret_echo "S11 T9" "reads a secret back from its request and from the server" => |cage| {
        let web = with_secret(cage);
        let outcome = cage.attack();
        outcome.held(0);
        outcome.never(SECRET).never(&SECRET[..12]);
        let heads = web.heads();
        assert!(heads.iter().all(|head| head.contains(&format!("Bearer {SECRET}"))), "the server got it: {heads:#?}");
        cage.say(format!("{} answers held it, all masked", heads.len()));
    };
    secret_encoded "S11" "has a secret returned in an encoding" => |cage| {
        let web = with_secret(cage);
        let outcome = cage.attack();
        let told = outcome.held(3);
        outcome.never(SECRET);
        assert!(web.heads().iter().all(|head| !head.to_lowercase().contains("accept-encoding: gzip")));
        cage.say(told);
    };
    secret_elsewhere "S11" "has a secret sent to another host" => |cage| {
        let web = with_secret(cage);
        let other = Web::start();
        cage.name("other.example", &["127.0.0.1"]);
        cage.network(&format!("{{host: \"other.example:{}\", schemes: [http]}}, {}", other.port(), loopback(other.port())));
        merge_network(cage);
        cage.input(format!("other.example:{}", other.port())).input("third.example");
        let outcome = cage.attack();
        outcome.held(1);
        outcome.never(SECRET);
        other.never(SECRET);
        assert!(web.heads()[0].contains(SECRET));
        cage.say("only the host it is for got it");
    };
    secret_own_header "S11" "a header of its own where the secret goes" => |cage| {
        let web = with_secret(cage);
        let outcome = cage.attack();
        assert!(outcome.saw("authorizations").iter().all(|text| !text.contains("true") && !text.contains(',')), "{:?}", outcome.result);
        web.never("forged");
        cage.say("replaced");
    };
}

/// Runs another attack's component than the one the test is named after.
#[track_caller]
fn named(cage: &mut Cage, attack: &str) -> super::cage::Outcome {
    let wasm = std::fs::read(super::cage::component(attack)).unwrap();
    cage.attack_with(&wasm, "run", None)
}

fn socket_rule(cage: &mut Cage, port: u16, protocol: &str) {
    cage.network(&format!(
        "{{cidr: \"127.0.0.1/32\", ports: [{port}], protocols: [{protocol}]}}"
    ));
}

/// Makes one list of the network rules that were granted one after the other.
fn merge_network(cage: &mut Cage) {
    cage.merge("network");
}
