//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Parser, Subcommand};

use crate::config::Config;
use crate::tokens::{self, Made, Role};
use crate::{api, app, logging};

#[derive(Debug, Parser)]
#[command(name = "weir", version, about = "High-availability live media server")]
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
    }
}

fn serve(config: Config) -> Result<()> {
    logging::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(app::run(config))
}

fn create_token(config: &Config, name: &str, role: Role) -> Result<Made> {
    ensure!(
        tokens::is_name(name),
        "--name: 1 to 128 bytes without control characters"
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
