//! What FAISS itself wrote: the seeds of the fuzz target.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is what a test is for")]

use faissfile::{Decode, FileGraph, each_row, import, read};

/// Small files that FAISS 1.15 wrote, of every kind and for both metrics; also what the fuzz target begins with.
#[test]
fn files_of_faiss_are_read() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/faissfile");
    let mut n = 0;
    for entry in std::fs::read_dir(seeds).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        let index = read(&mut &bytes[..]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(index.header.ntotal, 7, "{name}");
        let model = import(&mut &bytes[..], &index, None);
        match &model {
            Ok(found) => assert_eq!(found.ntotal, 7, "{name}"),
            Err(_) => assert!(has_no_model(&name), "{name}: {model:?}"),
        }
        let graph = FileGraph::of(&mut &bytes[..], &index);
        assert_eq!(graph.is_ok(), name.contains("HNSW4") && !name.contains("IVF"), "{name}");
        if let Ok(graph) = graph {
            let links = graph.links(&mut &bytes[..]).unwrap();
            assert_eq!(graph.m(&mut &bytes[..]).unwrap(), 4);
            assert!((0..7).all(|i| !links.of(i, 0).is_empty() && !links.of(i, 0).contains(&i)));
        }
        let mut rows = 0;
        let read = each_row(&mut &bytes[..], &index, Decode::Lossy, &mut |_, row| {
            rows += 1;
            assert!(row.iter().all(|x| x.abs() < 10.0), "{name}: {row:?}");
            Ok(())
        });
        let in_blocks = name.contains("fs") && !name.contains("RFlat");
        assert_eq!((rows, read.is_ok()), if in_blocks { (0, false) } else { (7, true) }, "{name}");
        n += 1;
    }
    assert!(n >= 60, "{n} files");
}

/// A graph, and what has lists of vectors that are shifted under inner product or normalised under L2.
fn has_no_model(name: &str) -> bool {
    name.contains("HNSW4") || ["PCA8_IVF4_Flat_ip", "L2norm_IVF4_Flat"].contains(&name)
}
