//! The process's standard input and output, taken away from everything else in the process.
//!
//! The protocol owns both: afterwards descriptor 0 is the null device and descriptor 1 is standard error,
//! so that nothing, whether of ours, of a library or of a child process, can write between two messages.
//!
//! Clients start servers with pipes (most) or with socket pairs (all that run on Node). Both are read and
//! written without blocking and without a helper thread. Everything else (a file, a terminal, a pipe
//! outside Linux) goes through the runtime's threads.

#[cfg(not(unix))]
pub(crate) use threads::take;
#[cfg(unix)]
pub(crate) use unix::take;

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use rustix::fs::{FileType, Mode, OFlags, Stat, fstat};
    use tokio::fs::File;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio::net::UnixStream;
    use tokio::net::unix::pipe;

    /// What was standard input.
    #[derive(Debug)]
    pub(crate) enum Input {
        Pipe(pipe::Receiver),
        Socket(UnixStream),
        Threads(File),
    }

    /// What was standard output.
    #[derive(Debug)]
    pub(crate) enum Output {
        Pipe(pipe::Sender),
        Socket(UnixStream),
        Threads(File),
    }

    /// Takes standard input and output; must run inside a runtime with I/O enabled.
    pub(crate) fn take() -> io::Result<(Input, Output)> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::stdio::dup2_stdin(null)?;
        rustix::stdio::dup2_stdout(io::stderr())?;
        Ok((Input::new(input)?, Output::new(output)?))
    }

    impl Input {
        fn new(fd: OwnedFd) -> io::Result<Self> {
            let stat = fstat(&fd)?;
            if let Some(own) = open_anew(&fd, &stat, OFlags::RDONLY) {
                return Ok(Self::Pipe(pipe::Receiver::from_owned_fd(own)?));
            }
            if is_socket(&stat)? {
                return Ok(Self::Socket(socket(fd)?));
            }
            Ok(Self::Threads(File::from_std(fd.into())))
        }
    }

    impl Output {
        fn new(fd: OwnedFd) -> io::Result<Self> {
            let stat = fstat(&fd)?;
            if let Some(own) = open_anew(&fd, &stat, OFlags::WRONLY) {
                return Ok(Self::Pipe(pipe::Sender::from_owned_fd(own)?));
            }
            if is_socket(&stat)? {
                return Ok(Self::Socket(socket(fd)?));
            }
            Ok(Self::Threads(File::from_std(fd.into())))
        }
    }

    /// A second, non-blocking description of a pipe, so that the flags of the shared one stay as they are.
    ///
    /// `None` when it is no pipe, belongs to another user, or the system has no such way.
    fn open_anew(fd: &OwnedFd, stat: &Stat, direction: OFlags) -> Option<OwnedFd> {
        use std::os::fd::AsRawFd;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
            return None;
        }
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let flags = direction | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let own = rustix::fs::open(path, flags, Mode::empty()).ok()?;
        let opened = fstat(&own).ok()?;
        (opened.st_ino == stat.st_ino && opened.st_dev == stat.st_dev).then_some(own)
    }

    /// Whether it is a socket that may be made non-blocking: not one that standard error shares, whose
    /// writers could not cope.
    fn is_socket(stat: &Stat) -> io::Result<bool> {
        let error = fstat(io::stderr())?;
        let is_shared = (stat.st_dev, stat.st_ino) == (error.st_dev, error.st_ino);
        Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Socket && !is_shared)
    }

    /// A socket cannot be opened anew. Its parent has made a pair of which this end is ours alone.
    fn socket(fd: OwnedFd) -> io::Result<UnixStream> {
        let socket = std::os::unix::net::UnixStream::from(fd);
        socket.set_nonblocking(true)?;
        UnixStream::from_std(socket)
    }

    impl AsyncRead for Input {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            match self.get_mut() {
                Self::Pipe(pipe) => Pin::new(pipe).poll_read(cx, buffer),
                Self::Socket(socket) => Pin::new(socket).poll_read(cx, buffer),
                Self::Threads(file) => Pin::new(file).poll_read(cx, buffer),
            }
        }
    }

    impl AsyncWrite for Output {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            match self.get_mut() {
                Self::Pipe(pipe) => Pin::new(pipe).poll_write(cx, bytes),
                Self::Socket(socket) => Pin::new(socket).poll_write(cx, bytes),
                Self::Threads(file) => Pin::new(file).poll_write(cx, bytes),
            }
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.get_mut() {
                Self::Pipe(pipe) => Pin::new(pipe).poll_flush(cx),
                Self::Socket(socket) => Pin::new(socket).poll_flush(cx),
                Self::Threads(file) => Pin::new(file).poll_flush(cx),
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush(cx)
        }
    }
}

#[cfg(not(unix))]
mod threads {
    use std::io;

    pub(crate) use tokio::io::{Stdin as Input, Stdout as Output};

    /// Takes standard input and output, as far as this system has a safe way to do so.
    ///
    /// Unlike on Unix the descriptors are not replaced; that nothing of ours prints is checked by lints.
    pub(crate) fn take() -> io::Result<(Input, Output)> {
        Ok((tokio::io::stdin(), tokio::io::stdout()))
    }
}
