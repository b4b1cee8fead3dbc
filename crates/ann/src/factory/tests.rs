//! The grammar: what is taken, what comes back, and which part is named when it is not.

use super::{Factory, FactoryError, Refine, RotationKind};
use crate::codec::CodeKind;

const FLAT: Factory = Factory {
    normalize: false,
    rotation: RotationKind::None,
    graph: None,
    nlist: None,
    code: None,
    refine: Refine::Heap,
};

fn coded(nlist: u32, code: CodeKind) -> Factory {
    Factory { nlist: Some(nlist), code: Some(code), ..FLAT }
}

#[track_caller]
fn takes(text: &str, canonical: &str, expected: Factory) {
    let factory = Factory::parse(text).unwrap();
    assert_eq!(factory, expected, "{text}");
    assert_eq!(factory.to_string(), canonical);
    assert_eq!(Factory::parse(canonical), Ok(factory));
}

#[test]
fn lists_with_every_code() {
    for (text, nlist) in [("1", 1), ("1024", 1024), ("4k", 4096), ("64k", 65_536)] {
        let flat = Factory { nlist: Some(nlist), ..FLAT };
        takes(&format!("IVF{text},Flat"), &format!("IVF{nlist},Flat"), flat);
    }
    for (code, canonical, kind) in [
        ("SQfp16", "SQfp16", CodeKind::SqFp16),
        ("SQ8", "SQ8", CodeKind::Sq8),
        ("SQ4", "SQ4", CodeKind::Sq4),
        ("PQ16", "PQ16", CodeKind::Pq { m: 16, nbits: 8 }),
        ("PQ16np", "PQ16", CodeKind::Pq { m: 16, nbits: 8 }),
        ("PQ16x8", "PQ16", CodeKind::Pq { m: 16, nbits: 8 }),
        ("PQ16x4", "PQ16x4", CodeKind::Pq { m: 16, nbits: 4 }),
        ("PQ4096x12np", "PQ4096x12", CodeKind::Pq { m: 4096, nbits: 12 }),
        ("PQ1x4fs", "PQ1x4fs", CodeKind::PqFs { m: 1 }),
        ("RaBitQ", "RaBitQ", CodeKind::RaBitQ { nbits: 1 }),
        ("RaBitQ1", "RaBitQ", CodeKind::RaBitQ { nbits: 1 }),
        ("RaBitQ8", "RaBitQ8", CodeKind::RaBitQ { nbits: 8 }),
    ] {
        takes(&format!("IVF100,{code}"), &format!("IVF100,{canonical}"), coded(100, kind));
        takes(code, canonical, Factory { code: Some(kind), ..FLAT });
    }
    takes("Flat", "Flat", FLAT);
}

#[test]
fn what_stands_before_and_after() {
    let pq = coded(4096, CodeKind::Pq { m: 8, nbits: 8 });
    for (before, canonical, normalize, rotation) in [
        ("L2norm,", "L2norm,", true, RotationKind::None),
        ("L2Norm,", "L2norm,", true, RotationKind::None),
        ("RR,", "RR,", false, RotationKind::Random),
        ("L2norm,RR,", "L2norm,RR,", true, RotationKind::Random),
        ("HR,", "HR,", false, RotationKind::Hadamard),
        ("OPQ16,", "OPQ16,", false, RotationKind::Opq { m: 16 }),
        ("L2norm,OPQ4,", "L2norm,OPQ4,", true, RotationKind::Opq { m: 4 }),
    ] {
        for (after, canonical_after, refine) in [
            ("", "", Refine::Heap),
            (",RFlat", ",RFlat", Refine::Flat),
            (",Refine(Flat)", ",RFlat", Refine::Flat),
            (",Refine(SQfp16)", ",Refine(SQfp16)", Refine::SqFp16),
            (",Refine(SQ8)", ",Refine(SQ8)", Refine::Sq8),
        ] {
            let canonical = format!("{canonical}IVF4096,PQ8{canonical_after}");
            let expected = Factory { normalize, rotation, refine, ..pq };
            takes(&format!("{before}IVF4k,PQ8{after}"), &canonical, expected);
        }
    }
    takes("L2norm,IVF10,Flat", "L2norm,IVF10,Flat", {
        Factory { normalize: true, nlist: Some(10), ..FLAT }
    });
    takes("OPQ8,SQ8,RFlat", "OPQ8,SQ8,RFlat", {
        let rotation = RotationKind::Opq { m: 8 };
        Factory { rotation, code: Some(CodeKind::Sq8), refine: Refine::Flat, ..FLAT }
    });
}

#[test]
fn graphs() {
    for (text, canonical, m, code) in [
        ("HNSW", "HNSW32,Flat", 32, None),
        ("HNSW2", "HNSW2,Flat", 2, None),
        ("HNSW100,Flat", "HNSW100,Flat", 100, None),
        ("HNSW_Flat", "HNSW32,Flat", 32, None),
        ("HNSW16,SQfp16", "HNSW16,SQfp16", 16, Some(CodeKind::SqFp16)),
        ("HNSW32_SQ8", "HNSW32,SQ8", 32, Some(CodeKind::Sq8)),
        ("HNSW,SQ8", "HNSW32,SQ8", 32, Some(CodeKind::Sq8)),
    ] {
        takes(text, canonical, Factory { graph: Some(m), code, ..FLAT });
    }
}

fn at_fault(text: &str) -> String {
    let error = Factory::parse(text).unwrap_err();
    let why = error.why().unwrap_or_default();
    assert_eq!(error.why().is_some(), why.ends_with('.'), "{why}");
    match error {
        FactoryError::Empty => String::new(),
        FactoryError::NotUnderstood { part, whole } => {
            assert_eq!(whole, text);
            part
        }
        FactoryError::NoCode { part, .. } => format!("end after {part}"),
        FactoryError::Unsupported { part, .. } => format!("no {part}"),
        FactoryError::OutOfRange { part, .. } => format!("range of {part}"),
    }
}

#[test]
fn names_the_part_that_is_not_understood() {
    for (text, part) in [
        ("", ""),
        ("HNSWx", "HNSWx"),
        ("HNSW32_", ""),
        ("HNSW32,FooBar", "FooBar"),
        ("HNSW32,SQ8,x", "x"),
        ("HNSW32_SQ8,SQ8", "SQ8"),
        ("IVF1024,", ""),
        ("IVF1024,FooBar", "FooBar"),
        ("IVF1024, Flat", " Flat"),
        ("ivf1024,Flat", "ivf1024"),
        ("IVF,Flat", "IVF"),
        ("IVFk,Flat", "IVFk"),
        ("IVF-1,Flat", "IVF-1"),
        ("IVF16_HNSW32,Flat", "IVF16_HNSW32"),
        ("IVF16(HNSW32,Flat),PQ16", "IVF16(HNSW32,Flat)"),
        ("IVF1é,Flat", "IVF1é"),
        ("PCA64,IVF16,Flat", "PCA64"),
        ("IDMap,IVF16,Flat", "IDMap"),
        ("IVF16,Flat,RR", "RR"),
        ("IVF16,SQ8,RFlat,RFlat", "RFlat"),
        ("IVF16,SQ8,IVF16", "IVF16"),
        ("IVF16,L2norm,SQ8", "L2norm"),
        ("L2norm,L2norm,SQ8", "L2norm"),
        ("OPQ,IVF16,PQ16", "OPQ"),
        ("OPQ16_,IVF16,PQ16", "OPQ16_"),
        ("RRx,IVF16,PQ16", "RRx"),
        ("IVF16,SQ6", "SQ6"),
        ("IVF16,SQbf16", "SQbf16"),
        ("IVF16,sq8", "sq8"),
        ("IVF16,PQ", "PQ"),
        ("IVF16,PQ16x", "PQ16x"),
        ("IVF16,PQx4", "PQx4"),
        ("IVF16,PQ16+16", "PQ16+16"),
        ("IVF16,PQ16k", "PQ16k"),
        ("IVF16,PQ16npnp", "PQ16npnp"),
        ("IVF16,PQ16x4fsr", "PQ16x4fsr"),
        ("IVF16,PQ16x4fs_64", "PQ16x4fs_64"),
        ("IVF16,PQ16x4fsnp", "PQ16x4fsnp"),
        ("IVF16,PQ16x8fs", "PQ16x8fs"),
        ("IVF16,RaBitQfs", "RaBitQfs"),
        ("IVF16,RaBitQx", "RaBitQx"),
        ("IVF16,PQ16,RFlatx", "RFlatx"),
        ("IVF16,PQ16,Refine(SQ8", "Refine(SQ8"),
    ] {
        assert_eq!(at_fault(text), part, "{text}");
    }
}

#[test]
fn says_what_is_missing_unsupported_or_out_of_range() {
    for (text, part) in [
        ("IVF1024", "end after IVF1024"),
        ("OPQ16", "end after OPQ16"),
        ("L2norm", "end after L2norm"),
        ("IVF1024,Flat,RFlat", "no RFlat"),
        ("OPQ16,IVF1024,Flat", "no OPQ16"),
        ("RR,Flat", "no RR"),
        ("OPQ16_64,IVF1024,PQ16", "no OPQ16_64"),
        ("RR64,IVF1024,PQ16", "no RR64"),
        ("RR,OPQ16,IVF1024,PQ16", "no OPQ16"),
        ("RR,L2norm,IVF1024,PQ16", "no L2norm"),
        ("IVF16,PQ8,Refine(PQ16)", "no Refine(PQ16)"),
        ("IVF16,PQ8,Refine(IVF4,Flat)", "no Refine(IVF4,Flat)"),
        ("IVF0,Flat", "range of IVF0"),
        ("IVF4194305,Flat", "range of IVF4194305"),
        ("IVF5M,Flat", "range of IVF5M"),
        ("IVF99999999999999999999999k,Flat", "range of IVF99999999999999999999999k"),
        ("IVF16,PQ0", "range of PQ0"),
        ("IVF16,PQ4097", "range of PQ4097"),
        ("IVF16,PQ65544x4fs", "range of PQ65544x4fs"),
        ("IVF16,PQ16x3", "range of PQ16x3"),
        ("IVF16,PQ16x13", "range of PQ16x13"),
        ("IVF16,PQ16x264", "range of PQ16x264"),
        ("IVF16,RaBitQ0", "range of RaBitQ0"),
        ("IVF16,RaBitQ9", "range of RaBitQ9"),
        ("IVF16,RaBitQ257", "range of RaBitQ257"),
        ("OPQ0,IVF16,PQ16", "range of OPQ0"),
        ("HNSW1", "range of HNSW1"),
        ("HNSW101,SQ8", "range of HNSW101"),
        ("HNSW32,PQ16", "no PQ16"),
        ("HNSW32_SQ4", "no SQ4"),
        ("HNSW32,SQ8,RFlat", "no RFlat"),
        ("L2norm,HNSW32", "no L2norm"),
        ("OPQ16,HNSW32", "no OPQ16"),
    ] {
        assert_eq!(at_fault(text), part, "{text}");
    }
}

#[test]
fn numbers_round_trip() {
    for (number, refine) in (0..).zip(Refine::ALL) {
        assert_eq!(refine.to_u8(), number);
        assert_eq!(Refine::from_u8(number), Some(refine));
    }
    assert_eq!(Refine::from_u8(4), None);
    for (rotation, numbers) in [
        (RotationKind::None, (0, 0)),
        (RotationKind::Random, (1, 0)),
        (RotationKind::Opq { m: 4096 }, (2, 4096)),
        (RotationKind::Hadamard, (3, 0)),
    ] {
        assert_eq!(rotation.to_numbers(), numbers);
        assert_eq!(RotationKind::from_numbers(numbers.0, numbers.1), Some(rotation));
    }
    for (kind, m) in [(0, 1), (1, 1), (2, 0), (2, 4097), (3, 1), (4, 0)] {
        assert_eq!(RotationKind::from_numbers(kind, m), None);
    }
}

#[test]
fn binary_indexes() {
    for (text, rest) in [("BFlat", "Flat"), ("BIVF64", "IVF64,Flat"), ("BHNSW16", "HNSW16,Flat")] {
        assert_eq!(Factory::parse_any(text), Ok((Factory::parse(rest).unwrap(), true)), "{text}");
        assert_eq!(Factory::parse_any(rest), Ok((Factory::parse(rest).unwrap(), false)));
    }
    for text in ["B", "BPQ8", "BIVF64,SQ8", "BSQ8", "BFlat,RFlat", "BL2norm,Flat", "BHNSW16_SQ8"] {
        assert!(Factory::parse_any(text).is_err(), "{text}");
    }
    assert!(Factory::parse_any("BIVF0").is_err() && Factory::parse_any("BHNSW1000").is_err());
    assert!(Factory::parse("BFlat").is_err());
}
