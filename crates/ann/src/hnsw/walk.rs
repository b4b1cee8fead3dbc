//! What a search walks over: anything that has links and keys, in memory or in pages; and the way down its levels.

/// Ids of nodes are below this.
pub const MAX_NODES: u32 = 1 << 31;

/// What a search walks over, with the query already in it.
///
/// A node may be stale (named by a link, but free by now): then its key is +∞, and it is neither returned nor
/// expanded.
pub trait Graph {
    /// Why links or keys could not be read; ends the search.
    type Error;

    /// Appends the links of a node on a level. Links may name stale nodes and may repeat, and a node without links on
    /// this level has none; ids are below [`MAX_NODES`].
    fn links(&mut self, node: u32, level: usize, out: &mut Vec<u32>) -> Result<(), Self::Error>;

    /// Appends the key of the query to each of `nodes`, in their order; smaller is nearer, and +∞ is a stale node.
    /// May visit them in an order of its own.
    fn keys(&mut self, nodes: &[u32], out: &mut Vec<f32>) -> Result<(), Self::Error>;

    /// This node's links will probably be asked for soon: a chance to ask for their memory.
    #[inline]
    fn hint(&mut self, _node: u32, _level: usize) {}
}

/// A node and how near it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Near {
    pub key: f32,
    pub node: u32,
}

/// The node nearest to the query that greedy steps reach from `entry`: on each level from `from_level` down to
/// `to_level + 1` as long as a link leads nearer. Level `to_level` is left to the caller's [`Beam`]. A stale entry comes
/// back with key +∞.
pub fn descend<G: Graph>(
    graph: &mut G,
    entry: u32,
    from_level: usize,
    to_level: usize,
) -> Result<Near, G::Error> {
    let (mut links, mut keys) = (Vec::new(), Vec::new());
    graph.keys(&[entry], &mut keys)?;
    let mut best = Near { key: keys.first().copied().unwrap_or(f32::INFINITY), node: entry };
    for level in (to_level + 1..=from_level).rev() {
        loop {
            let from = best.node;
            links.clear();
            keys.clear();
            graph.links(from, level, &mut links)?;
            graph.keys(&links, &mut keys)?;
            for (node, key) in links.iter().zip(&keys) {
                if *key < best.key {
                    best = Near { key: *key, node: *node };
                }
            }
            if best.node == from {
                break;
            }
        }
    }
    Ok(best)
}
