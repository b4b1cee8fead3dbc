//! Golden SQL stories: each `sql/NAME.sql` is typed into psql, in a database of its own, and what
//! psql shows must be `sql/NAME.out`. `UPDATE_EXPECT=1` writes the answers instead of comparing.
//! What several stories begin with is in `sql/include`, for `\i include/NAME.sql`.
//! Where a major version of PostgreSQL answers differently, `NAME.pg14.out` is taken on that one.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use checks::{Database, Followed, watch};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let mut stories: Vec<PathBuf> = fs::read_dir(&dir)
        .map(|entries| entries.filter_map(|e| Some(e.ok()?.path())).collect())
        .unwrap_or_default();
    stories.retain(|path| path.extension().is_some_and(|e| e == "sql"));
    stories.sort();
    if let Err(e) = lay_out_includes(&dir.join("include")) {
        panic!("sql/include: {e}");
    }
    let trials = stories.into_iter().filter_map(|story| {
        let name = story.file_stem()?.to_str()?.to_owned();
        Some(Trial::test(name.clone(), move || check(&story, &name)))
    });
    // One after the other: a session that is just connecting, to whatever database, holds back for a
    // moment which rows count as dead for all, and a build indexes rows that are not dead for all.
    let standby = Followed::new(checks::shared());
    let args = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let conclusion = libtest_mimic::run(&args, trials.collect());
    standby.assert_replayed();
    watch::assert_calm(checks::shared());
    conclusion.exit();
}

/// Copies the files that stories include to where psql runs, which may not be let into the repository.
fn lay_out_includes(from: &Path) -> std::io::Result<()> {
    let to = checks::shared().dir().join("include");
    fs::create_dir_all(&to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn check(story: &Path, name: &str) -> Result<(), Failed> {
    let actual = tell(story, name)?;
    let special = story.with_file_name(format!("{name}.pg{}.out", checks::release().major));
    let expected = if special.exists() { special } else { story.with_extension("out") };
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|v| v == "1") {
        fs::write(expected, actual)?;
        return Ok(());
    }
    if fs::read(&expected).is_ok_and(|text| text == actual) {
        return Ok(());
    }
    Err(difference(&expected, name, &actual)?.into())
}

/// What psql shows when the story is typed into it: commands, rows and messages in their order.
fn tell(story: &Path, name: &str) -> Result<Vec<u8>, Failed> {
    let db = Database::new(name);
    let (mut reader, writer) = std::io::pipe()?;
    let mut psql = db.psql();
    // A story may leave files where it runs; they go with the cluster.
    psql.current_dir(checks::shared().dir());
    psql.args(["-a", "-q"]).env("PGCLIENTENCODING", "UTF8");
    psql.stdin(fs::File::open(story)?).stdout(writer.try_clone()?).stderr(writer);
    let mut child = psql.spawn()?;
    // Our own ends of the pipe would keep it open for ever.
    drop(psql);
    let mut output = Vec::new();
    reader.read_to_end(&mut output)?;
    let status = child.wait()?;
    if !status.success() {
        let text = String::from_utf8_lossy(&output);
        return Err(format!("psql ended with {status}\n{text}").into());
    }
    Ok(output)
}

/// The differing lines, as diff shows them.
fn difference(expected: &Path, name: &str, actual: &[u8]) -> Result<String, Failed> {
    let dir = xtask::build::target_dir().join("sql");
    fs::create_dir_all(&dir)?;
    let got = dir.join(format!("{name}.out"));
    fs::write(&got, actual)?;
    let old = if expected.exists() { expected } else { Path::new("/dev/null") };
    let diff = Command::new("diff").arg("-u").arg(old).arg(&got).output()?;
    Ok(format!(
        "{}\nif that is right: UPDATE_EXPECT=1 cargo xtask test sql",
        String::from_utf8_lossy(&diff.stdout)
    ))
}
