//! Clients made for pgvector work unchanged: pgvector-python's psycopg adapter, as it comes from
//! PyPI, stores, reads and searches.

use std::path::Path;
use std::process::Command;

const REQUIREMENTS: &[&str] = &["pgvector==0.5.1", "psycopg[binary]==3.3.9", "numpy<3"];

#[test]
fn pgvector_python() {
    let environment = xtask::python::environment("clients", REQUIREMENTS).unwrap();
    let db = checks::Database::new("pgvector_python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/adapter.py");
    let out = Command::new(environment.join("bin/python"))
        .arg(script)
        .arg(db.conninfo())
        .output()
        .unwrap();
    let (said, failed) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}{failed}");
}
