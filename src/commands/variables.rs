//! Variables that components can be granted: this process's own, those of a file, those that are typed.

use crate::cli::VariableArgs;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::shown;
use std::path::Path;
use wassette_host::{Host, Variables, read_text};

/// Opens the store with variables for its components.
pub(crate) async fn open(config: &Config, args: &VariableArgs) -> Result<Host, Exit> {
    let mut host_config = config.host()?;
    host_config.variables = read(args)?;
    Ok(Host::open(host_config).await?)
}

fn read(args: &VariableArgs) -> Result<Variables, Exit> {
    // What is not text cannot be handed to a component.
    let own = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let file = args
        .env_file
        .as_deref()
        .map(of_file)
        .transpose()?
        .unwrap_or_default();
    let typed = args
        .env
        .iter()
        .map(|text| pair(text).ok_or_else(|| Exit::usage("`--env` needs KEY=VALUE")))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Variables::new(own.chain(file).chain(typed)))
}

fn of_file(path: &Path) -> Result<Vec<(String, String)>, Exit> {
    let text = read_text(path).map_err(|error| Exit::unreadable(path, error))?;
    parse(&text).map_err(|line| {
        Exit::failed(anyhow::anyhow!(
            "{}:{line}: the line is not of the form KEY=VALUE",
            shown(&path.display().to_string())
        ))
    })
}

/// One `KEY=VALUE` in each line; empty lines and those that begin with `#` say nothing. A value in quotes is what is
/// between them. Gives the number of a line that cannot be read.
fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (key, value) = pair(line).ok_or(number + 1)?;
        variables.push((key.trim_end().to_owned(), unquoted(value.trim()).to_owned()));
    }
    Ok(variables)
}

fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    (!key.trim().is_empty() && !text.contains('\0')).then(|| (key.to_owned(), value.to_owned()))
}

fn unquoted(value: &str) -> &str {
    let between = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_variables_is_read_line_by_line() {
        let text = "# names\n\nA=1\nexport B = \"two words\"\nC='x=y'\nD=\n";
        let expected = [("A", "1"), ("B", "two words"), ("C", "x=y"), ("D", "")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(parse(text), Ok(expected.to_vec()));
        assert_eq!(parse("A=1\nB\n"), Err(2));
        assert_eq!(parse("=1\n"), Err(1));
    }
}
