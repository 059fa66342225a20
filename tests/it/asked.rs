//! The model asks, a person grants: at the command line, and in the client where that is allowed.

use crate::support::{Client, Home, guest};
use serde_json::{Value as Json, json};

fn needy() -> Home {
    let home = Home::new();
    home.load(&guest("needy"));
    home
}

/// A model that wants a component to read a variable.
fn wants(name: &str) -> Json {
    json!({
        "component_id": "needy", "permission_type": "environment-variable", "value": name,
        "reason": "to greet\nin the right \u{1b}[31mlanguage",
    })
}

fn pending(home: &Home) -> Json {
    home.json(&["permission", "pending"])["requests"].clone()
}

fn rules(home: &Home) -> Json {
    home.json(&["policy", "get", "needy"])["rules"].clone()
}

/// The number under which it waits.
#[track_caller]
fn waits(answer: &Json) -> u64 {
    let said = &answer["result"]["structuredContent"];
    assert_eq!(said["status"], "permission requested", "{answer}");
    let number = said["request"].as_u64().expect("a number");
    let message = said["message"].as_str().expect("a message");
    // SECURITY: a model with a shell would run a command that it reads.
    assert!(message.contains(&format!("request {number} ")), "{message}");
    assert!(!message.contains("approve"), "{message}");
    number
}

/// The text of an answer that is a refusal.
#[track_caller]
fn refused(answer: &Json) -> &str {
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["content"][0]["text"].as_str().expect("a text")
}

fn decide(home: &Home, word: &str, number: u64) -> (i32, String, String) {
    let ran = home.run(&["permission", word, &number.to_string()]);
    (ran.code, ran.stdout, ran.stderr)
}

/// The commands about requests in the audit file: command, actor, outcome.
fn audited(home: &Home) -> Vec<(String, String, String)> {
    let audit = home.audit();
    let text = |line: &Json, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let begins = audit.iter().filter(|line| {
        let command = line["command"].as_str().unwrap_or_default();
        line["event"] == "command.begin" && command.starts_with("permission.")
    });
    let end = |id: &Json| {
        let mut ends = audit.iter().filter(|line| line["event"] == "command.end");
        ends.find(|line| line["id"] == *id)
            .map(|line| text(line, "outcome"))
    };
    begins
        .map(|line| {
            (
                text(line, "command"),
                text(line, "actor"),
                end(&line["id"]).unwrap_or_default(),
            )
        })
        .collect()
}

fn line(command: &str, actor: &str, outcome: &str) -> (String, String, String) {
    (command.to_owned(), actor.to_owned(), outcome.to_owned())
}

#[test]
fn what_a_model_asks_for_waits_until_a_person_approves_it() {
    let home = needy();
    let mut command = home.command(&["run"]);
    command.env("GREETING", "hello");
    // It cannot be asked in the client.
    let mut client = Client::shaken(command);
    let number = waits(&client.call("request-permission", wants("GREETING")));
    let read =
        |client: &mut Client| client.call("needy_read-env", json!({"name": "GREETING"}))["result"].clone();
    assert!(!read(&mut client).to_string().contains("hello"));
    assert_eq!(rules(&home), json!([]));
    let asked = pending(&home);
    assert_eq!(asked.as_array().map(Vec::len), Some(1), "{asked}");
    let request = &asked[0];
    assert_eq!(
        (
            &request["number"],
            &request["component_id"],
            &request["rules"],
            &request["asked_by"]
        ),
        (
            &json!(number),
            &json!("needy"),
            &json!(["environment allow \"GREETING\""]),
            &json!("agent:stdio")
        )
    );
    let reason = request["reason"].as_str().unwrap();
    assert!(!reason.contains(['\n', '\u{1b}']), "{reason:?}");
    // Asked for again it is the same request.
    assert_eq!(
        waits(&client.call("request-permission", wants("GREETING"))),
        number
    );
    let (code, stdout, stderr) = decide(&home, "approve", number);
    assert_eq!(code, 0, "{stderr}");
    let approved: Json = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&approved["status"], &approved["rules"]),
        (
            &json!("permission granted successfully"),
            &json!(["environment allow \"GREETING\""])
        )
    );
    // The server that runs sees it at the next call.
    assert!(read(&mut client).to_string().contains("hello"));
    assert_eq!(pending(&home), json!([]));
    let again = client.call("request-permission", wants("GREETING"));
    assert_eq!(
        again["result"]["structuredContent"]["status"], "permission was granted before",
        "{again}"
    );
    let (code, _, stderr) = decide(&home, "approve", number);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("permission pending"), "{stderr}");
    let expected = [
        line("permission.request", "agent:stdio", "ok"),
        line("permission.request", "agent:stdio", "ok"),
        line("permission.approve", "operator", "ok"),
        line("permission.request", "agent:stdio", "ok"),
        line("permission.approve", "operator", "failed"),
    ];
    assert_eq!(audited(&home), expected);
}

#[test]
fn what_was_denied_is_not_asked_again_and_can_be_approved_later() {
    let home = needy();
    let mut client = Client::initialized(&home, &[]);
    let number = waits(&client.call("request-permission", wants("GREETING")));
    let (code, stdout, stderr) = decide(&home, "deny", number);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("permission denied"), "{stdout}");
    assert_eq!(pending(&home), json!([]));
    let again = client.call("request-permission", wants("GREETING"));
    assert!(refused(&again).contains("a person denied this before"), "{again}");
    // Something else can be asked for.
    waits(&client.call("request-permission", wants("LANG")));
    let all = home.json(&["permission", "pending", "--all"]);
    assert_eq!(all["total"], 2, "{all}");
    let table = home
        .run(&["permission", "pending", "--all", "-o", "table"])
        .stdout;
    assert!(table.contains("denied") && table.contains("waits"), "{table}");
    assert_eq!(decide(&home, "approve", number).0, 0);
    assert_eq!(rules(&home), json!(["environment allow \"GREETING\""]));
}

/// A client that can show a form, and a request of a permission that it was sent.
fn asked_in_the_client(home: &Home, arguments: Json) -> (Client, u64, Json) {
    let mut client = Client::able(home.command(&["run"]), json!({"elicitation": {}}));
    let called = client.send(
        "tools/call",
        json!({"name": "request-permission", "arguments": arguments}),
    );
    let question = client.notified("elicitation/create");
    (client, called, question)
}

fn answers(client: &mut Client, question: &Json, result: &Json) {
    client.send_line(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}).to_string());
}

#[test]
fn a_person_is_asked_in_a_client_that_can_show_a_form() {
    let home = needy();
    let (mut client, called, question) = asked_in_the_client(&home, wants("GREETING"));
    let message = question["params"]["message"].as_str().unwrap();
    assert!(
        message.contains("`needy`") && message.contains("environment allow \"GREETING\""),
        "{message}"
    );
    assert!(
        message.contains("The model says what for (nobody has checked that): \"to greet"),
        "{message}"
    );
    assert_eq!(
        question["params"]["requestedSchema"]["properties"]["decision"]["enum"],
        json!(["deny", "allow"])
    );
    answers(
        &mut client,
        &question,
        &json!({"action": "accept", "content": {"decision": "allow"}}),
    );
    let answer = client.answer(called);
    assert_eq!(
        answer["result"]["structuredContent"]["status"], "permission granted",
        "{answer}"
    );
    assert_eq!(rules(&home), json!(["environment allow \"GREETING\""]));
    let expected = [
        line("permission.request", "agent:stdio", "ok"),
        line("permission.approve", "person:stdio", "ok"),
    ];
    assert_eq!(audited(&home), expected);
}

/// What a person answers, and what the model is told then.
#[track_caller]
fn answered(result: &Json) -> (Home, Client, Json) {
    let home = needy();
    let (mut client, called, question) = asked_in_the_client(&home, wants("GREETING"));
    answers(&mut client, &question, result);
    let answer = client.answer(called);
    assert_eq!(rules(&home), json!([]));
    (home, client, answer)
}

#[test]
fn a_person_who_says_no_in_the_form_denies_it() {
    let no = json!({"action": "accept", "content": {"decision": "deny"}});
    let (home, mut client, answer) = answered(&no);
    assert!(refused(&answer).contains("the user denied it"), "{answer}");
    let again = client.call("request-permission", wants("GREETING"));
    assert!(refused(&again).contains("denied this before"), "{again}");
    assert_eq!(audited(&home)[1], line("permission.deny", "person:stdio", "ok"));
}

/// Agents that run without a person decline by themselves.
#[test]
fn a_form_that_is_declined_denies_nothing_for_good_and_is_not_shown_again() {
    let (home, mut client, answer) = answered(&json!({"action": "decline"}));
    assert!(refused(&answer).contains("declined in the client"), "{answer}");
    let number = waits(&client.call("request-permission", wants("GREETING")));
    assert!(client.notifications.is_empty(), "{:?}", client.notifications);
    assert!(audited(&home).iter().all(|(_, actor, _)| actor == "agent:stdio"));
    // Another conversation asks anew.
    let (mut other, called, question) = asked_in_the_client(&home, wants("GREETING"));
    answers(&mut other, &question, &json!({"action": "cancel"}));
    assert_eq!(waits(&other.answer(called)), number);
    assert_eq!(decide(&home, "approve", number).0, 0);
}

/// SECURITY: who asked first does not speak in the form of who asks now.
#[test]
fn a_form_has_the_reason_that_its_own_model_gave_and_says_what_the_component_is() {
    let home = needy();
    let mut first = Client::initialized(&home, &[]);
    let mut other = wants("GREETING");
    other["reason"] = json!("approved by IT");
    waits(&first.call("request-permission", other));
    let (_client, _, question) = asked_in_the_client(&home, wants("GREETING"));
    let message = question["params"]["message"].as_str().unwrap();
    assert!(message.contains("\"to greet in the right"), "{message}");
    assert!(!message.contains("approved by IT"), "{message}");
    assert!(
        message.starts_with("Wassette asks: component `needy` (from file:///"),
        "{message}"
    );
    assert!(message.contains("needy.wasm, sha256:"), "{message}");
}

#[test]
fn a_form_says_what_stands_in_the_way_and_the_model_does_not_learn_it() {
    let home = needy();
    let uri = format!(
        "fs://{}",
        home.path().canonicalize().unwrap().join("missing").display()
    );
    let arguments = json!({"component_id": "needy", "permission_type": "storage", "value": uri});
    let (mut client, called, question) = asked_in_the_client(&home, arguments);
    let message = question["params"]["message"].as_str().unwrap();
    assert!(
        message.contains("As it is now this cannot be granted: ") && message.contains("missing"),
        "{message}"
    );
    answers(
        &mut client,
        &question,
        &json!({"action": "accept", "content": {"decision": "allow"}}),
    );
    waits(&client.answer(called));
    assert_eq!(rules(&home), json!([]));
}

#[test]
fn a_limit_that_is_asked_for_is_never_less_than_what_holds() {
    let home = needy();
    let mut client = Client::initialized(&home, &[]);
    let memory = |value: &str| json!({"component_id": "needy", "permission_type": "memory", "value": value});
    let is_granted =
        |answer: &Json| answer["result"]["structuredContent"]["status"] == "permission was granted before";
    let less = client.call("request-permission", memory("64Mi"));
    assert!(is_granted(&less), "the default is more: {less}");
    let number = waits(&client.call("request-permission", memory("1Gi")));
    home.json(&["permission", "grant", "memory", "needy", "2Gi"]);
    assert_eq!(
        pending(&home),
        json!([]),
        "what was granted otherwise waits no more"
    );
    assert_eq!(decide(&home, "approve", number).0, 4);
    assert_eq!(rules(&home), json!(["limit memory 2Gi"]));
}

#[test]
fn a_secret_can_be_asked_for_and_what_it_lacks_is_said() {
    let home = needy();
    let secret = json!({
        "component_id": "needy", "permission_type": "secret", "value": "token", "host": "api.example.com",
    });
    let (mut client, called, question) = asked_in_the_client(&home, secret);
    let rule = r#"secret "token" host "api.example.com" header "authorization""#;
    let message = question["params"]["message"].as_str().unwrap();
    assert!(message.contains(rule), "{message}");
    answers(
        &mut client,
        &question,
        &json!({"action": "accept", "content": {"decision": "allow"}}),
    );
    let granted = client.answer(called);
    let message = granted["result"]["structuredContent"]["message"]
        .as_str()
        .unwrap();
    assert!(
        message.contains("no rule of the network allows a request"),
        "{message}"
    );
    assert_eq!(rules(&home), json!([rule]));
}

/// What was granted otherwise takes no place, though nobody looks at what waits.
#[test]
fn what_was_granted_otherwise_takes_no_place() {
    let home = needy();
    let mut client = Client::initialized(&home, &[]);
    let network =
        |value: &str| json!({"component_id": "needy", "permission_type": "network", "value": value});
    for number in 0..8 {
        waits(&client.call("request-permission", network(&format!("a{number}.example.com"))));
    }
    home.json(&["permission", "grant", "network", "needy", "*.example.com"]);
    waits(&client.call("request-permission", network("other.example.org")));
    let again = client.call("request-permission", network("a0.example.com"));
    let status = &again["result"]["structuredContent"]["status"];
    assert_eq!(
        status, "permission was granted before",
        "a wider rule covers it: {again}"
    );
    assert_eq!(pending(&home).as_array().map(Vec::len), Some(1));
}

#[test]
fn what_cannot_be_shown_as_it_is_is_not_asked_for() {
    let home = needy();
    let mut client = Client::initialized(&home, &[]);
    for path in ["/data/do\u{200b}cs", "/data/x\" access read", "/data/\u{202e}cod"] {
        let uri = format!("fs://{path}");
        let arguments = json!({"component_id": "needy", "permission_type": "storage", "value": uri});
        let answer = client.call("request-permission", arguments);
        assert_eq!(answer["result"]["isError"], true, "{answer}");
    }
    assert_eq!(pending(&home), json!([]));
}

#[test]
fn a_denial_at_the_command_line_counts_while_a_form_is_open() {
    let home = needy();
    let (mut client, called, question) = asked_in_the_client(&home, wants("GREETING"));
    let number = pending(&home)[0]["number"].as_u64().unwrap();
    assert_eq!(decide(&home, "deny", number).0, 0);
    answers(
        &mut client,
        &question,
        &json!({"action": "accept", "content": {"decision": "allow"}}),
    );
    let answer = client.answer(called);
    assert!(refused(&answer).contains("decided elsewhere"), "{answer}");
    assert_eq!(rules(&home), json!([]));
}

/// What a person answers after that would be lost.
#[test]
fn a_form_is_taken_back_when_its_call_is_cancelled() {
    let home = needy();
    let (mut client, called, question) = asked_in_the_client(&home, wants("GREETING"));
    client.notify("notifications/cancelled", json!({"requestId": called}));
    let taken_back = client.notified("notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], question["id"], "{taken_back}");
}

#[test]
fn only_a_clear_yes_grants() {
    let later = json!({"action": "cancel"});
    let nothing = json!({"action": "accept", "content": {}});
    for undecided in [later, nothing] {
        let (home, _client, answer) = answered(&undecided);
        assert_eq!(decide(&home, "approve", waits(&answer)).0, 0);
    }
}

#[test]
fn the_operator_can_keep_approvals_out_of_clients() {
    let home = needy();
    let mut command = home.command(&["run"]);
    command.env("WASSETTE_APPROVE_IN_CLIENT", "false");
    let mut client = Client::able(command, json!({"elicitation": {}}));
    waits(&client.call("request-permission", wants("GREETING")));
    assert!(client.notifications.is_empty(), "{:?}", client.notifications);
}

/// 2026-07-28: the question is a result, and the client brings the answer with the same call.
#[test]
fn an_answer_is_good_once_for_the_request_that_was_shown() {
    let home = needy();
    let mut client = home.serve(&[]);
    let mut call = |arguments: Json, more: &Json| {
        let mut params = json!({"name": "request-permission", "arguments": arguments});
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
            "io.modelcontextprotocol/clientInfo": {"name": "it", "version": "0"}
        });
        for (key, value) in more.as_object().unwrap() {
            params[key] = value.clone();
        }
        client.request("tools/call", params)
    };
    let asked = call(wants("GREETING"), &json!({}));
    let question = &asked["result"]["inputRequests"]["decision"];
    assert_eq!(question["method"], "elicitation/create", "{asked}");
    let yes = json!({
        "requestState": asked["result"]["requestState"],
        "inputResponses": {"decision": {"action": "accept", "content": {"decision": "allow"}}},
    });
    // SECURITY: a yes to one thing is none to another, and none without the question.
    let other = call(wants("PATH"), &yes);
    assert_eq!(other["error"]["code"], -32602, "{other}");
    let unasked = call(wants("PATH"), &json!({"inputResponses": yes["inputResponses"]}));
    assert!(unasked["result"]["inputRequests"].is_object(), "{unasked}");
    assert_eq!(rules(&home), json!([]));
    let granted = call(wants("GREETING"), &yes);
    assert_eq!(
        granted["result"]["structuredContent"]["status"], "permission granted",
        "{granted}"
    );
    home.json(&["permission", "reset", "needy"]);
    let replayed = call(wants("GREETING"), &yes);
    assert_eq!(replayed["error"]["code"], -32602, "{replayed}");
    assert_eq!(rules(&home), json!([]));
}

#[test]
fn a_request_is_for_the_version_that_it_was_asked_for() {
    let home = Home::new();
    let path = home.wat("add");
    home.load(&path);
    let mut client = Client::initialized(&home, &[]);
    let arguments = json!({"component_id": "add", "permission_type": "network", "value": "api.example.com"});
    let first = waits(&client.call("request-permission", arguments.clone()));
    let divide = std::fs::read(home.wat("divide")).unwrap();
    std::fs::write(&path, divide).unwrap();
    home.json(&["component", "load", path.to_str().unwrap(), "--replace"]);
    assert_eq!(
        decide(&home, "approve", first).0,
        4,
        "it is gone with its version"
    );
    let second = waits(&client.call("request-permission", arguments.clone()));
    assert!(second > first, "no number is used twice");
    home.json(&["component", "unload", "add"]);
    assert_eq!(pending(&home), json!([]));
    home.load(&path);
    assert_eq!(decide(&home, "approve", second).0, 4);
}

#[test]
fn a_path_is_granted_where_it_was_read() {
    let home = needy();
    let real = home.path().canonicalize().unwrap();
    std::fs::create_dir(real.join("papers")).unwrap();
    std::fs::create_dir(real.join("data")).unwrap();
    let wanted = |name: &str| {
        let uri = format!("fs://{}", real.join(name).display());
        json!({"component_id": "needy", "permission_type": "storage", "value": uri, "access": ["read"]})
    };
    let mut client = Client::initialized(&home, &[]);
    let number = waits(&client.call("request-permission", wanted("data")));
    // Whoever may write beside it makes it lead elsewhere before the person looks.
    std::fs::remove_dir(real.join("data")).unwrap();
    std::os::unix::fs::symlink(real.join("papers"), real.join("data")).unwrap();
    let (code, _, stderr) = decide(&home, "approve", number);
    assert_eq!(code, 3, "{stderr}");
    assert!(
        stderr.contains("leads elsewhere") && stderr.contains("papers"),
        "{stderr}"
    );
    assert_eq!(rules(&home), json!([]));
    // What is not there yet, or may never be granted, is not granted by asking.
    let (missing, own) = (
        wanted("missing"),
        json!({
            "component_id": "needy", "permission_type": "storage", "value": format!("fs://{}", home.store().display()),
        }),
    );
    for (arguments, code) in [(missing, 4), (own, 3)] {
        let number = waits(&client.call("request-permission", arguments));
        assert_eq!(decide(&home, "approve", number).0, code);
    }
    let number = waits(&client.call("request-permission", wanted("papers")));
    assert_eq!(decide(&home, "approve", number).0, 0);
}

#[test]
fn a_ceiling_holds_for_what_is_asked_for() {
    let home = needy();
    let ceiling = home.file(
        "ceiling.yaml",
        b"version: \"1.0\"\npermissions: {network: {allow: [{host: api.example.com}]}}\n",
    );
    let mut command = home.command(&["run"]);
    command.env("WASSETTE_CEILING", &ceiling);
    let mut client = Client::shaken(command);
    let answer = client.call("request-permission", wants("GREETING"));
    assert!(refused(&answer).contains("does not allow"), "{answer}");
    let network =
        |value: &str| json!({"component_id": "needy", "permission_type": "network", "value": value});
    waits(&client.call("request-permission", network("api.example.com")));
    let answer = client.call("request-permission", network("other.example.com"));
    assert!(refused(&answer).contains("does not allow"), "{answer}");
    // Granted, and not allowed since.
    home.json(&["permission", "grant", "environment-variable", "needy", "GREETING"]);
    let answer = client.call("request-permission", wants("GREETING"));
    assert!(refused(&answer).contains("does not allow"), "{answer}");
}

#[test]
fn nobody_is_flooded_with_requests() {
    let home = needy();
    let mut client = Client::initialized(&home, &[]);
    for number in 0..8 {
        waits(&client.call("request-permission", wants(&format!("A{number}"))));
    }
    let answer = client.call("request-permission", wants("ONE_MORE"));
    assert!(refused(&answer).contains("too many requests wait"), "{answer}");
    assert_eq!(pending(&home).as_array().map(Vec::len), Some(8));
    let denied = home.json(&["permission", "deny", "--component", "needy"]);
    assert_eq!(denied["denied"].as_array().map(Vec::len), Some(8), "{denied}");
    assert_eq!(pending(&home), json!([]));
    let first = waits(&client.call("request-permission", wants("B1")));
    let second = waits(&client.call("request-permission", wants("B2")));
    home.json(&["permission", "deny", &first.to_string(), &second.to_string()]);
    assert_eq!(home.run(&["permission", "deny"]).code, 2);
    let unknown = home.run(&["permission", "deny", "--component", "nobody"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    // Whatever is answered, a person is shown ten forms in an hour.
    let mut client = Client::able(home.command(&["run"]), json!({"elicitation": {}}));
    for number in 0..12 {
        let arguments = wants(&format!("C{number}"));
        let called = client.send(
            "tools/call",
            json!({"name": "request-permission", "arguments": arguments}),
        );
        if number < 10 {
            let question = client.notified("elicitation/create");
            answers(
                &mut client,
                &question,
                &json!({"action": "accept", "content": {"decision": "deny"}}),
            );
            refused(&client.answer(called));
        } else {
            waits(&client.answer(called));
        }
    }
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let home = needy();
    let mut client = Client::initialized(&home, &[]);
    let mut ask = |arguments: Json| client.call("request-permission", arguments);
    for (arguments, part) in [
        (json!({}), "`/component_id`"),
        (
            json!({"component_id": "nobody", "permission_type": "memory", "value": "32Mi"}),
            "unknown component",
        ),
        (
            json!({"component_id": "needy", "permission_type": "all", "value": "*"}),
            "expected one of",
        ),
        (
            json!({"component_id": "needy", "permission_type": "network", "value": "*.com"}),
            "invalid arguments",
        ),
    ] {
        let answer = ask(arguments);
        assert!(refused(&answer).contains(part), "{answer}");
    }
    assert_eq!(pending(&home), json!([]));
}
