//! Options through SQL. An index of a partitioned table has options and no pages: so what it is to
//! be made of can be seen without building it.

/// The server's test functions live in a schema of their own.
#[pgrx::pg_schema]
mod tests {
    use ann::codec::CodeKind;
    use ann::factory::{Refine, RotationKind};
    use ann::tuning::pilot::SHORTEST;
    use grammar::options::{CODE_WORDS, REFINE_WORDS};
    use pages::ModelName;
    use pgrx::{pg_sys, pg_test};

    use crate::am::options::{GraphOptions, IvfOptions, options_of};
    use crate::am::testing::{refusal, run, with_index};

    fn index_with(options: &str) -> IvfOptions {
        run("DROP TABLE IF EXISTS t; CREATE TABLE t (v vector(3)) PARTITION BY RANGE (v)");
        run(&format!("CREATE INDEX i ON t USING faissivf (v) {options}"));
        with_index("i", options_of)
    }

    fn refused(options: &str) -> String {
        run("DROP TABLE IF EXISTS t; CREATE TABLE t (v vector(3))");
        refusal(&format!("CREATE INDEX ON t USING faissivf (v) WITH ({options})"))
    }

    #[pg_test]
    fn pgtest_options_reach_the_callbacks() {
        let default = IvfOptions::default();
        let chosen = IvfOptions {
            code: Some(SHORTEST),
            rotation: RotationKind::Hadamard,
            is_code_chosen: true,
            ..default
        };
        assert_eq!(index_with(""), chosen);
        let auto = index_with("WITH (code = auto, refine = sq8)");
        assert_eq!(auto, IvfOptions { refine: Refine::Sq8, ..chosen });
        assert_eq!(
            index_with("WITH (nlist = 65536, code = FLAT, seed = 0, nprobe = 3, k_factor = 9)"),
            IvfOptions { nlist: 65_536, seed: 0, nprobe: Some(3), k_factor: Some(9), ..default }
        );
        assert_eq!(
            index_with("WITH (factory = 'IVF12,Flat', nprobe = 3, seed = 5, k_factor = 2)"),
            IvfOptions { nlist: 12, seed: 5, nprobe: Some(3), k_factor: Some(2), ..default }
        );
    }

    #[pg_test]
    fn pgtest_codes_have_their_defaults() {
        let pq = |m, nbits| CodeKind::Pq { m, nbits };
        for (options, code) in [
            ("code = sqfp16", CodeKind::SqFp16),
            ("code = sq8", CodeKind::Sq8),
            ("code = SQ4", CodeKind::Sq4),
            ("code = pq", pq(8, 8)),
            ("code = pq, m = 4096, nbits = 12", pq(4096, 12)),
            ("code = pq, m = 1, nbits = 4, opq = off", pq(1, 4)),
            ("code = pqfs", CodeKind::PqFs { m: 8 }),
            ("code = pqfs, m = 3, nbits = 4", CodeKind::PqFs { m: 3 }),
            ("code = rabitq", CodeKind::RaBitQ { nbits: 1 }),
            ("code = rabitq, nbits = 1, refine = heap", CodeKind::RaBitQ { nbits: 1 }),
            ("code = rabitq, nbits = 8", CodeKind::RaBitQ { nbits: 8 }),
        ] {
            let expected = IvfOptions { code: Some(code), ..IvfOptions::default() };
            assert_eq!(index_with(&format!("WITH ({options})")), expected, "{options}");
        }
    }

    #[pg_test]
    fn pgtest_options_and_factory_strings_say_the_same() {
        for (options, factory) in [
            ("code = pq, m = 3", "IVF12,PQ3"),
            ("code = pqfs, m = 3, opq = on, refine = flat", "OPQ3,IVF12,PQ3x4fs,RFlat"),
            ("code = rabitq, refine = sqfp16", "IVF12,RaBitQ,Refine(SQfp16)"),
            ("code = rabitq, nbits = 4", "IVF12,RaBitQ4"),
            ("code = sq8, refine = sq8", "IVF12,SQ8,Refine(SQ8)"),
            ("code = sq4, opq = no", "IVF12,SQ4"),
        ] {
            let by_options = index_with(&format!("WITH (nlist = 12, {options})"));
            let by_factory = index_with(&format!("WITH (factory = '{factory}')"));
            assert_eq!(by_options, by_factory, "{factory}");
        }
        let only_factory = index_with("WITH (factory = 'L2norm,RR,IVF12,SQ8')");
        assert_eq!((only_factory.normalize, only_factory.rotation), (true, RotationKind::Random));
    }

    #[pg_test]
    fn pgtest_a_model_stands_for_the_structure() {
        let model = ModelName::new("Some name");
        let expected = IvfOptions { model, seed: 7, nprobe: Some(3), ..IvfOptions::default() };
        assert_eq!(index_with("WITH (model = 'Some name', seed = 7, nprobe = 3)"), expected);
        for other in
            ["nlist = 0", "code = flat", "m = 8", "nbits = 8", "opq = off", "refine = heap"]
        {
            let refused = refused(&format!("model = x, {other}"));
            assert!(refused.starts_with("22023\noptions \"model\" and "), "{other}: {refused}");
        }
        let refused = refused("model = x, factory = 'IVF4,Flat'");
        assert!(refused.contains("options \"model\" and \"factory\""), "{refused}");
        run("DROP TABLE t; CREATE TABLE t (v vector(3))");
        let refused = refusal("CREATE INDEX ON t USING faisshnsw (v) WITH (model = x)");
        assert!(refused.contains("unrecognized parameter \"model\""), "{refused}");
    }

    #[pg_test]
    fn pgtest_faissflat_has_the_same_options_without_lists() {
        for (options, same) in [
            ("WITH (seed = 5)", "WITH (seed = 5, code = flat)"),
            ("WITH (code = auto)", "WITH (code = flat)"),
            ("WITH (code = pq, m = 3, k_factor = 7)", "WITH (code = pq, m = 3, k_factor = 7)"),
            ("WITH (code = rabitq, refine = flat)", "WITH (code = rabitq, refine = flat)"),
            ("WITH (factory = 'Flat')", "WITH (code = flat)"),
            ("WITH (factory = 'RR,SQ8,RFlat')", "WITH (factory = 'RR,IVF1,SQ8,RFlat')"),
        ] {
            let expected = IvfOptions { nlist: 0, nprobe: None, ..index_with(same) };
            run("DROP TABLE t; CREATE TABLE t (v vector(3)) PARTITION BY RANGE (v)");
            run(&format!("CREATE INDEX i ON t USING faissflat (v) {options}"));
            assert_eq!(with_index("i", options_of), expected, "{options}");
        }
        for (bad, said) in [
            ("nlist = 1", "unrecognized parameter \"nlist\""),
            ("nprobe = 1", "unrecognized parameter \"nprobe\""),
            ("factory = 'IVF12,SQ8'", "has inverted lists"),
            ("factory = 'SQ8', code = sq8", "\"factory\" and \"code\" cannot be used together"),
            ("factory = 'L2norm,Flat'", "not supported by access method \"faissflat\""),
        ] {
            run("DROP TABLE t; CREATE TABLE t (v vector(3))");
            let refused = refusal(&format!("CREATE INDEX ON t USING faissflat (v) WITH ({bad})"));
            assert!(refused.starts_with("22023\n") && refused.contains(said), "{bad}: {refused}");
        }
    }

    #[pg_test]
    fn pgtest_faisshnsw_has_options_of_its_own() {
        for (options, m, ef_construction, code, ef_search) in [
            ("", 32, 200, None, None),
            ("WITH (m = 2, efConstruction = 4, efSearch = 9)", 2, 4, None, Some(9)),
            ("WITH (m = 100, code = SQFP16)", 100, 200, Some(CodeKind::SqFp16), None),
            ("WITH (code = sq8, efConstruction = 2000)", 32, 2000, Some(CodeKind::Sq8), None),
            (
                "WITH (factory = 'HNSW16_SQ8', efConstruction = 40)",
                16,
                40,
                Some(CodeKind::Sq8),
                None,
            ),
            ("WITH (factory = 'HNSW')", 32, 200, None, None),
        ] {
            run("DROP TABLE IF EXISTS t; CREATE TABLE t (v vector(3)) PARTITION BY RANGE (v)");
            run(&format!("CREATE INDEX i ON t USING faisshnsw (v) {options}"));
            let graph = Some(GraphOptions { m, ef_construction, code });
            let expected = IvfOptions { graph, ef_search, ..IvfOptions::default() };
            assert_eq!(with_index("i", options_of), expected, "{options}");
        }
        run("DROP TABLE t; CREATE TABLE t (v vector(3)); CREATE INDEX i ON t USING faisshnsw (v)");
        run("ALTER INDEX i SET (efSearch = 77)");
        assert_eq!(with_index("i", options_of).ef_search, Some(77));
    }

    #[pg_test]
    fn pgtest_taxicab_distance_is_for_flat_codes() {
        run("CREATE TABLE t (v vector(3)); CREATE INDEX ON t USING faissflat (v vector_l1_ops)");
        for method in ["faissivf", "faissflat"] {
            run(&format!(
                "CREATE OPERATOR CLASS taxicab FOR TYPE vector USING {method} AS
                   OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
                   FUNCTION 1 faiss.vector_l1_support(internal)"
            ));
        }
        for (index, said) in [
            ("faissflat (v taxicab) WITH (code = sq8)", "code \"sq8\" does not support"),
            ("faissflat (v taxicab) WITH (factory = 'RR,RaBitQ')", "code \"rabitq\" does not"),
            ("faissivf (v taxicab)", "access method \"faissivf\" does not support"),
        ] {
            let refused = refusal(&format!("CREATE INDEX ON t USING {index}"));
            assert!(refused.starts_with("22023\n") && refused.contains(said), "{index}: {refused}");
        }
    }

    #[pg_test]
    fn pgtest_words_stand_for_the_numbers_of_the_metapage() {
        let numbered = CODE_WORDS.iter().filter(|(word, _)| ![c"auto", c"flat"].contains(word));
        for &(word, number) in numbered {
            let code = index_with(&format!("WITH (code = {})", word.to_string_lossy())).code;
            assert_eq!(word.to_str().ok(), code.map(CodeKind::name));
            assert_eq!(code.map(|code| i32::from(code.to_numbers().0)), Some(number));
        }
        for (&(word, number), refine) in REFINE_WORDS.iter().zip(Refine::ALL) {
            assert_eq!(word.to_str(), Ok(refine.name()));
            assert_eq!(i32::from(refine.to_u8()), number);
        }
    }

    #[pg_test]
    fn pgtest_options_outside_their_range_are_refused() {
        for bad in [
            "nlist = -1",
            "nlist = 4194305",
            "seed = -1",
            "nprobe = 0",
            "nprobe = 4194305",
            "k_factor = 0",
            "k_factor = 1025",
            "code = pq, m = 0",
            "code = pq, m = 4097",
            "code = pq, nbits = 0",
            "code = pq, nbits = 13",
        ] {
            let refused = refused(bad);
            assert!(refused.starts_with("22023\nvalue "), "{bad}: {refused}");
        }
        for (bad, part) in [
            ("code = foo", "invalid value for enum option \"code\": foo"),
            ("code = pq, opq = maybe", "invalid value for enum option \"opq\": maybe"),
            ("code = pq, refine = no", "invalid value for enum option \"refine\": no"),
            ("nlists = 1", "unrecognized parameter \"nlists\""),
            ("factory = 'IVF12,FooBar'", "is not understood: \"FooBar\""),
            ("factory = 'PQ16'", "has no inverted lists"),
        ] {
            let refused = refused(bad);
            assert!(refused.starts_with("22023\n") && refused.contains(part), "{bad}: {refused}");
        }
    }

    #[pg_test]
    fn pgtest_options_that_make_no_sense_together_are_refused() {
        for other in
            ["nlist = 12", "code = flat", "m = 1", "nbits = 8", "opq = off", "refine = heap"]
        {
            let refused = refused(&format!("factory = 'IVF12,Flat', {other}"));
            let name = other.split(' ').next();
            let said = refused.split('"').nth(3);
            assert!(refused.starts_with("22023\noptions \"factory\" and "), "{other}: {refused}");
            assert_eq!(said, name, "{refused}");
        }
        for (bad, option, code) in [
            ("m = 8", "m", "auto"),
            ("code = auto, nbits = 2", "nbits", "auto"),
            ("code = sq8, m = 8", "m", "sq8"),
            ("code = rabitq, m = 8", "m", "rabitq"),
            ("code = sqfp16, nbits = 8", "nbits", "sqfp16"),
            ("code = flat, nbits = 8", "nbits", "flat"),
            ("opq = on", "opq", "auto"),
            ("code = flat, opq = on", "opq", "flat"),
            ("code = rabitq, opq = on", "opq", "rabitq"),
            ("code = flat, refine = heap", "refine", "flat"),
        ] {
            let said = format!("22023\noption \"{option}\" cannot be used with code \"{code}\"");
            let refused = refused(bad);
            assert!(refused.starts_with(&said), "{bad}: {refused}");
            assert_eq!(refused.lines().count(), 4, "message, detail, hint: {refused}");
        }
        for (bad, valid) in [
            ("code = pq, nbits = 3", "Code pq has nbits from 4 to 12."),
            ("code = pqfs, nbits = 8", "Code pqfs has nbits = 4."),
            ("code = rabitq, nbits = 9", "Code rabitq has nbits from 1 to 8."),
        ] {
            let refused = refused(bad);
            assert!(refused.starts_with("22023\n") && refused.contains(valid), "{bad}: {refused}");
        }
    }

    #[pg_test]
    fn pgtest_sub_quantizers_must_divide_the_dimension() {
        for (bad, said) in [
            ("code = pq", "8 does not divide the dimension 3\nThe nearest divisor of 3 is 3."),
            (
                "code = pqfs, m = 2",
                "2 does not divide the dimension 3\nThe nearest divisors of 3 are 1 and 3.",
            ),
            (
                "factory = 'OPQ2,IVF4,SQ8'",
                "number of sub-quantizers 2 does not divide the dimension 3",
            ),
            (
                "factory = 'OPQ3,IVF4,PQ2'",
                "number of sub-quantizers 2 does not divide the dimension 3",
            ),
        ] {
            let refused = refused(bad);
            assert!(refused.starts_with("22023\n") && refused.contains(said), "{bad}: {refused}");
        }
    }

    #[pg_test]
    fn pgtest_search_options_take_effect_at_once() {
        run("CREATE TABLE t (v vector(3)); CREATE INDEX i ON t USING faissivf (v)");
        run("ALTER INDEX i SET (nprobe = 2, k_factor = 3, nlist = 4)");
        let options = with_index("i", options_of);
        assert_eq!((options.nprobe, options.k_factor), (Some(2), Some(3)));
        run("ALTER INDEX i RESET (nprobe, k_factor)");
        let options = with_index("i", options_of);
        assert_eq!((options.nprobe, options.k_factor), (None, None));
        let refused = refusal("ALTER INDEX i SET (factory = 'IVF12,Flat')");
        assert!(refused.contains("cannot be used together"), "{refused}");
    }

    #[pg_test]
    fn pgtest_changing_a_search_option_lets_others_read_and_write() {
        let lock_of = |name: &std::ffi::CStr| {
            // SAFETY: a list of one DefElem, as ALTER INDEX … SET makes it; the name is only read.
            unsafe {
                let name = name.as_ptr().cast_mut();
                let option = pg_sys::makeDefElem(name, std::ptr::null_mut(), -1);
                let list = pg_sys::lappend(std::ptr::null_mut(), option.cast());
                pg_sys::AlterTableGetRelOptionsLockLevel(list)
            }
        };
        for search in [c"nprobe", c"k_factor", c"efsearch"] {
            assert_eq!(lock_of(search), pg_sys::ShareUpdateExclusiveLock as i32, "{search:?}");
        }
        for structural in
            [c"nlist", c"code", c"m", c"nbits", c"opq", c"refine", c"factory", c"model"]
        {
            assert_eq!(lock_of(structural), pg_sys::AccessExclusiveLock as i32, "{structural:?}");
        }
    }
}
