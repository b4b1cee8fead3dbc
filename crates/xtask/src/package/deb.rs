//! Debian packages: the library with the extension `pgfaiss`, and our extension `vector`, which cannot be beside pgvector's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{libraries, output, time_of_commit};
use crate::build::repository;
use crate::install::{self, VECTOR_VERSION, VERSION};
use crate::pg::PgConfig;

/// The packaging's own number.
const REVISION: &str = "1";

/// Who packages, as Debian's own tools ask for it.
fn maintainer() -> String {
    let of = |name, or: &str| std::env::var(name).unwrap_or_else(|_| or.to_owned());
    format!("{} <{}>", of("DEBFULLNAME", "pgfaiss developers"), of("DEBEMAIL", "pgfaiss@localhost"))
}

/// A package before it is written.
pub struct Deb {
    name: String,
    fields: Vec<(&'static str, String)>,
    /// The files at their places, below a directory that goes when this goes.
    tree: tempfile::TempDir,
}

impl Deb {
    /// The library and the extension `pgfaiss`.
    pub fn pgfaiss(pg: &PgConfig, library: &Path) -> Result<Self> {
        let mut deb = Self::new(pg, "pgfaiss")?;
        let inside = pg.below(deb.tree.path());
        install::lay_out_pgfaiss(&inside, library)?;
        // What only a debugger reads is most of the bytes.
        output(Command::new("strip").arg("--strip-unneeded").arg(install::library_path(&inside)))?;
        let mut depends = libraries::dependencies(library)?;
        depends.push(format!("postgresql-{}", pg.major));
        deb.field("Depends", depends.join(", "));
        let (ours, theirs) = (format!("postgresql-{}-pgfaiss-vector", pg.major), pgvector(pg));
        deb.field("Recommends", format!("{ours} | {theirs}"));
        deb.describe(
            "FAISS index families as PostgreSQL index access methods",
            "Inverted lists, graphs and flat scans, with scalar, product and RaBitQ codes,\nas index access methods: in PostgreSQL's own pages, under its WAL and MVCC.\nIt works on the types of the extension vector: pgvector's, or those of the\npackage that is recommended.",
        );
        Ok(deb)
    }

    /// Our extension `vector`.
    pub fn vector(pg: &PgConfig) -> Result<Self> {
        let mut deb = Self::new(pg, "pgfaiss-vector")?;
        let inside = pg.below(deb.tree.path());
        install::lay_out_vector(&inside)?;
        deb.field("Depends", format!("postgresql-{}-pgfaiss (= {})", pg.major, version()));
        // The files of both have the same names.
        deb.field("Conflicts", pgvector(pg));
        deb.describe(
            "vector data types for PostgreSQL, as pgvector has them, by pgfaiss",
            &format!("Types, operators, functions and the access methods hnsw and ivfflat of pgvector\n{VECTOR_VERSION}, for servers without pgvector. Clients made for pgvector run unchanged."),
        );
        Ok(deb)
    }

    fn new(pg: &PgConfig, what: &str) -> Result<Self> {
        let name = format!("postgresql-{}-{what}", pg.major);
        let tree = tempfile::tempdir()?;
        fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755))?;
        let doc = tree.path().join("usr/share/doc").join(&name);
        fs::create_dir_all(&doc)?;
        let licence = fs::read_to_string(repository().join("LICENSE"))?;
        fs::write(doc.join("copyright"), copyright(&licence))?;
        let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
        let fields = vec![
            ("Package", name.clone()),
            ("Version", version()),
            ("Architecture", architecture),
            ("Maintainer", maintainer()),
            ("Section", "database".to_owned()),
            ("Priority", "optional".to_owned()),
        ];
        let deb = Self { name, fields, tree };
        deb.changelog(&doc)?;
        Ok(deb)
    }

    fn field(&mut self, name: &'static str, value: String) {
        self.fields.push((name, value));
    }

    fn describe(&mut self, short: &str, long: &str) {
        let long = long.replace('\n', "\n ");
        self.field("Description", format!("{short}\n {long}"));
    }

    /// The changelog that Debian wants beside the copyright.
    fn changelog(&self, doc: &Path) -> Result<()> {
        let date = Command::new("date")
            .args(["-u", "-R", "-d", &format!("@{}", time_of_commit()?)])
            .env("LC_ALL", "C")
            .output()?;
        let date = String::from_utf8(date.stdout)?;
        let text = format!(
            "pgfaiss ({}) unstable; urgency=medium\n\n  * See CHANGELOG.md of the sources.\n\n -- {}  {}\n",
            version(),
            maintainer(),
            date.trim()
        );
        let path = doc.join("changelog.Debian");
        fs::write(&path, text)?;
        output(Command::new("gzip").args(["-9", "-n"]).arg(&path))?;
        Ok(())
    }

    /// Writes the package into `out` and returns its path.
    pub fn write(&self, out: &Path) -> Result<PathBuf> {
        let debian = self.tree.path().join("DEBIAN");
        fs::create_dir_all(&debian)?;
        let size = format!("Installed-Size: {}\n", kilobytes(self.tree.path())?);
        let fields = self.fields.iter().map(|(name, value)| format!("{name}: {value}\n"));
        let control: String =
            fields.collect::<String>().replace("Section:", &format!("{size}Section:"));
        fs::write(debian.join("control"), control)?;
        let value =
            |wanted| self.fields.iter().find(|(name, _)| *name == wanted).map(|f| f.1.as_str());
        let architecture = value("Architecture").context("a package without an architecture")?;
        let path = out.join(format!("{}_{}_{architecture}.deb", self.name, version()));
        let mut build = Command::new("dpkg-deb");
        build.args(["--build", "--root-owner-group", "-Zxz"]).arg(self.tree.path()).arg(&path);
        build.env("SOURCE_DATE_EPOCH", time_of_commit()?);
        output(&mut build)?;
        Ok(path)
    }
}

fn version() -> String {
    format!("{VERSION}-{REVISION}")
}

/// The name of pgvector's package.
fn pgvector(pg: &PgConfig) -> String {
    format!("postgresql-{}-pgvector", pg.major)
}

/// The licence in the form that Debian's tools read.
fn copyright(licence: &str) -> String {
    let body = licence.lines().map(|line| match line.trim_end() {
        "" => " .\n".to_owned(),
        line => format!(" {line}\n"),
    });
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: pgfaiss\n\nFiles: *\nCopyright: pgfaiss developers\nLicense: PostgreSQL\n{}",
        body.collect::<String>()
    )
}

/// The files' size together.
fn kilobytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => kilobytes(&entry.path())? * 1024,
            false => entry.metadata()?.len().next_multiple_of(1024),
        };
    }
    Ok(bytes / 1024)
}
