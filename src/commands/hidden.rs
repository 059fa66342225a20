//! What is asked for at the terminal and not shown while it is typed.

use super::stop::stopped;
use crate::exit::Exit;
use wassette_host::SecretString;

/// Asks, and leaves the terminal as it was also when the answer is Ctrl-C.
///
/// # Errors
///
/// [`Exit`] when there is no answer.
pub(super) async fn hidden(prompt: String) -> Result<SecretString, Exit> {
    let unreadable = |error: std::io::Error| {
        Exit::failed(anyhow::Error::new(error).context("cannot read the answer from the terminal"))
    };
    let interrupted = stopped().map_err(unreadable)?;
    #[cfg(unix)]
    let before = rustix::termios::tcgetattr(std::io::stdin());
    let asked = tokio::task::spawn_blocking(move || rpassword::prompt_password(prompt));
    tokio::select! {
        answer = asked => {
            let answer = answer.map_err(|error| unreadable(std::io::Error::other(error)))?;
            answer.map(SecretString::from).map_err(unreadable)
        }
        () = interrupted => {
            // Whoever reads sits in the kernel and cannot put it back.
            #[cfg(unix)]
            if let Ok(before) = before {
                use rustix::termios::{OptionalActions, tcsetattr};
                let _the_terminal_is_gone = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
            }
            crate::output::note("");
            Err(Exit::failed(anyhow::anyhow!("interrupted at the prompt")))
        }
    }
}
