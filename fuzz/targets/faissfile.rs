//! Files of FAISS: whatever the bytes are, a model that makes sense, rows of the dimension it says, or an error.
#![no_main]

use faissfile::{Decode, FileGraph, each_row, import, read};
use libfuzzer_sys::fuzz_target;
use pages::blob::TrainedModel;

fuzz_target!(|data: &[u8]| {
    let Ok(index) = read(&mut &data[..]) else { return };
    for metric in [None, Some(ann::Metric::Cosine)] {
        if let Ok(found) = import(&mut &data[..], &index, metric) {
            let bytes = found.model.to_bytes().unwrap();
            assert_eq!(TrainedModel::from_bytes(&bytes).unwrap(), found.model);
            // What is a model is a file again, from which it can be read.
            let (file, _) = faissfile::model_file(&found.model);
            read(&mut &file[..]).unwrap();
        }
    }
    if let Ok(graph) = FileGraph::of(&mut &data[..], &index)
        && let Ok(links) = graph.links(&mut &data[..])
    {
        for number in 0..graph.len() as u32 {
            let linked = (0..=links.level(number)).flat_map(|level| links.of(number, level));
            assert!(linked.into_iter().all(|link| u64::from(*link) < graph.len()));
        }
    }
    for decode in [Decode::Never, Decode::Lossy] {
        let _ = each_row(&mut &data[..], &index, decode, &mut |_, vector| {
            assert!(!vector.is_empty());
            Ok(())
        });
    }
});
