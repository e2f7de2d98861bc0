//! As systemd starts it: sockets that outlive the process, and what systemd is told.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
/// Its standard input goes where systemd puts sockets; the process id stays over `exec`.
const AS_SYSTEMD: &str =
    "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" serve";

fn start(socket: &TcpListener, name: &str, dir: &Path) -> Child {
    Command::new("bash")
        .args(["-c", AS_SYSTEMD, env!("CARGO_BIN_EXE_weir")])
        .stdin(OwnedFd::from(socket.try_clone().unwrap()))
        .stderr(Stdio::piped())
        .env("LISTEN_FDNAMES", name)
        .env("NOTIFY_SOCKET", dir.join("notify"))
        .env("WEIR_DATA__DIR", dir)
        .env("WEIR_RTMP__LISTEN", "127.0.0.1:0")
        .env("WEIR_SRT__LISTEN", "127.0.0.1:0")
        .spawn()
        .unwrap()
}

fn terminate(child: &mut Child) -> bool {
    let kill = Command::new("kill").arg(child.id().to_string()).status();
    kill.unwrap().success() && child.wait().unwrap().success()
}

fn notified(notify: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let n = notify.recv(&mut message).unwrap();
    String::from_utf8_lossy(&message[..n]).into_owned()
}

fn ask(socket: &TcpListener) -> TcpStream {
    let mut stream = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn place() -> (TempDir, TcpListener, UnixDatagram) {
    let dir = tempfile::tempdir().unwrap();
    let notify = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    (dir, TcpListener::bind("127.0.0.1:0").unwrap(), notify)
}

#[test]
fn who_connects_during_a_restart_waits_and_is_served() {
    let (dir, socket, notify) = place();
    let mut first = start(&socket, "http", dir.path());
    assert_eq!(notified(&notify).trim(), "READY=1");
    assert!(answer(ask(&socket)).starts_with("HTTP/1.1 200"));
    assert!(terminate(&mut first));
    let told = notified(&notify);
    assert!(
        told.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC="),
        "{told}"
    );
    let meanwhile = ask(&socket);
    let mut second = start(&socket, "http", dir.path());
    assert!(answer(meanwhile).starts_with("HTTP/1.1 200"));
    assert!(terminate(&mut second));
}

#[test]
fn a_socket_of_an_unknown_name_is_an_error() {
    let (dir, socket, _notify) = place();
    let output = start(&socket, "htpt", dir.path())
        .wait_with_output()
        .unwrap();
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{says}");
    assert!(says.contains("\"htpt\""), "{says}");
}
