//! Names, renditions, and what dropping each handle ends.

use std::sync::Arc;
use std::time::Duration;

use hub::{EndReason, Hub, Limits, Listing, NameTaken, Options, Refused, RenditionTaken};
use tokio::time::timeout;

use crate::fixture::{Seen, drain, key, tracks};

fn ids(listing: &mut Listing) -> Vec<Arc<str>> {
    listing
        .renditions()
        .iter()
        .map(|r| Arc::clone(&r.id))
        .collect()
}

#[test]
fn a_name_has_one_holder_at_a_time() {
    let hub = Hub::new();
    let first = hub.announce("news").unwrap();
    assert_eq!(
        hub.announce("news").unwrap_err(),
        NameTaken("news".to_owned())
    );
    let old = hub.get("news").unwrap();
    drop(first);
    assert!(old.is_closed());
    assert!(hub.get("news").is_none());
    let second = hub.announce("news").unwrap();
    assert_eq!(second.name(), "news");
    assert!(old.is_closed() && !hub.get("news").unwrap().is_closed());
}

#[test]
fn renditions_come_and_go_with_their_publishers() {
    let hub = Hub::new();
    let presentation = hub.announce("news").unwrap();
    let mut listing = hub.get("news").unwrap();
    let (high, _relay) = presentation.add("high", Limits::default()).unwrap();
    let (_low, _relay) = presentation.add("low", Limits::default()).unwrap();
    let taken = presentation.add("low", Limits::default()).unwrap_err();
    assert_eq!(taken, RenditionTaken("low".to_owned()));
    assert_eq!(ids(&mut listing), ["high".into(), "low".into()]);
    let (other, _relay) = presentation.add("other", Limits::default()).unwrap();
    presentation.arrange(&["gone", "other", "high"]);
    assert_eq!(
        ids(&mut listing),
        ["other".into(), "high".into(), "low".into()]
    );
    drop((high, other));
    assert_eq!(ids(&mut listing), ["low".into()]);
    assert!(presentation.add("high", Limits::default()).is_ok());
}

#[test]
fn a_dropped_presentation_ends_what_it_holds() {
    let hub = Hub::new();
    let presentation = hub.announce("news").unwrap();
    let (mut publisher, _relay) = presentation.add("source", Limits::default()).unwrap();
    publisher.set_tracks(tracks(0));
    publisher.push(key(0)).unwrap();
    let mut reader = publisher.broadcast().subscribe(Options::default());
    drop(presentation);
    assert_eq!(publisher.push(key(40)), Err(Refused::Ended));
    let end = Seen::End(EndReason::Dropped);
    assert_eq!(drain(&mut reader), [Seen::Group(0, 0), Seen::Frame(0), end]);
    publisher.end(EndReason::Finished);
    assert_eq!(drain(&mut reader), [], "the first reason stays");
}

#[tokio::test(start_paused = true)]
async fn an_absent_name_can_be_awaited() {
    let hub = Hub::new();
    let waiting = tokio::spawn({
        let hub = hub.clone();
        async move { hub.wait("news").await }
    });
    tokio::task::yield_now().await;
    let _other = hub.announce("weather").unwrap();
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    let presentation = hub.announce("news").unwrap();
    let mut listing = waiting.await.unwrap();
    assert!(ids(&mut listing).is_empty());
    let (_publisher, _relay) = presentation.add("source", Limits::default()).unwrap();
    listing.changed().await;
    assert_eq!(ids(&mut listing), ["source".into()]);
    assert!(!hub.wait("news").await.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_listing_tells_of_changes_and_of_the_end() {
    let hub = Hub::new();
    let presentation = hub.announce("news").unwrap();
    let mut listing = hub.get("news").unwrap();
    let quiet = timeout(Duration::from_secs(60), listing.changed());
    assert!(quiet.await.is_err(), "nothing changed");
    let (publisher, _relay) = presentation.add("source", Limits::default()).unwrap();
    listing.changed().await;
    drop(publisher);
    listing.changed().await;
    assert!(ids(&mut listing).is_empty());
    drop(presentation);
    listing.closed().await;
}
