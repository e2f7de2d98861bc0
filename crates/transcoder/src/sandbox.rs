//! What a worker may do: decode what anybody sent, and nothing else.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::Result;
use rustix::process::{
    Resource, Rlimit, Signal, set_parent_process_death_signal, setpriority_process, setrlimit,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};

/// Virtual memory, which codecs map far more of than they use.
const MEMORY: u64 = 16 << 30;
/// The server, and what it passes on as it came, come first.
const NICE: i32 = 5;

/// Calls that a worker has no use for: the network, other programs, other processes.
const REFUSED: [i64; 15] = [
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_open_by_handle_at,
    libc::SYS_mount,
];

/// From here on this process dies with its parent, and reaches nobody else. A service manager that
/// forbids limits and filters has set its own.
pub(crate) fn enter() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let at_most = |n| Rlimit {
        current: Some(n),
        maximum: Some(n),
    };
    let _ = setrlimit(Resource::Core, at_most(0));
    let _ = setrlimit(Resource::As, at_most(MEMORY));
    let _ = setpriority_process(None, NICE);
    if let Err(error) = refuse_calls() {
        writeln!(std::io::stderr(), "no filter of system calls: {error:#}")?;
    }
    Ok(())
}

fn refuse_calls() -> Result<()> {
    let refused = REFUSED.iter().map(|call| (*call, Vec::new()));
    let filter = SeccompFilter::new(
        refused.collect::<BTreeMap<_, _>>(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    Ok(apply_filter_all_threads(&program)?)
}
