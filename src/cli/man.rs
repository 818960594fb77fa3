//! `gatewright man`: man pages, made from the same texts as `--help`.

use crate::cli::output::{fail, write};
use clap::{Args, Command, ValueHint};
use clap_mangen::roff::{Roff, roman};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Man {
    /// Write gatewright.1 and a page for each command to this folder.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

impl Man {
    pub fn print(&self, program: Command) -> ExitCode {
        let mut program = program.disable_help_subcommand(true);
        program.build();
        let printed = match &self.dir {
            None => page(&program).map(|page| write(&page)),
            Some(folder) => write_all(&program, folder).map(|()| ExitCode::SUCCESS),
        };
        printed.unwrap_or_else(|error| fail(&format!("cannot write the man pages: {error}")))
    }
}

fn write_all(program: &Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let name = program.get_display_name().unwrap_or_else(|| program.get_name());
    fs::write(folder.join(format!("{name}.1")), page(program)?)?;
    let mut commands = program.get_subcommands().filter(|command| !command.is_hide_set());
    commands.try_for_each(|command| write_all(command, folder))
}

fn page(command: &Command) -> io::Result<String> {
    let man = clap_mangen::Man::new(command.clone()).source(concat!("gatewright ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    let more = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    sections(more.as_deref().unwrap_or_default(), &mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The sections of a help text, each with its lines as they are.
fn sections(text: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            Some(title) => {
                if open {
                    roff.control("fi", []);
                }
                roff.control("SH", [title.to_uppercase().as_str()]);
                roff.control("nf", []);
                open = true;
            }
            None => {
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
        }
    }
    if open {
        roff.control("fi", []);
    }
    page.write_all(roff.to_roff().as_bytes())
}
