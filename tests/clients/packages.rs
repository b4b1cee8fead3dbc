//! The packages that the scripts need, at the versions of the files beside them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use xtask::node::Project;
use xtask::python;

/// Folders with scripts and what belongs to them.
pub const SCRIPT_DIRS: [&str; 4] = ["python", "python/django", "node", "sql"];

/// Packages whose versions go together: what is in one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Python drivers and what maps objects, with the newest pgvector-python.
    Drivers,
    /// Python frameworks, some of which want pgvector-python 0.3.
    Frameworks,
    /// Everything in JavaScript.
    Node,
}

/// A group that is there.
pub enum Installed {
    Python(PathBuf),
    Node(Project),
}

impl Group {
    /// Installs it at the first call; the error is why that cannot be done.
    pub fn installed(self) -> &'static Result<Installed, String> {
        static DRIVERS: OnceLock<Result<Installed, String>> = OnceLock::new();
        static FRAMEWORKS: OnceLock<Result<Installed, String>> = OnceLock::new();
        static NODE: OnceLock<Result<Installed, String>> = OnceLock::new();
        let pinned = |name: &str| {
            let file = scripts().join(format!("python/{name}.txt"));
            python::pinned(&format!("clients-{name}"), &file).map(Installed::Python)
        };
        let (place, install): (_, &dyn Fn() -> anyhow::Result<Installed>) = match self {
            Self::Drivers => (&DRIVERS, &|| pinned("drivers")),
            Self::Frameworks => (&FRAMEWORKS, &|| pinned("frameworks")),
            Self::Node => (&NODE, &|| {
                Project::install("clients", &scripts().join("node")).map(Installed::Node)
            }),
        };
        place.get_or_init(|| install().map_err(|e| format!("{e:#}")))
    }

    /// Why its scripts cannot run.
    pub fn hindrance(self) -> Option<String> {
        self.installed().as_ref().err().cloned()
    }
}

impl Installed {
    /// The program that uses the client `name`.
    pub fn script(&self, name: &str) -> Command {
        match self {
            Self::Python(environment) => {
                let mut python = Command::new(environment.join("bin/python"));
                python.arg(scripts().join(format!("python/use_{name}.py")));
                python.env("PYTHONDONTWRITEBYTECODE", "1");
                python
            }
            Self::Node(project) => {
                let mut node = project.command("node");
                node.arg(format!("use_{name}.mjs"));
                node
            }
        }
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}
