//! The options of a graph: what `m`, `efConstruction` and `code` or a factory string say.

use ann::codec::{self, CodeKind};
use ann::factory::{Factory, LINKS_DEFAULT};

use super::Refusal;
use super::resolve::{Given, bad_factory};

/// Smallest and largest `efConstruction`.
pub const EF_CONSTRUCTION_RANGE: (i32, i32) = (4, 2000);
/// `efConstruction` when it is not given.
pub const EF_CONSTRUCTION_DEFAULT: u32 = 200;

/// What a graph is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GraphOptions {
    /// Links of a node on every level but the lowest, which has twice as many.
    pub m: u16,
    /// Nodes that the build keeps in sight while it looks for a node's neighbours.
    pub ef_construction: u32,
    /// What the index stores of a vector: `None` = as the column has it, else sqfp16 or sq8.
    pub code: Option<CodeKind>,
}

impl Given {
    /// What a graph with these options is made of; `None` if the method has no graphs.
    pub fn graph_options(&self) -> Result<Option<GraphOptions>, Refusal> {
        if !self.is_graph {
            return Ok(None);
        }
        let (m, code) = match &self.factory {
            Some(text) => {
                let (factory, _) = Factory::parse_any(text).map_err(|e| bad_factory(&e))?;
                (factory.graph, factory.code)
            }
            None => (self.m, code_of(self.code)),
        };
        Ok(Some(GraphOptions {
            m: m.unwrap_or(LINKS_DEFAULT),
            ef_construction: self
                .efconstruction
                .or(self.ef_construction)
                .unwrap_or(EF_CONSTRUCTION_DEFAULT),
            code,
        }))
    }
}

/// The code with this number among those that graphs have.
fn code_of(number: Option<u8>) -> Option<CodeKind> {
    let number = number.unwrap_or(codec::FLAT);
    [CodeKind::SqFp16, CodeKind::Sq8].into_iter().find(|code| code.to_numbers().0 == number)
}
