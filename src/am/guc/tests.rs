//! Settings through SQL: their ranges, and who wins.

#[pgrx::pg_schema]
mod tests {
    use pgrx::pg_test;

    use grammar::options::Settings;
    use pages::search::params::Iterative;

    use crate::am::guc::{
        build_threads, ef_search_for, iterative, k_factor_for, max_scan_tuples, nprobe_for,
        recall_target_for,
    };
    use crate::am::options::IvfOptions;
    use crate::am::testing::{refusal, run};

    fn index_option(nprobe: Option<u32>) -> Option<u32> {
        nprobe_for(&IvfOptions { nprobe, ..IvfOptions::default() })
    }

    #[pg_test]
    fn pgtest_only_an_explicit_nprobe_wins_over_the_index() {
        assert_eq!((index_option(None), index_option(Some(7))), (None, Some(7)));
        run("SET faiss.nprobe = 20");
        assert_eq!((index_option(None), index_option(Some(7))), (Some(20), Some(20)));
        run("RESET faiss.nprobe");
        assert_eq!((index_option(None), index_option(Some(7))), (None, Some(7)));
        run("SET LOCAL faiss.nprobe = 10");
        assert_eq!(index_option(Some(7)), Some(10));
        run("SET LOCAL faiss.nprobe = 0");
        assert_eq!(index_option(Some(7)), None, "explicit, although it is the default's value");
        run("SET faiss.nprobe TO DEFAULT");
        assert_eq!(index_option(Some(7)), Some(7));
    }

    #[pg_test]
    fn pgtest_only_an_explicit_k_factor_wins_over_the_index() {
        let of = |k_factor| k_factor_for(&IvfOptions { k_factor, ..IvfOptions::default() });
        assert_eq!((of(None), of(Some(7))), (None, Some(7)));
        run("SET faiss.k_factor = 20; SET faiss.nprobe = 3");
        assert_eq!((of(None), of(Some(7))), (Some(20), Some(20)));
        run("SET faiss.k_factor = 0");
        assert_eq!((of(None), of(Some(7))), (None, None), "automatic, explicitly");
        run("RESET faiss.k_factor");
        assert_eq!((of(None), of(Some(7))), (None, Some(7)));
        assert_eq!(index_option(Some(7)), Some(3), "each setting knows its own source");
    }

    #[pg_test]
    fn pgtest_only_an_explicit_ef_search_wins_over_the_index() {
        let of = |ef_search| ef_search_for(&IvfOptions { ef_search, ..IvfOptions::default() });
        assert_eq!((of(None), of(Some(7))), (None, Some(7)));
        run("SET faiss.efSearch = 50");
        assert_eq!((of(None), of(Some(7))), (Some(50), Some(50)));
        run("RESET faiss.efsearch");
        assert_eq!((of(None), of(Some(7))), (None, Some(7)));
    }

    #[pg_test]
    fn pgtest_only_an_explicit_recall_target_wins_over_the_index() {
        let of = |recall_target| {
            recall_target_for(&IvfOptions { recall_target, ..IvfOptions::default() })
        };
        assert_eq!((of(None), of(Some(0.8))), (0.95, 0.8));
        run("SET faiss.recall_target = 0.99");
        assert_eq!((of(None), of(Some(0.8))), (0.99, 0.99));
        run("RESET faiss.recall_target");
        assert_eq!((of(None), of(Some(0.8))), (0.95, 0.8));
        let raised = refusal("DO $$ BEGIN SET faiss.recall_target = 0.9; RAISE 'undo'; END $$");
        assert!(raised.contains("undo"), "{raised}");
        assert_eq!(of(Some(0.8)), 0.8);
    }

    #[pg_test]
    fn pgtest_nprobe_forgets_what_was_rolled_back() {
        let raised = refusal("DO $$ BEGIN SET LOCAL faiss.nprobe = 33; RAISE 'undo'; END $$");
        assert!(raised.contains("undo"), "{raised}");
        assert_eq!(index_option(Some(7)), Some(7));
        run("SET faiss.nprobe = 20");
        let raised = refusal("DO $$ BEGIN RESET faiss.nprobe; RAISE 'undo'; END $$");
        assert!(raised.contains("undo"), "{raised}");
        assert_eq!(index_option(Some(7)), Some(20));
    }

    #[pg_test]
    fn pgtest_settings_have_defaults_and_ranges() {
        assert_eq!(iterative(Settings::Faiss), Iterative::Strict);
        assert_eq!(max_scan_tuples(Settings::Faiss).0, u64::MAX);
        assert!(build_threads() >= 1);
        run("SET faiss.build_threads = 3; SET faiss.iterative_scan = relaxed_order");
        assert_eq!((build_threads(), iterative(Settings::Faiss)), (3, Iterative::Relaxed));
        for bad in [
            "nprobe = -1",
            "nprobe = 4194305",
            "k_factor = -1",
            "k_factor = 1025",
            "efSearch = -1",
            "recall_target = 0.4999",
            "recall_target = 1",
            "efSearch = 65537",
            "iterative_scan = maybe",
            "max_scan_tuples = -1",
        ] {
            let refused = refusal(&format!("SET faiss.{bad}"));
            assert!(refused.starts_with("22023\n"), "{bad}: {refused}");
        }
        #[cfg(not(feature = "pg14"))]
        assert!(refusal("SET faiss.nprobes = 1").contains("faiss.nprobes"));
    }
}
