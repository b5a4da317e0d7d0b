//! Passwords: from standard input for scripts, asked without echo for people.

use std::io::{self, IsTerminal as _, Read as _};

use node::Failure;

/// More than any password; a bound on what is read.
const BYTES_MAX: u64 = 64 << 10;

/// Reads one from standard input, without a newline at its end.
pub(crate) fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().lock().take(BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| {
        Failure::input(format!(
            "cannot read the password from standard input: {error}"
        ))
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::input("standard input holds no password")
            .hint("printf %s 'the password' | cumulet … --password-stdin"));
    }
    Ok(text.to_owned())
}

/// Reads one that exists already.
pub(crate) fn ask(stdin: bool, prompt: &str) -> Result<String, Failure> {
    if stdin {
        from_stdin()
    } else {
        prompted(prompt)
    }
}

/// Reads a new one; a person types it twice.
pub(crate) fn ask_new(stdin: bool, prompt: &str) -> Result<String, Failure> {
    if stdin {
        return from_stdin();
    }
    let first = prompted(prompt)?;
    if prompted("The same again: ")? == first {
        Ok(first)
    } else {
        Err(Failure::input("the two passwords differ"))
    }
}

/// Reads one line that everybody may see, such as a name; `what` is needed, `option` gives it too.
#[cfg(feature = "client")]
pub(crate) fn line(prompt: &str, what: &str, option: &str) -> Result<String, Failure> {
    use std::io::{BufRead as _, Write as _};
    if !io::stdin().is_terminal() {
        return Err(
            Failure::input(format!("{what} is needed, but nobody is there to type it"))
                .hint(format!("add {option}")),
        );
    }
    let _ = write!(io::stderr().lock(), "{prompt}");
    let mut text = String::new();
    let read = io::stdin().lock().take(BYTES_MAX).read_line(&mut text);
    read.map_err(|error| Failure::input(format!("cannot read {what}: {error}")))?;
    Ok(text.trim().to_owned())
}

fn prompted(prompt: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(
            Failure::input("a password is needed, but nobody is there to type it")
                .hint("add --password-stdin"),
        );
    }
    rpassword::prompt_password(prompt)
        .map_err(|error| Failure::input(format!("cannot read the password: {error}")))
}
