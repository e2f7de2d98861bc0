//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::Config;
use crate::systemd::Inherited;
use crate::tokens::{self, Made, Role};
use crate::{api, app, logging};

/// What a manual says beyond the options.
const MORE: &str = "\
Configuration is read from weir.toml, then from the environment (http.listen is WEIR_HTTP__LISTEN), \
then from --set; the last one wins. Sockets passed by systemd under the names http and rtmp \
win over the addresses in it.

Exit status: 0 done or drained; 1 a port, the data directory or the database could not be had; \
2 the configuration or the command line is wrong.

The first start writes an admin token to admin.token in the data directory.";

#[derive(Debug, Parser)]
#[command(
    name = "weir",
    version,
    about = "High-availability live media server",
    after_long_help = MORE
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(Configured),
    /// Reads the configuration, says what is wrong with it, and leaves.
    CheckConfig(Configured),
    /// Makes tokens for the API, straight in the database; a server takes them over within 5 s.
    #[command(subcommand)]
    Token(Token),
    /// Prints the API's description.
    Openapi,
    /// Prints the version.
    Version,
    /// Writes the manual pages into a directory.
    Man {
        /// Such as `/usr/local/share/man/man1`; it must exist.
        dir: PathBuf,
    },
    /// Prints what a shell needs to complete commands and options.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum Token {
    /// Makes one and prints it. It cannot be printed again.
    Create {
        /// What people call it.
        #[arg(long)]
        name: String,
        /// What its bearer may do.
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        config: Configured,
    },
}

#[derive(Debug, Args)]
struct Configured {
    /// Configuration file; `weir.toml` here is read where it exists.
    #[arg(long)]
    config: Option<PathBuf>,
    /// One key of it, such as `http.listen=127.0.0.1:8080`; wins over file and environment.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Configured {
    fn load(&self) -> Result<Config, Failure> {
        let file = self.config.as_deref();
        Config::load(file, std::env::vars_os(), &self.set).map_err(Failure::Config)
    }
}

/// Runs what the command line says; the exit status is 2 for a wrong configuration, 1 for any
/// other failure.
#[must_use]
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(e)) => fail(&e, 2),
        Err(Failure::Other(e)) => fail(&e, 1),
    }
}

enum Failure {
    Config(anyhow::Error),
    Other(anyhow::Error),
}

#[expect(clippy::print_stderr, reason = "the terminal is where a command fails")]
fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    eprintln!("weir: {error:#}");
    ExitCode::from(status)
}

#[expect(clippy::print_stdout, reason = "what these commands are for")]
fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(config) => serve(config.load()?).map_err(Failure::Other),
        Command::CheckConfig(config) => {
            config.load()?;
            println!("the configuration is valid");
            Ok(())
        }
        Command::Token(Token::Create { name, role, config }) => {
            let made = create_token(&config.load()?, &name, role).map_err(Failure::Other)?;
            println!("{}", made.secret);
            Ok(())
        }
        Command::Openapi => {
            println!("{}", api::openapi_json());
            Ok(())
        }
        Command::Version => {
            println!("weir {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Command::Man { dir } => man(&dir).map_err(Failure::Other),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "weir", &mut std::io::stdout());
            Ok(())
        }
    }
}

fn man(dir: &Path) -> Result<()> {
    clap_mangen::generate_to(Cli::command(), dir).with_context(|| dir.display().to_string())
}

fn serve(config: Config) -> Result<()> {
    logging::start(&config.log)?;
    let inherited = Inherited::from_env()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(app::run(config, inherited))
}

fn create_token(config: &Config, name: &str, role: Role) -> Result<Made> {
    ensure!(
        tokens::is_name(name),
        "--name: 1 to 128 characters, no control characters"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let store = app::open_store(config).await?;
        let made = tokens::make(&store, name, role).await;
        store.close().await;
        made.context("database")
    })
}
