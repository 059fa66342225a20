//! Does to files exactly what it is told, by the raw calls of `wasi:filesystem`.

use std::collections::BTreeMap;
use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, NewTimestamp, OpenFlags,
    PathFlags, filesystem_error_code,
};
use wasip2::io::streams::{InputStream, StreamError};

wit_bindgen::generate!({ world: "files", path: "../../wit/files.wit" });

struct Files;
export!(Files);

/// Bytes of a file's text in an answer.
const TEXT_BYTES_MAX: usize = 200;

impl Guest for Files {
    fn run(steps: String) -> String {
        let mut open = Open::default();
        let answers = steps.lines().map(|line| open.answer(line));
        answers.collect::<Vec<_>>().join("\n")
    }
}

/// Why a step has no result.
enum Failure {
    Code(ErrorCode),
    /// The step itself makes no sense.
    Step(&'static str),
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Closed => Self::Step("closed"),
            StreamError::LastOperationFailed(error) => {
                filesystem_error_code(&error).map_or(Self::Step("stream"), Self::Code)
            }
        }
    }
}

type Answer = Result<String, Failure>;

#[derive(Default)]
struct Open(BTreeMap<String, Descriptor>);

impl Open {
    fn answer(&mut self, line: &str) -> String {
        match self.step(line) {
            Ok(text) if text.is_empty() => "ok".to_owned(),
            Ok(text) => format!("ok {text}"),
            Err(Failure::Code(code)) => format!("error {}", code.name()),
            Err(Failure::Step(what)) => format!("error {what}"),
        }
    }

    fn get(&self, name: &str) -> Result<&Descriptor, Failure> {
        self.0.get(name).ok_or(Failure::Step("no such name"))
    }

    fn step(&mut self, line: &str) -> Answer {
        let words: Vec<String> = line.split(' ').map(unescape).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["pre", name, folder] => {
                let found = get_directories().into_iter().find(|(_, path)| path == folder);
                let (descriptor, _) = found.ok_or(Failure::Step("no such folder"))?;
                self.0.insert((*name).to_owned(), descriptor);
                Ok(String::new())
            }
            ["open", name, folder, path, flags] => {
                let opened = open(self.get(folder)?, path, flags)?;
                self.0.insert((*name).to_owned(), opened);
                Ok(String::new())
            }
            ["drop", name] => {
                self.0.remove(*name).ok_or(Failure::Step("no such name"))?;
                Ok(String::new())
            }
            ["loop", count, rest @ ..] => self.repeat(count, &rest.join(" ")),
            ["preopens"] => {
                let names = get_directories().into_iter().map(|(_, path)| path);
                Ok(names.collect::<Vec<_>>().join(","))
            }
            words => self.with_files(words),
        }
    }

    /// Does a step again and again, and counts the different answers.
    fn repeat(&mut self, count: &str, step: &str) -> Answer {
        let mut answers = BTreeMap::<String, u64>::new();
        for _ in 0..number(count)? {
            *answers.entry(self.answer(step)).or_default() += 1;
        }
        let answers = answers.into_iter().map(|(answer, count)| format!("{count}*{answer}"));
        Ok(answers.collect::<Vec<_>>().join(","))
    }

    fn with_files(&self, words: &[&str]) -> Answer {
        match words {
            ["read", file, length, at] => {
                let (bytes, is_end) = self.get(file)?.read(number(length)?, number(at)?)?;
                let end = if is_end { " end" } else { "" };
                Ok(format!("{} {}{end}", bytes.len(), text(&bytes)))
            }
            ["cat", file] => cat(self.get(file)?),
            // Opens a file, reads it as a stream, and closes it.
            ["grab", folder, path] => cat(&open(self.get(folder)?, path, "r")?),
            ["write", file, at, text] => {
                Ok(self.get(file)?.write(text.as_bytes(), number(at)?)?.to_string())
            }
            ["fill", file, at, length] => {
                let zeros = vec![0; usize::try_from(number(length)?).map_err(|_| Failure::Step("number"))?];
                Ok(self.get(file)?.write(&zeros, number(at)?)?.to_string())
            }
            ["stream", file, at, text] => {
                let stream = self.get(file)?.write_via_stream(number(at)?)?;
                stream.blocking_write_and_flush(text.as_bytes())?;
                Ok(String::new())
            }
            ["append", file, text] => {
                let stream = self.get(file)?.append_via_stream()?;
                stream.blocking_write_and_flush(text.as_bytes())?;
                Ok(String::new())
            }
            ["set-size", file, size] => done(self.get(file)?.set_size(number(size)?)),
            ["sync", file] => done(self.get(file)?.sync()),
            ["sync-data", file] => done(self.get(file)?.sync_data()),
            ["advise", file] => done(self.get(file)?.advise(0, 0, Advice::Sequential)),
            ["flags", file] => Ok(format!("{:?}", self.get(file)?.get_flags()?)),
            ["type", file] => Ok(kind(self.get(file)?.get_type()?).to_owned()),
            ["stat", file] => Ok(described(&self.get(file)?.stat()?)),
            ["hash", file] => Ok(format!("{:x}", self.get(file)?.metadata_hash()?.lower)),
            ["same", one, other] => Ok(self.get(one)?.is_same_object(self.get(other)?).to_string()),
            ["times", file, read, written] => done(self.get(file)?.set_times(time(read)?, time(written)?)),
            ["modified", file] => {
                let modified = self.get(file)?.stat()?.data_modification_timestamp;
                Ok(modified.map_or(String::new(), |time| time.seconds.to_string()))
            }
            words => self.with_paths(words),
        }
    }

    fn with_paths(&self, words: &[&str]) -> Answer {
        match words {
            ["list", folder] => {
                let names = list(self.get(folder)?)?;
                Ok(names.join(","))
            }
            ["count", folder] => Ok(list(self.get(folder)?)?.len().to_string()),
            ["stat-at", folder, path, follow] => {
                Ok(described(&self.get(folder)?.stat_at(path_flags(follow), path)?))
            }
            ["hash-at", folder, path] => {
                let hash = self.get(folder)?.metadata_hash_at(PathFlags::SYMLINK_FOLLOW, path)?;
                Ok(format!("{:x}", hash.lower))
            }
            ["times-at", folder, path, follow, read, written] => {
                let (read, written) = (time(read)?, time(written)?);
                done(self.get(folder)?.set_times_at(path_flags(follow), path, read, written))
            }
            ["mkdir", folder, path] => done(self.get(folder)?.create_directory_at(path)),
            ["rmdir", folder, path] => done(self.get(folder)?.remove_directory_at(path)),
            ["unlink", folder, path] => done(self.get(folder)?.unlink_file_at(path)),
            ["rename", folder, path, to_folder, to_path] => {
                done(self.get(folder)?.rename_at(path, self.get(to_folder)?, to_path))
            }
            ["link", folder, path, follow, to_folder, to_path] => {
                let follow = path_flags(follow);
                done(self.get(folder)?.link_at(follow, path, self.get(to_folder)?, to_path))
            }
            ["symlink", folder, text, path] => done(self.get(folder)?.symlink_at(text, path)),
            ["readlink", folder, path] => Ok(self.get(folder)?.readlink_at(path)?),
            _ => Err(Failure::Step("no such step")),
        }
    }
}

fn unescape(word: &str) -> String {
    if word == "''" {
        return String::new();
    }
    word.replace("\\0", "\0")
}

fn number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::Step("number"))
}

fn done(result: Result<(), ErrorCode>) -> Answer {
    Ok(result.map(|()| String::new())?)
}

/// `r`ead, `w`rite, `m`utate, `c`reate, e`x`clusive, `t`runcate, `d`irectory, `n`ever follow.
fn open(folder: &Descriptor, path: &str, letters: &str) -> Result<Descriptor, ErrorCode> {
    let (mut open, mut flags) = (OpenFlags::empty(), DescriptorFlags::empty());
    let mut follow = PathFlags::SYMLINK_FOLLOW;
    for letter in letters.chars() {
        match letter {
            'r' => flags |= DescriptorFlags::READ,
            'w' => flags |= DescriptorFlags::WRITE,
            'm' => flags |= DescriptorFlags::MUTATE_DIRECTORY,
            'c' => open |= OpenFlags::CREATE,
            'x' => open |= OpenFlags::EXCLUSIVE,
            't' => open |= OpenFlags::TRUNCATE,
            'd' => open |= OpenFlags::DIRECTORY,
            _ => follow = PathFlags::empty(),
        }
    }
    folder.open_at(follow, path, open, flags)
}

fn path_flags(follow: &str) -> PathFlags {
    if follow == "follow" {
        PathFlags::SYMLINK_FOLLOW
    } else {
        PathFlags::empty()
    }
}

fn cat(file: &Descriptor) -> Answer {
    let stream: InputStream = file.read_via_stream(0)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return Ok(format!("{} {}", bytes.len(), text(&bytes))),
            Err(error) => return Err(error.into()),
        }
    }
}

fn list(folder: &Descriptor) -> Result<Vec<String>, ErrorCode> {
    let entries = folder.read_directory()?;
    let mut names = Vec::new();
    while let Some(entry) = entries.read_directory_entry()? {
        names.push(format!("{}:{}", entry.name, kind(entry.type_)));
    }
    names.sort();
    Ok(names)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_BYTES_MAX)]).into_owned()
}

fn described(stat: &DescriptorStat) -> String {
    format!("{} {}", kind(stat.type_), stat.size)
}

fn kind(kind: DescriptorType) -> &'static str {
    match kind {
        DescriptorType::Unknown => "unknown",
        DescriptorType::BlockDevice => "block-device",
        DescriptorType::CharacterDevice => "character-device",
        DescriptorType::Directory => "folder",
        DescriptorType::Fifo => "fifo",
        DescriptorType::SymbolicLink => "link",
        DescriptorType::RegularFile => "file",
        DescriptorType::Socket => "socket",
    }
}

/// `keep`, `now` or seconds since 1970.
fn time(text: &str) -> Result<NewTimestamp, Failure> {
    Ok(match text {
        "keep" => NewTimestamp::NoChange,
        "now" => NewTimestamp::Now,
        seconds => NewTimestamp::Timestamp(Datetime {
            seconds: number(seconds)?,
            nanoseconds: 0,
        }),
    })
}
