//! Components that are made to cost the one who compiles them: the compiler is a process with limits, and it is the
//! process that pays.

#![cfg(target_os = "linux")]

use crate::support::{Client, Home, guest};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wassette_host::{
    Actor, CallResult, Command, Compiler, CompilerLimits, CompilerProgram, ErrorKind, Host, HostConfig,
    HostError, LoadRequest, Reference, Silent,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Functions are this large, and there are this many values alive in them.
const BLOCKS: usize = 700;
const LOCALS: usize = 600;

/// A valid component within all bounds of the scan that exports `run(x: s32) -> s32`, with so many functions. Each has
/// many values that are alive at the same time, and many blocks in one loop: what allocating registers is slow for.
fn slow(functions: usize) -> Vec<u8> {
    let mut body = vec![1];
    number(&mut body, LOCALS);
    body.extend([0x7f, 0x03, 0x40]);
    for block in 0..BLOCKS {
        let (a, b, c) = (
            block % LOCALS,
            (block * 7 + 3) % LOCALS,
            (block * 31 + 11) % LOCALS,
        );
        // Leaves the block when `a` is zero, else `a = b + c * block`, and begins the loop anew for some `c`.
        instruction(&mut body, &[0x02, 0x40, 0x20], a);
        instruction(&mut body, &[0x45, 0x0d, 0x00, 0x20], b);
        instruction(&mut body, &[0x20], c);
        instruction(&mut body, &[0x20], block % LOCALS);
        instruction(&mut body, &[0x6c, 0x6a, 0x21], a);
        instruction(&mut body, &[0x20], c);
        body.extend([0x0d, 0x01, 0x0b]);
    }
    body.extend([0x0b, 0x20, 0x01, 0x0b]);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 1, &[1, 0x60, 1, 0x7f, 1, 0x7f]);
    let mut declared = Vec::new();
    number(&mut declared, functions);
    declared.resize(declared.len() + functions, 0);
    section(&mut module, 3, &declared);
    section(&mut module, 7, b"\x01\x03run\0\0");
    let mut code = Vec::new();
    number(&mut code, functions);
    for _ in 0..functions {
        number(&mut code, body.len());
        code.extend(&body);
    }
    section(&mut module, 10, &code);
    with_module(&module)
}

/// The component [`QUICK`], around another core module.
fn with_module(module: &[u8]) -> Vec<u8> {
    let quick = quick();
    let (head, rest) = quick.split_at(8);
    assert!(
        rest[0] == 1 && rest[1] < 0x80,
        "its first section is a short core module"
    );
    let mut component = head.to_vec();
    section(&mut component, 1, module);
    component.extend(&rest[2 + usize::from(rest[1])..]);
    component
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    number(bytes, content.len());
    bytes.extend(content);
}

fn instruction(body: &mut Vec<u8>, codes: &[u8], operand: usize) {
    body.extend(codes);
    number(body, operand);
}

/// LEB128.
fn number(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
}

/// Gives back what it gets.
const QUICK: &str = r#"(component
  (core module $m (func (export "run") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m))
  (func (export "run") (param "x" s32) (result s32) (canon lift (core func $i "run"))))"#;

fn quick() -> Vec<u8> {
    wat::parse_str(QUICK).unwrap()
}

/// More work than the compiler is given time for in any test.
fn endless() -> Vec<u8> {
    slow(150)
}

/// A host that compiles with the program, within these limits.
struct Own {
    host: Host,
    folder: TempDir,
}

fn limits(time: Duration, memory_bytes: u64) -> CompilerLimits {
    CompilerLimits {
        time,
        memory_bytes,
        ..CompilerLimits::DEFAULT
    }
}

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_wassette").into()
}

async fn open(folder: &Path, program: PathBuf, limits: CompilerLimits) -> Host {
    let mut config = HostConfig::new(&folder.join("store"));
    config.compiler = Compiler {
        program: CompilerProgram::Process(program),
        limits,
    };
    Host::open(config).await.unwrap()
}

impl Own {
    async fn new(limits: CompilerLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = open(folder.path(), program(), limits).await;
        Self { host, folder }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

async fn load(host: &Host, path: &Path) -> Result<(), HostError> {
    let request = LoadRequest {
        reference: Reference::File(path.to_owned()),
        name: None,
        replace: false,
        wit: Vec::new(),
        locked: None,
        digest: None,
    };
    let loaded = host
        .execute(Command::Load(request), &Actor::Operator, &Silent)
        .await;
    loaded.map(drop)
}

/// The error with its cause.
#[track_caller]
fn refused(result: Result<(), HostError>, kind: ErrorKind, text: &str) {
    let error = result.expect_err("a component that cannot be compiled");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert_eq!(error.agent_text(), format!("cannot load the component: {text}"));
    assert!(error.hint().is_some(), "{error:?}");
}

#[tokio::test]
async fn what_takes_too_long_is_stopped_and_calls_go_on() {
    let own = Own::new(limits(Duration::from_secs(3), 2 << 30)).await;
    let calc = quick();
    load(&own.host, &own.file("calc.wasm", &calc)).await.unwrap();
    let path = own.file("slow.wasm", &endless());
    let (host, started) = (own.host.clone(), Instant::now());
    let loading = tokio::spawn(async move { load(&host, &path).await });
    let mut calls = 0;
    while !loading.is_finished() {
        let report = own
            .host
            .call("calc_run", &json!({ "x": 20 }), &Actor::Operator)
            .await
            .unwrap();
        assert_eq!(report.result, CallResult::Value(json!(20)));
        calls += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    refused(
        loading.await.unwrap(),
        ErrorKind::Invalid,
        "compiling the component took longer than 3 s and was stopped",
    );
    assert!(calls > 1, "{calls} calls");
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_takes_too_much_processor_time_is_stopped() {
    let mut limits = limits(PATIENCE, 2 << 30);
    limits.cpu = Duration::from_secs(1);
    let own = Own::new(limits).await;
    refused(
        load(&own.host, &own.file("slow.wasm", &endless())).await,
        ErrorKind::Invalid,
        "compiling the component took more than 1 s of processor time and was stopped",
    );
}

#[tokio::test]
async fn what_takes_too_much_memory_is_stopped() {
    let own = Own::new(limits(PATIENCE, 48 << 20)).await;
    load(&own.host, &own.file("calc.wasm", &quick())).await.unwrap();
    refused(
        load(&own.host, &own.file("large.wasm", &endless())).await,
        ErrorKind::Invalid,
        "compiling the component took more than 48 MiB of memory and was stopped",
    );
}

#[tokio::test]
async fn more_code_than_is_taken_is_not_read() {
    let mut limits = CompilerLimits::DEFAULT;
    limits.code_bytes = 1 << 20;
    let own = Own::new(limits).await;
    // What memories hold at the start is in the code, too, and takes no time to compile.
    let data = "x".repeat(2 << 20);
    let with_data = QUICK.replace(
        "(core module $m",
        &format!("(core module $m (memory 32) (data (i32.const 0) \"{data}\")"),
    );
    refused(
        load(
            &own.host,
            &own.file("much.wasm", &wat::parse_str(with_data).unwrap()),
        )
        .await,
        ErrorKind::Invalid,
        "the component compiles to more than 1 MiB of machine code",
    );
}

#[tokio::test]
async fn what_cannot_be_compiled_is_remembered() {
    let low = limits(Duration::from_secs(1), 2 << 30);
    let own = Own::new(low).await;
    let path = own.file("slow.wasm", &endless());
    let text = "compiling the component took longer than 1 s and was stopped";
    refused(load(&own.host, &path).await, ErrorKind::Invalid, text);
    // A host that can compile nothing gives the same answer, so nothing was started for it.
    let nothing = PathBuf::from("/nonexistent/wassette");
    let again = open(own.folder.path(), nothing.clone(), low).await;
    refused(load(&again, &path).await, ErrorKind::Invalid, text);
    let higher = open(
        own.folder.path(),
        nothing,
        limits(Duration::from_secs(2), 2 << 30),
    )
    .await;
    refused(
        load(&higher, &path).await,
        ErrorKind::Unavailable,
        "the compiler cannot be started",
    );
}

#[tokio::test]
async fn without_its_process_nothing_is_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calc.wasm");
    std::fs::write(&path, quick()).unwrap();
    for (program, text) in [
        ("/nonexistent/wassette", "the compiler cannot be started"),
        (
            "/bin/false",
            "the compiler does not work: it ended with exit status: 1",
        ),
        (
            "/bin/echo",
            "the compiler does not work: its answer is not understood",
        ),
    ] {
        let host = open(folder.path(), program.into(), CompilerLimits::DEFAULT).await;
        refused(load(&host, &path).await, ErrorKind::Unavailable, text);
    }
    let host = open(folder.path(), program(), CompilerLimits::DEFAULT).await;
    load(&host, &path).await.unwrap();
}

#[tokio::test]
async fn an_ordinary_guest_needs_a_small_part_of_the_limits() {
    let own = Own::new(limits(PATIENCE, 128 << 20)).await;
    for name in ["kitchen", "hostile", "needy"] {
        load(&own.host, &guest(name)).await.unwrap();
    }
}

/// A server that compiles what takes long, asked to load by the model.
struct Busy {
    client: Client,
    home: Home,
    request: u64,
    compiler: u32,
}

fn busy() -> Busy {
    let home = Home::new();
    home.load(&home.wat("add"));
    home.file("slow.wasm", &endless());
    // Started with a descriptor that nobody closes.
    let mut command = Program::new("/bin/sh");
    command
        .args([
            "-c",
            "exec 7</etc/passwd; exec \"$0\" run",
            env!("CARGO_BIN_EXE_wassette"),
        ])
        .env_clear()
        .env("HOME", home.path())
        .env("SECRET_OF_THE_SERVER", "s3cr3t")
        .current_dir(home.path());
    let mut client = Client::shaken(command);
    let request = send_load(&mut client);
    let compiler = compiler_of(client.child.id());
    Busy {
        client,
        home,
        request,
        compiler,
    }
}

fn send_load(client: &mut Client) -> u64 {
    let arguments = json!({ "path": "./slow.wasm" });
    client.send(
        "tools/call",
        json!({ "name": "load-component", "arguments": arguments }),
    )
}

/// The process that compiles for this server, once it has limited itself.
fn compiler_of(server: u32) -> u32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(compiler) = compilers_of(server).into_iter().find(|pid| is_confined(*pid)) {
            return compiler;
        }
        assert!(Instant::now() < deadline, "no compiler was started");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_confined(pid: u32) -> bool {
    proc(pid, "limits").contains("Max open files            3 ")
}

fn compilers_of(server: u32) -> Vec<u32> {
    let parent = format!("PPid:\t{server}\n");
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| proc(*pid, "status").contains(&parent))
        .filter(|pid| proc(*pid, "cmdline").contains("__compile"))
        .collect()
}

fn proc(pid: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

#[track_caller]
fn is_gone(pid: u32) {
    let deadline = Instant::now() + PATIENCE;
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < deadline, "{}", proc(pid, "status"));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(pid: u32) {
    let ran = Program::new("/bin/kill").args(["-9", &pid.to_string()]).status();
    assert!(ran.unwrap().success());
}

fn text(answer: &serde_json::Value) -> &str {
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn the_compiler_has_nothing_of_the_server() {
    let busy = busy();
    let pid = busy.compiler;
    assert_eq!(proc(pid, "environ"), "");
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let mut found: Vec<_> = descriptors
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), std::fs::read_link(entry.path()).unwrap()))
        .map(|(name, target)| (name.into_string().unwrap(), target.display().to_string()))
        .collect();
    found.sort();
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    // It has read all there is to read, and may have closed nothing.
    assert_eq!(names, ["0", "1", "2"], "{found:?}");
    assert!(
        found.iter().all(|(_, target)| target.starts_with("pipe:")),
        "{found:?}"
    );
    let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(folder, Path::new("/"));
    let status = proc(pid, "status");
    assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
    let limits = proc(pid, "limits");
    for line in [
        "Max cpu time              120                  125                  seconds",
        "Max file size             0                    0                    bytes",
        "Max data size             2147483648           2147483648           bytes",
        "Max core file size        0                    0                    bytes",
        "Max open files            3                    3                    files",
        "Max address space         3221225472           3221225472           bytes",
    ] {
        assert!(limits.contains(line), "{limits}");
    }
    let group = proc(pid, "stat");
    let group = group.rsplit(") ").next().unwrap().split(' ').nth(2).unwrap();
    assert_eq!(group, pid.to_string(), "a process group of its own");
    assert!(busy.home.path().join("slow.wasm").exists());
}

#[test]
fn a_compiler_that_is_killed_is_an_error_and_not_remembered() {
    let mut busy = busy();
    kill(busy.compiler);
    let answer = busy.client.answer(busy.request);
    assert_eq!(
        text(&answer),
        "cannot load the component: the compiler was killed from outside (signal 9)"
    );
    is_gone(busy.compiler);
    // Tried again: there is a compiler again.
    let _request = send_load(&mut busy.client);
    let second = compiler_of(busy.client.child.id());
    assert_ne!(second, busy.compiler);
    kill(second);
    let loaded = busy.home.load(&busy.home.wat("greet"));
    assert_eq!(loaded["id"], "greet");
}

#[test]
fn a_load_that_is_cancelled_ends_its_compiler() {
    let mut busy = busy();
    busy.client
        .notify("notifications/cancelled", json!({ "requestId": busy.request }));
    is_gone(busy.compiler);
    assert_eq!(compilers_of(busy.client.child.id()), [0_u32; 0]);
    // The turn is free again at once.
    std::fs::write(busy.home.path().join("quick.wasm"), quick()).unwrap();
    let answer = busy
        .client
        .call("load-component", json!({ "path": "./quick.wasm" }));
    assert_eq!(answer["result"]["isError"], json!(false), "{answer}");
    assert_eq!(
        compilers_of(busy.client.child.id()),
        [0_u32; 0],
        "an idle server has none"
    );
}

#[test]
fn a_server_that_is_killed_takes_its_compiler_along() {
    let mut busy = busy();
    busy.client.child.kill().unwrap();
    busy.client.child.wait().unwrap();
    is_gone(busy.compiler);
}

#[test]
fn a_program_that_was_removed_still_compiles() {
    let home = Home::new();
    let copy = home.path().join("wassette");
    std::fs::copy(env!("CARGO_BIN_EXE_wassette"), &copy).unwrap();
    let mut command = Program::new(&copy);
    command
        .arg("run")
        .env_clear()
        .env("HOME", home.path())
        .current_dir(home.path());
    let mut client = Client::shaken(command);
    std::fs::remove_file(&copy).unwrap();
    home.file("quick.wasm", &quick());
    let answer = client.call("load-component", json!({ "path": "./quick.wasm" }));
    assert_eq!(answer["result"]["isError"], json!(false), "{answer}");
}

#[test]
fn the_compiler_is_of_no_use_to_a_person() {
    let home = Home::new();
    for arguments in [
        &["__compile"][..],
        &["__compile", "--help"],
        &["__compile", "1", "2", "3"],
    ] {
        let ran = home.run(arguments);
        assert_eq!(
            (ran.code, ran.stderr.as_str(), ran.stdout.as_str()),
            (
                2,
                "error: this is how the program starts its own compiler; it is of no use to anybody else\n",
                ""
            ),
            "{arguments:?}"
        );
    }
    let help = home.run(&["--help"]);
    assert!(!help.stdout.contains("__compile"), "{}", help.stdout);
    let mut given = home.command(&["__compile", "1000000000", "10"]);
    let output = given.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
