use container::flv::Reader;
use container::ingest::Item;

use crate::real::{Files, Found, probe, source};

fn read(data: &bytes::Bytes, piece: usize) -> Found {
    let (mut reader, mut items) = (Reader::new(), Vec::new());
    for at in (0..data.len()).step_by(piece) {
        let piece = data.slice(at..data.len().min(at + piece));
        reader.push(piece, &mut items).unwrap();
    }
    reader.flush(&mut items);
    Found::of(items)
}

#[test]
fn files_of_h264_and_aac() {
    let files = Files::new();
    let codecs = "-c:v libx264 -preset veryfast -g 25 -bf 2 -c:a aac";
    let flv = files.make(&source(codecs, "a.flv"));
    let data = files.read("a.flv");
    for piece in [1, 1_000, 1 << 20] {
        let found = read(&data, piece);
        let mut codecs = found.codecs();
        codecs.sort_unstable();
        assert_eq!(codecs, ["aac", "h264"]);
        assert!(found.packets(0, 1_000) == probe(&flv, "v:0"));
        assert!(found.packets(1, 1_000) == probe(&flv, "a:0"));
        // The end of the sequence is told; no tag is cut short.
        assert_eq!(found.ignored, ["tag cut short"; 0]);
    }
    let cut = read(&data.slice(..data.len() - 9), 1_000);
    assert_eq!(cut.ignored, ["tag cut short"]);
}

#[test]
fn other_files_are_refused() {
    let mut items: Vec<Item> = Vec::new();
    assert!(Reader::new().push("FL".into(), &mut items).is_ok());
    assert!(Reader::new().push("FLAC".into(), &mut items).is_err());
}
