//! Fetching files: what is taken, and what is refused with which words.

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::file::CHUNK_BYTES;

fn limits(artifact_bytes_max: u64) -> FetchLimits {
    FetchLimits {
        artifact_bytes_max,
        ..FetchLimits::default()
    }
}

async fn fetch(path: &Path, bytes_max: u64) -> Result<Artifact, FetchError> {
    Fetcher::new(limits(bytes_max), &[])
        .fetch(&Reference::File(path.to_owned()), &FetchOptions::OPERATOR)
        .await
        .map(|fetched| fetched.artifact)
}

#[tokio::test]
async fn a_file_up_to_the_limit_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tool.wasm");
    // More than one chunk, and not a multiple of it.
    let bytes: Vec<u8> = (0..CHUNK_BYTES + 77)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let length = u64::try_from(bytes.len()).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let artifact = fetch(&path, length).await.unwrap();
    assert_eq!(*artifact.bytes, *bytes);
    assert_eq!(artifact.digest, Digest::of(&bytes));
    assert_eq!(artifact.origin, Reference::File(path.clone()));
    let error = fetch(&path, length - 1).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::TooLarge { bytes_max, .. } if *bytes_max == length - 1),
        "{error:?}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_a_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("target"), b"bytes").unwrap();
    std::os::unix::fs::symlink("target", folder.path().join("link")).unwrap();
    assert_eq!(
        *fetch(&folder.path().join("link"), 10).await.unwrap().bytes,
        *b"bytes"
    );
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    assert!(matches!(fetch(&path, 10).await, Err(FetchError::Missing(found)) if found == path));
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(fetch(&path, 10).await, Err(FetchError::Empty(found)) if found == path));
    assert!(matches!(
        fetch(&path.join("below"), 10).await,
        Err(FetchError::Missing(_))
    ));
    assert!(matches!(
        fetch(folder.path(), 10).await,
        Err(FetchError::Folder(_))
    ));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn pipes_sockets_and_devices_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, socket) = (folder.path().join("pipe"), folder.path().join("socket"));
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [
        pipe.as_path(),
        socket.as_path(),
        Path::new("/dev/zero"),
        Path::new("/dev/null"),
    ] {
        let error = fetch(path, 10).await.unwrap_err();
        assert!(
            matches!(&error, FetchError::Special(found) if found == path),
            "{error:?}"
        );
    }
}

/// Files of `/proc` are regular, say that they have no bytes, and have some: as a file that grows.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_limit_holds_while_reading() {
    let path = Path::new("/proc/version");
    assert!(matches!(
        fetch(path, 4).await,
        Err(FetchError::TooLarge { bytes_max: 4, .. })
    ));
    assert!(fetch(path, 4096).await.is_ok());
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(ARTIFACT_BYTES_MAX)
        .unwrap();
    let fetcher = Fetcher::new(
        FetchLimits {
            time_max: Duration::from_millis(1),
            ..FetchLimits::default()
        },
        &[],
    );
    let error = fetcher
        .fetch(&Reference::File(path), &FetchOptions::OPERATOR)
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error:?}");
}

#[test]
fn a_stopped_read_ends_at_the_next_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, b"bytes").unwrap();
    let stopped = read(path, 10, &AtomicBool::new(true)).unwrap_err();
    assert!(matches!(stopped, FetchError::Stopped(_)), "{stopped:?}");
}

/// Root may read everything, so the system cannot be asked to refuse in a test that runs as root.
#[test]
fn a_refusal_of_the_system_is_no_permission() {
    let error = FetchError::io("/x".into(), io::ErrorKind::PermissionDenied.into());
    assert_eq!(error.to_string(), "no permission to read `/x`");
    assert!(matches!(error, FetchError::Denied(_)));
}

#[tokio::test]
async fn a_starter_is_fetched_by_name_and_an_unknown_one_lists_those_there_are() {
    const STARTERS: &[Starter] = &[Starter {
        name: "time",
        description: "Tells the time",
        wasm: b"wasm",
    }];
    let fetcher = Fetcher::new(FetchLimits::default(), STARTERS);
    let fetch = async |name: &str| {
        fetcher
            .fetch(&name.parse().unwrap(), &FetchOptions::OPERATOR)
            .await
    };
    let artifact = fetch("starter:time").await.unwrap().artifact;
    assert_eq!(
        (&*artifact.bytes, artifact.origin.to_string()),
        (&b"wasm"[..], "starter:time".to_owned())
    );
    let error = fetch("starter:tine").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no starter component `tine`; there are `time`"
    );
}
