//! What a ladder passes on as it came, and what the programme consists of: worker or none.

use std::sync::Arc;

use hub::{Broadcast, Event, Join, Options};
use ladder::Output;
use media::{Frame, Span, Track, TrackId, TrackKind};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::assembly::Assembly;

/// The programme's hub holds more than this is ever behind.
const MAX_LATENCY: Span = Span::from_secs(60);

/// Which of the programme's tracks are which outputs.
#[derive(Default)]
struct Routes {
    outputs: Vec<(TrackId, Vec<Output>)>,
}

/// Runs until the programme ends.
pub(crate) async fn follow(programme: &Broadcast, assembly: &Mutex<Assembly>) {
    let mut reader = programme.subscribe(Options {
        join: Join::Newest,
        max_latency: MAX_LATENCY,
        wanted: false,
    });
    let mut batch = Vec::new();
    let mut routes = Routes::default();
    loop {
        reader.next(&mut batch).await;
        let mut assembly = assembly.lock();
        for event in batch.drain(..) {
            match event {
                Event::Group {
                    tracks, spliced, ..
                } => {
                    routes = open_group(&mut assembly, &tracks, spliced);
                }
                Event::Frame(frame) => routes.pass(&mut assembly, &frame),
                Event::Skipped { .. } => assembly.note_loss(),
                Event::End(_) => return,
            }
        }
    }
}

fn open_group(assembly: &mut Assembly, tracks: &Arc<[Track]>, spliced: bool) -> Routes {
    let now = Instant::now();
    if spliced && assembly.ladder().copies_video() {
        assembly.splice();
    }
    assembly.follow(tracks, now);
    let pictures = tracks.iter().find(|t| t.kind == TrackKind::Video);
    let copies = assembly.copied_pictures().into_iter().map(Output::Video);
    let mut outputs: Vec<(Track, Vec<Output>)> = Vec::new();
    if let Some(track) = pictures {
        outputs.push((track.clone(), copies.collect()));
    }
    let sounds = tracks.iter().filter(|t| t.kind == TrackKind::Audio);
    for (track, slot) in sounds.zip(0_u8..) {
        let ladder = Arc::clone(assembly.ladder());
        let takes = |rung: &u8| {
            let rung = ladder.audio_rung(*rung);
            rung.is_some_and(|r| r.from.takes(slot.into(), track.language.as_deref()))
        };
        let rungs = assembly.copied_sounds().into_iter().filter(takes);
        outputs.push((
            track.clone(),
            rungs.map(|rung| Output::Audio(rung, slot)).collect(),
        ));
    }
    for (track, outputs) in &outputs {
        for output in outputs {
            assembly.track(*output, track.clone(), now);
        }
    }
    let outputs = outputs
        .into_iter()
        .map(|(track, outputs)| (track.id, outputs));
    Routes {
        outputs: outputs.collect(),
    }
}

impl Routes {
    fn pass(&self, assembly: &mut Assembly, frame: &Frame) {
        let route = self.outputs.iter().find(|(id, _)| *id == frame.track);
        for output in route.iter().flat_map(|(_, outputs)| outputs) {
            // The ladder may have been edited since the group opened.
            if assembly.passes_on(*output) {
                assembly.frame(*output, frame, Instant::now());
            }
        }
    }
}
