//! PostgreSQL, a cluster of our own on a socket of its own. It is gone when who needs it is.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use anyhow::{Context as _, ensure};

/// Debian's place for it, with the version in between.
const HOME: &str = "/usr/lib/postgresql";
const PASSWORD: &str = "s3cret-of-the-tests";
/// Nothing here outlives a test, and order must come from columns, not from the cluster.
const INITDB: &str = "--username=weir --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 \
    --locale-provider=icu --icu-locale=en --no-sync --no-instructions";
const SETTINGS: &str = "listen_addresses = ''\nfsync = off\nsynchronous_commit = off\n\
    full_page_writes = off\nautovacuum = off\nshared_buffers = 16MB\nmax_connections = 200\n";
/// Outlives us, however we end: waits until its input closes, or for a process to be gone.
const WARDEN: &str = r#"
dir=$1 owner=$2; shift 2
if [ "$owner" = - ]; then cat; else tail --pid="$owner" -f /dev/null; fi >/dev/null
kill -CONT "$(head -n 1 "$dir/data/postmaster.pid")"
"$@" stop -D "$dir/data" -m immediate -w
rm -rf "$dir" "$dir.lock"
"#;

/// A running cluster.
#[derive(Debug)]
pub struct Postgres {
    dir: PathBuf,
    /// `None` where another process of this run began it.
    warden: Option<Child>,
}

impl Postgres {
    /// Starts a cluster that ends with the value, or with this process.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub fn start() -> anyhow::Result<Self> {
        let dir = run(as_server("mktemp").args(["-d", "-t", "weir-postgres-XXXXXX"]))?;
        Self::start_in(PathBuf::from(dir.trim()), None)
    }

    /// The cluster that all tests of this run share. With nextest each is a process of its own, so
    /// it ends with nextest.
    ///
    /// # Errors
    /// As `start`.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceLock<anyhow::Result<Postgres>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| match std::env::var("NEXTEST_RUN_ID") {
            Ok(run) => Self::start_or_join(&run),
            Err(_) => Self::start(),
        });
        shared.as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))
    }

    fn start_or_join(run_id: &str) -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join(format!("weir-postgres-{run_id}"));
        let lock = File::create(dir.with_extension("lock"))?;
        lock.lock()?;
        if dir.join("started").exists() {
            return Ok(Self { dir, warden: None });
        }
        // What one that failed has left.
        let _ = fs::remove_dir_all(&dir);
        run(as_server("mkdir").args(["-m", "0700"]).arg(&dir))?;
        let started = Self::start_in(dir, Some(parent_id()))?;
        File::create(started.dir.join("started"))?;
        Ok(started)
    }

    fn start_in(dir: PathBuf, owner: Option<u32>) -> anyhow::Result<Self> {
        let bin = newest().context("PostgreSQL is missing: `make setup`")?;
        let (data, password) = (dir.join("data"), dir.join("password"));
        fs::write(&password, PASSWORD)?;
        fs::set_permissions(&password, fs::Permissions::from_mode(0o644))?;
        let mut initdb = as_server(bin.join("initdb"));
        initdb.args(INITDB.split_whitespace()).arg("-D").arg(&data);
        run(initdb.arg("--pwfile").arg(password))?;
        let mut settings = fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))?;
        writeln!(settings, "unix_socket_directories = '{}'", dir.display())?;
        settings.write_all(SETTINGS.as_bytes())?;

        let warden = warden(&dir, owner, &bin)?;
        // One that waits for another process does not wait for us.
        let warden = owner.is_none().then_some(warden);
        let started = Self { dir, warden };
        let mut start = as_server(bin.join("pg_ctl"));
        start.args(["start", "-w", "-D"]).arg(data);
        run(start.arg("-l").arg(started.dir.join("log")))?;
        Ok(started)
    }

    /// Makes an empty database and tells its URL.
    ///
    /// # Errors
    /// Of the server.
    pub fn database(&self) -> anyhow::Result<String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (pid, number) = (std::process::id(), MADE.fetch_add(1, Relaxed));
        let name = format!("t{pid}_{number}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        let host = self.dir.display().to_string().replace('/', "%2F");
        Ok(format!("postgres://weir:{PASSWORD}@{host}/{name}"))
    }

    /// What a statement answers, by the engine's own client.
    ///
    /// # Errors
    /// Of the server.
    pub fn sql(&self, database: &str, statement: &str) -> anyhow::Result<String> {
        let bin = newest().context("PostgreSQL is missing: `make setup`")?;
        let mut psql = Command::new(bin.join("psql"));
        psql.env("PGPASSWORD", PASSWORD).arg("-h").arg(&self.dir);
        run(psql.args(["-U", "weir", "-d", database, "-XqAt", "-c", statement]))
    }

    /// `kill -STOP` of all its processes: it takes connections and answers nothing.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn freeze(&self) -> anyhow::Result<()> {
        let server = self.server()?;
        // The parent first, so that no child is born meanwhile.
        signal("STOP", server)?;
        signal_children("STOP", server)
    }

    /// `kill -CONT`: all goes on.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn thaw(&self) -> anyhow::Result<()> {
        let server = self.server()?;
        signal_children("CONT", server)?;
        signal("CONT", server)
    }

    fn server(&self) -> anyhow::Result<u32> {
        let file = fs::read_to_string(self.dir.join("data/postmaster.pid"))?;
        let pid = file.lines().next().context("postmaster.pid is empty")?;
        Ok(pid.trim().parse()?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(warden) = &mut self.warden {
            drop(warden.stdin.take());
            // So that nothing is left where a test looks for what it left.
            let _ = warden.wait();
        }
    }
}

fn warden(dir: &Path, owner: Option<u32>, bin: &Path) -> anyhow::Result<Child> {
    let mut warden = Command::new("sh");
    let owner = owner.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    warden.args(["-c", WARDEN, "warden"]).arg(dir).arg(owner);
    let pg_ctl = as_server(bin.join("pg_ctl"));
    warden.arg(pg_ctl.get_program()).args(pg_ctl.get_args());
    // Not of our group: what kills a test that hangs must not kill this.
    warden.process_group(0).current_dir("/");
    warden.stdin(Stdio::piped()).stdout(Stdio::null());
    Ok(warden.stderr(Stdio::null()).spawn()?)
}

/// The newest version that is installed.
fn newest() -> Option<PathBuf> {
    let versions = fs::read_dir(HOME).ok()?.flatten().map(|e| e.path());
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.max_by_key(|path| number(path))?;
    Some(newest.join("bin")).filter(|bin| bin.join("initdb").exists())
}

/// PostgreSQL refuses root, for whom Debian's package makes a user.
fn as_server(program: impl AsRef<Path>) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        command.arg(program.as_ref());
        command
    } else {
        Command::new(program.as_ref())
    };
    command.current_dir("/");
    command
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().display().to_string();
    // To a file, not to a pipe: the server would hold the pipe open.
    let (mut said, mut complained) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null());
    command
        .stdout(said.try_clone()?)
        .stderr(complained.try_clone()?);
    let status = command.status().with_context(|| name.clone())?;
    let complaint = read(&mut complained)?;
    ensure!(status.success(), "{name}: {status}: {complaint}");
    read(&mut said)
}

fn read(file: &mut File) -> anyhow::Result<String> {
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn signal(name: &str, process: u32) -> anyhow::Result<()> {
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$1\" \"$2\"", "kill", name]);
    run(kill.arg(process.to_string())).map(drop)
}

fn signal_children(name: &str, of: u32) -> anyhow::Result<()> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // `pid (name) state parent …`; a name may hold anything.
        let parent = stat.rsplit(") ").next().and_then(|s| s.split(' ').nth(1));
        if parent.and_then(|parent| parent.parse().ok()) == Some(of) {
            let pid = stat.split(' ').next().and_then(|pid| pid.parse().ok());
            // One that is gone meanwhile needs no signal.
            let _ = pid.map(|pid| signal(name, pid));
        }
    }
    Ok(())
}
