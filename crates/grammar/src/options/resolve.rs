//! From what was given to what an index is made of: defaults, and the refusal of options that make
//! no sense together.

use std::ffi::{CStr, c_int};

use ann::codec::{self, CodeKind, PQ_NBITS, RABITQ_NBITS};
use ann::factory::{self, Factory, FactoryError, Refine, RotationKind};
use ann::tuning::pilot::SHORTEST;
use pages::ModelName;

use super::{Family, IvfOptions, Refusal, SEED_DEFAULT, Settings};

/// The lossy codes with the `m` and `nbits` they have when these are not given.
const CODES: [CodeKind; 6] = [
    CodeKind::SqFp16,
    CodeKind::Sq8,
    CodeKind::Sq4,
    CodeKind::Pq { m: 8, nbits: 8 },
    CodeKind::PqFs { m: 8 },
    CodeKind::RaBitQ { nbits: 1 },
];

/// The number of the word `auto`, which no metapage has.
const AUTO: u8 = 255;

/// The words of `code` with their numbers, which but for that of `auto` are the metapage's.
pub const CODE_WORDS: &[(&CStr, c_int)] = &[
    (c"auto", AUTO as c_int),
    (c"flat", codec::FLAT as c_int),
    (c"sqfp16", 1),
    (c"sq8", 2),
    (c"sq4", 3),
    (c"pq", 4),
    (c"pqfs", 5),
    (c"rabitq", 6),
];
/// The words of `code` that graphs have.
pub const GRAPH_CODE_WORDS: &[(&CStr, c_int)] =
    &[(c"flat", codec::FLAT as c_int), (c"sqfp16", 1), (c"sq8", 2)];
/// The words of `refine` with their numbers, which are the metapage's.
pub const REFINE_WORDS: &[(&CStr, c_int)] =
    &[(c"heap", 0), (c"flat", 1), (c"sqfp16", 2), (c"sq8", 3)];
/// The words of `opq`. Not an option of type bool, because such a one cannot tell off from not given.
pub const ON_OFF_WORDS: &[(&CStr, c_int)] = &[
    (c"on", 1),
    (c"off", 0),
    (c"true", 1),
    (c"false", 0),
    (c"yes", 1),
    (c"no", 0),
    (c"1", 1),
    (c"0", 0),
];

/// The options that were given, `None` for those that were not.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Whether the options are those of a graph.
    pub is_graph: bool,
    /// Whether the build chooses the code where none is given, or `auto`, which else is flat.
    pub chooses_code: bool,
    /// Which settings scans heed.
    pub settings: Settings,
    pub nlist: Option<u32>,
    /// pgvector's name of `nlist`.
    pub lists: Option<u32>,
    /// A number of [`CODE_WORDS`].
    pub code: Option<u8>,
    pub m: Option<u16>,
    pub nbits: Option<u8>,
    pub opq: Option<bool>,
    /// A number of [`REFINE_WORDS`].
    pub refine: Option<u8>,
    pub seed: Option<u64>,
    pub factory: Option<String>,
    pub model: Option<String>,
    pub recall_target: Option<f64>,
    pub nprobe: Option<u32>,
    pub k_factor: Option<u32>,
    /// `efConstruction`.
    pub efconstruction: Option<u32>,
    /// pgvector's name of `efConstruction`.
    pub ef_construction: Option<u32>,
    pub ef_search: Option<u32>,
}

impl Given {
    /// Whether an index of this method can be had with these options.
    pub fn check(&self, family: &Family) -> Result<(), Refusal> {
        if let Some(text) = &self.factory {
            let (factory, _) = Factory::parse_any(text).map_err(|e| bad_factory(&e))?;
            check_structure(family, text, &factory)?;
        }
        self.check_names()?;
        self.check_alone()?;
        self.resolve().map(|_| ())
    }

    /// What an index with these options is made of. The factory string decides alone where there is
    /// one.
    pub fn resolve(&self) -> Result<IvfOptions, Refusal> {
        let structure = match &self.factory {
            // Until a graph has the rows it takes, it is a list of vectors as they are.
            _ if self.is_graph => Given::default().structure()?,
            Some(text) => Factory::parse_any(text).map_err(|e| bad_factory(&e))?.0,
            None => self.structure()?,
        };
        Ok(IvfOptions {
            nlist: structure.nlist.or(self.lists).unwrap_or(0),
            normalize: structure.normalize,
            rotation: structure.rotation,
            code: structure.code,
            refine: structure.refine,
            is_code_chosen: self.is_code_chosen(),
            model: self.model.as_deref().map(model_name).transpose()?,
            seed: self.seed.unwrap_or(SEED_DEFAULT as u64),
            recall_target: self.recall_target,
            nprobe: self.nprobe,
            k_factor: self.k_factor,
            graph: self.graph_options()?,
            ef_search: self.ef_search,
            settings: self.settings,
            is_binary: self.factory.as_deref().is_some_and(factory::is_binary),
        })
    }

    /// Whether the build chooses the code by the rows.
    fn is_code_chosen(&self) -> bool {
        let is_open = self.code.is_none_or(|code| code == AUTO);
        is_open
            && self.chooses_code
            && self.factory.is_none()
            && self.model.is_none()
            && !self.is_graph
    }

    /// FAISS's name of an option or pgvector's, not both.
    fn check_names(&self) -> Result<(), Refusal> {
        let twice = [
            ("nlist", "lists", self.nlist.is_some() && self.lists.is_some()),
            (
                "efConstruction",
                "ef_construction",
                self.efconstruction.is_some() && self.ef_construction.is_some(),
            ),
        ];
        let Some((faiss, pgvector, _)) = twice.into_iter().find(|&(.., both)| both) else {
            return Ok(());
        };
        let message = format!("options \"{faiss}\" and \"{pgvector}\" cannot be used together");
        Err(Refusal::new(message)
            .detail("They are two names of one option.".to_owned())
            .hint("Leave out one of them."))
    }

    /// A model, or a factory string, already says what the other structural options would say.
    fn check_alone(&self) -> Result<(), Refusal> {
        let (alone, what) = match (&self.model, &self.factory) {
            (Some(_), _) => ("model", "model"),
            (None, Some(_)) => ("factory", "factory string"),
            (None, None) => return Ok(()),
        };
        let given: Vec<&str> = [
            ("factory", self.model.is_some() && self.factory.is_some()),
            ("nlist", self.nlist.is_some()),
            ("lists", self.lists.is_some()),
            ("code", self.code.is_some()),
            ("m", self.m.is_some()),
            ("nbits", self.nbits.is_some()),
            ("opq", self.opq.is_some()),
            ("refine", self.refine.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
        .collect();
        let Some(first) = given.first() else { return Ok(()) };
        let message = format!("options \"{alone}\" and \"{first}\" cannot be used together");
        let other =
            if *first == "factory" { "the factory string" } else { "the structural options" };
        Err(Refusal::new(message)
            .detail(format!("The {what} already determines {}.", listed(&given)))
            .hint(format!("Leave out either the {what} or {other}.")))
    }

    /// What the structural options say in place of a factory string.
    fn structure(&self) -> Result<Factory, Refusal> {
        let code = self.code_kind()?;
        let word = self.word_of(code);
        let m = code.and_then(CodeKind::m);
        if self.m.is_some() && m.is_none() {
            return Err(unfit("m", word)
                .detail("Only codes pq and pqfs have sub-quantizers.")
                .hint("Leave out \"m\", or choose code pq or pqfs."));
        }
        let rotation = match (self.opq, m) {
            (Some(true), Some(m)) => RotationKind::Opq { m },
            (Some(true), None) => {
                return Err(unfit("opq", word)
                    .detail("OPQ learns a rotation for sub-quantizers, which only codes pq and pqfs have.")
                    .hint("Leave out \"opq\", or choose code pq or pqfs. A factory string can put a rotation before any lossy code."));
            }
            _ if self.is_code_chosen() => RotationKind::Hadamard,
            _ => RotationKind::None,
        };
        if self.refine.is_some() && code.is_none() {
            return Err(unfit("refine", word)
                .detail("Code flat loses nothing that could be refined.")
                .hint("Leave out \"refine\", or choose a lossy code."));
        }
        let refine = self.refine.and_then(Refine::from_u8).unwrap_or_default();
        Ok(Factory { normalize: false, rotation, graph: None, nlist: self.nlist, code, refine })
    }

    fn word_of(&self, code: Option<CodeKind>) -> &'static str {
        if self.is_code_chosen() { "auto" } else { code.map_or("flat", CodeKind::name) }
    }

    /// The code that was asked for; where the build chooses, the first that it tries.
    fn code_kind(&self) -> Result<Option<CodeKind>, Refusal> {
        if self.is_code_chosen() {
            return match self.nbits {
                None => Ok(Some(SHORTEST)),
                Some(_) => Err(no_nbits("auto")),
            };
        }
        let number = self.code.unwrap_or(codec::FLAT);
        let default = CODES.into_iter().find(|code| code.to_numbers().0 == number);
        if let Some(nbits) = self.nbits {
            check_nbits(nbits, default)?;
        }
        Ok(default.map(|code| match code {
            CodeKind::Pq { m, nbits } => {
                CodeKind::Pq { m: self.m.unwrap_or(m), nbits: self.nbits.unwrap_or(nbits) }
            }
            CodeKind::PqFs { m } => CodeKind::PqFs { m: self.m.unwrap_or(m) },
            CodeKind::RaBitQ { nbits } => CodeKind::RaBitQ { nbits: self.nbits.unwrap_or(nbits) },
            other => other,
        }))
    }
}

fn check_nbits(nbits: u8, code: Option<CodeKind>) -> Result<(), Refusal> {
    let word = code.map_or("flat", CodeKind::name);
    let bits = match code {
        Some(CodeKind::Pq { .. }) => PQ_NBITS,
        Some(CodeKind::PqFs { .. }) => 4..=4,
        Some(CodeKind::RaBitQ { .. }) => RABITQ_NBITS,
        _ => return Err(no_nbits(word)),
    };
    if bits.contains(&nbits) {
        return Ok(());
    }
    let valid = match (bits.start(), bits.end()) {
        (least, most) if least == most => format!("Code {word} has nbits = {least}."),
        (least, most) => format!("Code {word} has nbits from {least} to {most}."),
    };
    Err(Refusal::new(format!("value {nbits} of option \"nbits\" does not fit code \"{word}\""))
        .detail(valid)
        .hint("Leave out \"nbits\" for the default."))
}

fn no_nbits(word: &str) -> Refusal {
    unfit("nbits", word)
        .detail("Only codes pq, pqfs and rabitq have a number of bits.")
        .hint("Leave out \"nbits\", or choose code pq or rabitq.")
}

/// The string must have inverted lists, or a graph, if the method has.
fn check_structure(family: &Family, text: &str, factory: &Factory) -> Result<(), Refusal> {
    let name = family.name;
    match (family.is_graph, factory.graph) {
        (true, None) => {
            return Err(Refusal::new(format!("factory string \"{text}\" has no graph"))
                .detail(format!("Indexes of access method \"{name}\" are graphs."))
                .hint("Write HNSW and the number of links, as in HNSW32,Flat, or use access method faissivf."));
        }
        (false, Some(_)) => {
            return Err(Refusal::new(format!("factory string \"{text}\" has a graph"))
                .detail(format!("Indexes of access method \"{name}\" have none."))
                .hint("Use access method faisshnsw."));
        }
        _ => {}
    }
    match (family.has_lists, factory.nlist) {
        (true, None) => Err(Refusal::new(format!("factory string \"{text}\" has no inverted lists"))
            .detail(format!("Indexes of access method \"{name}\" have inverted lists."))
            .hint("Put IVFn and a comma before the code, as in IVF1024,Flat, or use access method faissflat.")),
        (false, Some(_)) => Err(Refusal::new(format!("factory string \"{text}\" has inverted lists"))
            .detail(format!("Indexes of access method \"{name}\" have none."))
            .hint("Leave out IVFn, or use access method faissivf.")),
        _ => Ok(()),
    }
}

/// A model's name as an option or an argument has it.
pub fn model_name(text: &str) -> Result<ModelName, Refusal> {
    ModelName::new(text).ok_or_else(|| {
        Refusal::new(format!("\"{text}\" is no name for a model"))
            .detail(format!("A name has 1 to {} bytes.", ModelName::SIZE - 1))
    })
}

fn unfit(option: &str, code: &str) -> Refusal {
    Refusal::new(format!("option \"{option}\" cannot be used with code \"{code}\""))
}

pub fn bad_factory(e: &FactoryError) -> Refusal {
    let report = Refusal::new(e.to_string()).hint(format!("Supported: {}.", factory::SUPPORTED));
    match e.why() {
        Some(why) => report.detail(why),
        None => report,
    }
}

/// a, b and c
fn listed(names: &[&str]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        _ => names.concat(),
    }
}
