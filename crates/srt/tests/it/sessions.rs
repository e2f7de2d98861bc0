//! Sessions with libsrt, in all four directions.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use srt::{
    Config, DialError, ErrorKind, Listener, Passphrase, Refresh, Reject, Request, Session, Terms,
    Url,
};
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::libsrt::{PATIENCE, PAYLOAD, Receiver, Sender, address, free_port, number, numbered};

const PASSPHRASE: &str = "not-to-be-guessed";

/// Lets in who knows it.
fn accept(mut request: Request, passphrase: Option<&str>) -> Result<Session, Reject> {
    request.unlock(passphrase.and_then(Passphrase::new))?;
    request.accept(Terms::default())
}

async fn listener(config: Config) -> Listener {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    Listener::new(socket, config)
}

/// The first caller; the port goes on by itself.
async fn first(mut listener: Listener) -> Request {
    let request = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    tokio::spawn(async move {
        while let Ok(request) = listener.accept().await {
            request.reject(Reject::Overload);
        }
    });
    request
}

async fn receive(session: &mut Session, count: usize) -> Vec<u32> {
    let mut found = Vec::new();
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let went_on = timeout(PATIENCE, session.next(&mut found)).await;
        let went_on = went_on.unwrap_or_else(|_| panic!("{numbers:?} {:?}", session.stats()));
        assert!(went_on.unwrap(), "after {} packets", numbers.len());
        numbers.extend(found.drain(..).map(|p| number(&p)));
    }
    numbers
}

/// So many packets of libsrt's arrive, none missing.
async fn taken(sender: &mut Sender, session: &mut Session, count: usize) {
    let numbers = tokio::select! {
        never = sender.send() => match never {},
        numbers = receive(session, count) => numbers,
    };
    let whole = numbers
        .iter()
        .copied()
        .eq(numbers[0]..numbers[0] + numbers.len() as u32);
    assert!(whole, "{numbers:?}");
}

/// Sends packets, one a millisecond, until it is stopped.
async fn send(mut session: Session) {
    let mut clock = interval(Duration::from_millis(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut out = Vec::new();
    let mut sent = 0;
    loop {
        tokio::select! {
            _ = clock.tick() => {
                session.send(Bytes::from(numbered(sent)));
                sent += 1;
            }
            ended = session.next(&mut out) => {
                if !ended.unwrap_or(false) {
                    return;
                }
            }
        }
    }
}

fn all(count: u32) -> Vec<u32> {
    (0..count).collect()
}

#[tokio::test]
async fn libsrt_publishes() {
    let short = Config {
        idle_timeout: Duration::from_secs(1),
        ..Config::default()
    };
    for keys in [
        "",
        "&pbkeylen=16",
        "&pbkeylen=24",
        "&pbkeylen=32",
        "&pbkeylen=0",
    ] {
        let listener = listener(short).await;
        let query = match keys {
            "" => "streamid=publish:news:k1".to_owned(),
            keys => format!("streamid=publish:news:k1&passphrase={PASSPHRASE}{keys}"),
        };
        let mut sender = Sender::start(&address(listener.local_addr().unwrap(), &query));
        let request = first(listener).await;
        assert_eq!(request.target().name, "news");
        assert_eq!(request.is_encrypted(), !keys.is_empty());
        let secret = Some(PASSPHRASE).filter(|_| !keys.is_empty());
        let mut session = accept(request, secret).unwrap();
        taken(&mut sender, &mut session, 500).await;
        drop(sender);
        let mut out = Vec::new();
        // Killed, it says nothing; the clock does then.
        let ended = async { while session.next(&mut out).await.unwrap_or(false) {} };
        timeout(PATIENCE, ended).await.unwrap();
    }
}

#[tokio::test]
async fn libsrt_plays() {
    for keys in ["", "&pbkeylen=16", "&pbkeylen=32"] {
        let listener = listener(Config::default()).await;
        let query = format!("streamid=read:news&passphrase={PASSPHRASE}{keys}");
        let query = if keys.is_empty() {
            "streamid=read:news"
        } else {
            &query
        };
        let mut receiver = Receiver::start(&address(listener.local_addr().unwrap(), query));
        let secret = Some(PASSPHRASE).filter(|_| !keys.is_empty());
        let session = accept(first(listener).await, secret).unwrap();
        let sending = tokio::spawn(send(session));
        assert_eq!(receiver.receive(500).await, all(500), "{keys}");
        sending.abort();
    }
}

#[tokio::test]
async fn libsrt_is_called() {
    for keys in ["", "&pbkeylen=16", "&pbkeylen=32"] {
        let secret = match keys {
            "" => String::new(),
            keys => format!("&passphrase={PASSPHRASE}{keys}"),
        };
        let port = free_port().await;
        let mut receiver =
            Receiver::start(&format!("srt://127.0.0.1:{port}?mode=listener{secret}"));
        let session = call(port, &secret).await;
        let sending = tokio::spawn(send(session));
        assert_eq!(receiver.receive(500).await, all(500), "{keys}");
        sending.abort();

        let port = free_port().await;
        let mut sender = Sender::start(&format!("srt://127.0.0.1:{port}?mode=listener{secret}"));
        let mut session = call(port, &secret).await;
        taken(&mut sender, &mut session, 500).await;
        session.close().await;
    }
}

/// Until it listens.
async fn call(port: u16, secret: &str) -> Session {
    let url: Url = format!("srt://127.0.0.1:{port}?streamid=x{secret}")
        .parse()
        .unwrap();
    let config = Config {
        connect_timeout: PATIENCE,
        ..Config::default()
    };
    srt::dial(&url, &srt::Allowed::new(|_| true), config, Arc::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn who_is_refused_hears_why() {
    for (why, said) in [
        (Reject::NotFound, "1404"),
        (Reject::Unauthorised, "1401"),
        (Reject::Busy, "1409"),
        (Reject::Overload, "1402"),
    ] {
        let mut listener = listener(Config::default()).await;
        let local = listener.local_addr().unwrap();
        let sender = Sender::start(&address(local, "streamid=publish:x"));
        let request = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        request.reject(why);
        let going = tokio::spawn(async move {
            while let Ok(request) = listener.accept().await {
                request.reject(why);
            }
        });
        let url: Url = address(local, "streamid=read:x").parse().unwrap();
        let refused = srt::dial(
            &url,
            &srt::Allowed::new(|_| true),
            Config::default(),
            Arc::default(),
        )
        .await;
        let Err(DialError::Session(error)) = refused else {
            panic!("{refused:?}");
        };
        assert!(
            matches!(error.kind, ErrorKind::Refused(code) if code.to_string() == said),
            "{error}"
        );
        sender.complains("REJECT").await;
        going.abort();
    }
}

#[tokio::test]
async fn passphrases_are_held_to() {
    let refused = |theirs: &'static str, ours: Option<&'static str>| async move {
        let listener = listener(Config::default()).await;
        let local = listener.local_addr().unwrap();
        let sender = Sender::start(&address(local, &format!("streamid=publish:x{theirs}")));
        let refused = accept(first(listener).await, ours).unwrap_err();
        drop(sender);
        refused
    };
    let wrong = "&passphrase=something-else&pbkeylen=16";
    assert_eq!(refused(wrong, Some(PASSPHRASE)).await, Reject::BadSecret);
    assert_eq!(refused(wrong, None).await, Reject::Unsecure);
    assert_eq!(refused("", Some(PASSPHRASE)).await, Reject::Unsecure);
}

#[tokio::test]
async fn keys_are_renewed_in_both_directions() {
    let refresh = Refresh {
        every: 200,
        announce: 80,
    };
    let config = Config {
        refresh,
        ..Config::default()
    };
    let secret = format!("passphrase={PASSPHRASE}&pbkeylen=16");
    // Theirs.
    let publishing = listener(config).await;
    let query = format!("streamid=publish:x&{secret}&kmrefreshrate=300&kmpreannounce=100");
    let mut sender = Sender::start(&address(publishing.local_addr().unwrap(), &query));
    let mut session = accept(first(publishing).await, Some(PASSPHRASE)).unwrap();
    taken(&mut sender, &mut session, 1500).await;
    // Ours.
    let playing = listener(config).await;
    let query = format!("streamid=read:x&{secret}");
    let mut receiver = Receiver::start(&address(playing.local_addr().unwrap(), &query));
    let session = accept(first(playing).await, Some(PASSPHRASE)).unwrap();
    let sending = tokio::spawn(send(session));
    assert_eq!(receiver.receive(1500).await, all(1500));
    sending.abort();
}

#[tokio::test]
async fn a_burst_arrives() {
    let listener = listener(Config::default()).await;
    let local = listener.local_addr().unwrap();
    let mut receiver = Receiver::start(&address(local, "streamid=read:news"));
    let mut session = first(listener).await.accept(Terms::default()).unwrap();
    for n in 0..3_000 {
        let mut payload = numbered(n);
        // As frames end: not all packets are full.
        if n % 7 == 0 {
            payload.truncate(376);
        }
        session.send(Bytes::from(payload));
    }
    let sending = tokio::spawn(async move {
        let mut out = Vec::new();
        while session.next(&mut out).await.unwrap_or(false) {}
        panic!("{:?}", session.stats());
    });
    let stream = receiver.bytes(3_000 * PAYLOAD - 429 * (PAYLOAD - 376) - 8_192);
    tokio::select! {
        _ = stream => {}
        ended = sending => panic!("{ended:?}"),
    }
}

/// A listener and a caller of ours, in one process.
async fn ours(config: Config, think: Duration) -> (Session, Session) {
    let mut listener = listener(config).await;
    let port = listener.local_addr().unwrap().port();
    let taking = async {
        let request = listener.accept().await.unwrap();
        tokio::time::sleep(think).await;
        let session = request.accept(Terms::default()).unwrap();
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        session
    };
    tokio::join!(taking, call(port, ""))
}

#[tokio::test]
async fn what_is_held_is_played_when_the_peer_says_goodbye() {
    let config = Config {
        latency: Duration::from_secs(5),
        ..Config::default()
    };
    let (mut listening, mut calling) = ours(config, Duration::ZERO).await;
    for n in 0..500 {
        calling.send(Bytes::from(numbered(n)));
    }
    let mut out = Vec::new();
    let sending = timeout(Duration::from_millis(500), calling.next(&mut out)).await;
    assert!(sending.is_err(), "it has nothing to play");
    // However it ends, even without a word of ours.
    drop(calling);
    assert_eq!(receive(&mut listening, 500).await, all(500));
    let ended = timeout(PATIENCE, listening.next(&mut out)).await.unwrap();
    assert!(matches!(ended, Ok(false)), "{ended:?}");
}

#[tokio::test]
async fn what_comes_faster_than_it_is_taken_is_counted_and_comes_again() {
    let config = Config {
        latency: Duration::from_secs(5),
        ..Config::default()
    };
    let (mut listening, mut calling) = ours(config, Duration::ZERO).await;
    for n in 0..5_000 {
        calling.send(Bytes::from(numbered(n)));
    }
    let overflowed = || listening.stats().overflowed.load(Relaxed);
    let mut out = Vec::new();
    let flooding = async {
        while overflowed() == 0 {
            let _ = timeout(Duration::from_millis(1), calling.next(&mut out)).await;
        }
    };
    timeout(PATIENCE, flooding).await.unwrap();
    tokio::select! {
        ended = calling.next(&mut out) => panic!("{ended:?}"),
        numbers = receive(&mut listening, 5_000) => assert_eq!(numbers, all(5_000)),
    }
}

#[tokio::test]
async fn who_is_let_in_late_plays_with_the_latency_that_was_agreed_on() {
    let config = Config {
        latency: Duration::from_millis(300),
        ..Config::default()
    };
    let (mut listening, mut calling) = ours(config, Duration::from_millis(800)).await;
    let sent = tokio::time::Instant::now();
    listening.send(Bytes::from(numbered(0)));
    let mut out = Vec::new();
    tokio::select! {
        ended = listening.next(&mut out) => panic!("{ended:?}"),
        _ = receive(&mut calling, 1) => {}
    }
    let took = sent.elapsed();
    assert!((295..700).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn who_guesses_too_often_is_not_looked_at() {
    let mut listener = listener(Config::default()).await;
    let port = listener.local_addr().unwrap().port();
    let url = format!("srt://127.0.0.1:{port}?streamid=x&passphrase=a-wrong-guess");
    let url: Url = url.parse().unwrap();
    let anywhere = srt::Allowed::new(|_| true);
    let taking = tokio::spawn(async move {
        let mut refused = Vec::new();
        while refused.len() < 3_001 {
            let mut request = listener.accept().await.unwrap();
            let why = request.unlock(Passphrase::new(PASSPHRASE)).unwrap_err();
            request.reject(why);
            refused.push(why);
        }
        refused
    });
    for _ in 0..3_001 {
        let called = srt::dial(&url, &anywhere, Config::default(), Arc::default());
        assert!(called.await.is_err());
    }
    let refused = taking.await.unwrap();
    assert!(refused[..3_000].iter().all(|why| *why == Reject::BadSecret));
    assert_eq!(refused[3_000], Reject::Overload);
}
